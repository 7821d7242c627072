import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { onTestFinished } from 'vitest';
import { checkConfigText } from '../../src/config/load.ts';
import { problemLines } from '../../src/config/problems.ts';
import type { Settings } from '../../src/config/settings.ts';
import { Control, datapathVips } from '../../src/daemon/control.ts';
import { Overrides } from '../../src/daemon/overrides.ts';
import { FakeDatapath, type FakeOptions } from '../support/datapath.ts';

export const web = '10.0.0.1:80/tcp';
export const dns = '10.0.0.2:53/udp';
export const slots = 1009;

/** Settings of a file with these pools, without feedback and without checks. */
export function settingsOf(vips: Readonly<Record<string, string>>, more = ''): Settings {
  const text = `interface: nowhere0
policy: static
health: { check: none }
slots: ${slots}
${more}
vips:
${Object.entries(vips)
  .map(([vip, backends]) => `  - { address: "${vip}", pool: { backends: [${backends}] } }`)
  .join('\n')}
`;
  const { value, problems } = checkConfigText(text, 'lb.yaml');
  if (!value) throw new Error(problemLines(problems).join('\n'));
  return value;
}

/** A log whose lines tests can read. */
export function aLog(): { log: Logger; lines: Record<string, unknown>[]; events: () => unknown[] } {
  const lines: Record<string, unknown>[] = [];
  const take = (line: Record<string, unknown>) => lines.push(line);
  const log = { trace: take, debug: take, info: take, warn: take, error: take, level: 'info' };
  return { log: log as unknown as Logger, lines, events: () => lines.map(({ event }) => event) };
}

/** A directory that goes away with the test. */
export function aDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'inband-daemon-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A control over a datapath without packets. */
export function aControl(
  settings: Settings = settingsOf({ [web]: '10.0.0.11, 10.0.0.12', [dns]: '10.0.0.11' }),
  options: FakeOptions & { state?: string; prepare?: (datapath: FakeDatapath) => void } = {},
) {
  const { log, lines, events } = aLog();
  const state = options.state ?? aDirectory();
  const overrides = Overrides.load(state, settings.interface, (event, about) =>
    log.error({ event, ...about }),
  );
  const datapath = new FakeDatapath(datapathVips(settings), { slots, ...options });
  options.prepare?.(datapath);
  const control = new Control(datapath, settings, overrides, log);
  onTestFinished(() => control.monitor.close());
  /** Slots of the vip at a place, by backend. */
  const slotsBy = (vip: string): Record<string, number> => {
    const service = control.services.find(({ name }) => name === vip)!;
    const counts = service.slotsOf(datapath);
    return Object.fromEntries(service.configured.map(({ name }, b) => [name, counts[b]!]));
  };
  return { control, datapath, overrides, lines, events, log, state, slotsBy };
}
