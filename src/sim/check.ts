import type { z } from 'zod';
import type { Path } from '../config/problems.ts';
import { similar } from '../config/similar.ts';
import { InbandError } from '../errors.ts';
import { checkSize } from '../maglev/size.ts';
import { limits, openConnectionsDefault, type ScenarioFile, scenarioFile } from './schema.ts';

type Note = (path: Path, message: string) => void;

/** A scenario file whose parts are checked against each other too: names, times, sizes. */
export const checkedFile = scenarioFile.superRefine((file, context) => {
  const note: Note = (path, message) => {
    context.addIssue({ code: 'custom', path: [...path], message } as z.core.$ZodRawIssue as never);
  };
  checkNames(file, note);
  checkEvents(file, note);
  checkTimes(file, note);
  checkSizes(file, note);
});

function checkNames(file: ScenarioFile, note: Note): void {
  const servers = file.servers.map(({ name }) => name);
  for (const key of ['servers', 'dependencies', 'clients'] as const) {
    const names = file[key].map(({ name }) => name);
    names.forEach((name, i) => {
      const isServer = key === 'dependencies' && servers.includes(name);
      if (names.indexOf(name) < i || isServer) note([key, i, 'name'], `'${name}' is there already`);
    });
  }
  file.dependencies.forEach(({ used_by }, i) => {
    checkKnown(used_by, ['dependencies', i, 'used_by'], servers, note);
  });
  checkKnown(file.during?.servers ?? [], ['during', 'servers'], servers, note);
}

function checkKnown(names: readonly string[], path: Path, known: readonly string[], note: Note): void {
  names.forEach((name, i) => {
    if (known.includes(name)) return;
    const meant = similar(name, known);
    note([...path, i], `there is no '${name}'${meant === undefined ? '' : `; did you mean ${meant}?`}`);
  });
}

function checkEvents({ events, servers, dependencies }: ScenarioFile, note: Note): void {
  const called = dependencies.map(({ name }) => name);
  const known = [...servers.map(({ name }) => name), ...called];
  events.forEach((event, i) => {
    const path = ['events', i, 'servers'];
    checkKnown(event.servers, path, known, note);
    const { from, until, servers: names, delay, ...others } = event;
    const isMore = Object.values(others).some((value) => value !== undefined);
    if (isMore && names.some((name) => called.includes(name))) {
      note(path, 'has a dependency, which can only be delayed');
    }
  });
}

function checkTimes(file: ScenarioFile, note: Note): void {
  const end = file.duration;
  const checkSpan = (from: number, until: number, path: Path) => {
    if (from >= until) note([...path, 'until'], 'is not after the beginning');
    else if (until > end) note([...path, 'until'], 'is after the end of the run');
  };
  file.events.forEach(({ from, until = end }, i) => {
    checkSpan(from, until, ['events', i]);
  });
  file.clients.forEach(({ from, until = end }, i) => {
    checkSpan(from, until, ['clients', i]);
  });
  if (file.during) checkSpan(file.during.from, file.during.until, ['during']);
  if (file.warmup >= end) note(['warmup'], 'is not before the end of the run');
  else if (file.during && file.warmup > file.during.from)
    note(['warmup'], 'ends after the beginning of during');
}

function checkSizes({ clients, servers, slots }: ScenarioFile, note: Note): void {
  const connections = clients.reduce(
    (sum, client) => sum + (client.connections ?? openConnectionsDefault),
    0,
  );
  if (connections > limits.connections) {
    note(['clients'], `have ${connections} connections together, more than ${limits.connections}`);
  }
  try {
    checkSize(slots, servers.length);
  } catch (error) {
    if (!(error instanceof InbandError)) throw error;
    note(['slots'], `${error.message}; ${error.hint}`);
  }
}
