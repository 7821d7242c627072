import { readdirSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import type { InbandError } from '../../src/errors.ts';
import { parseScenario, readScenario } from '../../src/sim/read.ts';

const folder = new URL('../../config/scenarios/', import.meta.url).pathname;

const minimal = `title: least
duration: 1s
servers: [{name: s1, service: 1ms}]
clients: [{name: c, connections: 1}]
`;

/** What is wrong with a file, a line each. */
function mistakes(text: string): readonly string[] {
  try {
    parseScenario(text, 'a.yaml');
  } catch (error) {
    expect((error as InbandError).code).toBe('CONFIG_INVALID');
    return (error as InbandError).details ?? [];
  }
  throw new Error('nothing is wrong with it');
}

test.each(readdirSync(folder).filter((file) => file.endsWith('.yaml')))('%s is a scenario', (file) => {
  const scenario = readScenario(`${folder}${file}`);
  expect(scenario.name).toBe(file.replace('.yaml', ''));
  expect(scenario.warmupNs).toBeLessThanOrEqual(scenario.duringFromNs);
  expect(scenario.duringFromNs).toBeLessThanOrEqual(scenario.duringUntilNs);
  expect(scenario.duringUntilNs).toBeLessThanOrEqual(scenario.durationNs);
});

it('the least scenario has the documented defaults', () => {
  const scenario = parseScenario(minimal, 'some/dir/least.yaml');
  expect(scenario).toMatchObject({
    name: 'least',
    balancers: 1,
    tickNs: 1e6,
    slots: 4_099,
    seed: 1,
    affinity: true,
    warmupNs: 0,
    duringFromNs: 1e9,
    focus: [],
    servers: [
      { weight: 1, cores: 1, queueMax: 4_096, distanceNs: 50e3, service: { kind: 'constant', valueNs: 1e6 } },
    ],
    clients: [{ distanceNs: 50e3, ackNs: 40e6, timeoutNs: 1e9, requestsMax: Number.POSITIVE_INFINITY }],
  });
});

it('during is from the first event to the last one, of the servers that they are about', () => {
  const scenario = parseScenario(
    `${minimal.replace('[{name: s1, service: 1ms}]', '[{name: s1, service: 1ms}, {name: s2, service: 1ms}]')}events:
  - {from: 200ms, until: 300ms, servers: [s2], speed: 0.5}
  - {from: 100ms, until: 200ms, servers: [s2], delay: 1ms}
`,
    'a.yaml',
  );
  expect([scenario.duringFromNs, scenario.duringUntilNs, scenario.focus]).toEqual([100e6, 300e6, [1]]);
});

describe('what is wrong is told with its place', () => {
  it('all of it at once', () => {
    const text = `titel: x
duration: 5
servers:
  - {name: s1, service: 1 ms, cores: 0}
clients:
  - {name: c, connections: 1, think: {exponentail: 1ms}}
`;
    const lines = mistakes(text);
    expect(lines).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^a\.yaml:1:1: titel: unknown key; did you mean title\?$/),
        expect.stringMatching(/^a\.yaml:1:1: title: missing$/),
        expect.stringMatching(/^a\.yaml:2:11: duration: 5 is not a duration such as 64us, 1\.5ms or 2s$/),
        expect.stringMatching(/^a\.yaml:4:38: servers\[0\]\.cores: /),
        expect.stringMatching(
          /^a\.yaml:6:\d+: clients\[0\]\.think\.exponentail: unknown key; did you mean exponential\?$/,
        ),
      ]),
    );
  });

  test.each([
    [
      'a server that is not there',
      'events: [{from: 0s, servers: [s2], speed: 0.5}]',
      /events\[0\]\.servers\[0\]: there is no 's2'; did you mean s1\?/,
    ],
    ['an event that does nothing', 'events: [{from: 0s, servers: [s1]}]', /events\[0\]: does nothing/],
    [
      'an event that ends before it begins',
      'events: [{from: 500ms, until: 400ms, servers: [s1], speed: 2}]',
      /events\[0\]\.until: is not after the beginning/,
    ],
    [
      'an event after the end',
      'events: [{from: 0s, until: 2s, servers: [s1], speed: 2}]',
      /events\[0\]\.until: is after the end/,
    ],
    ['a speed of 0', 'events: [{from: 0s, servers: [s1], speed: 0}]', /events\[0\]\.speed: 0 is too small/],
    ['a negative seed', 'seed: -1', /seed: -1 is too small/],
    ['no load balancer', 'load_balancers: 0', /load_balancers: 0 is too small/],
    ['too many load balancers', 'load_balancers: 65', /load_balancers: 65 is too big; give at most 64/],
    ['a table size that is no prime', 'slots: 4096', /slots: a table cannot have 4096 slots; give a prime/],
    ['a warm-up longer than the run', 'warmup: 1s', /warmup: is not before the end/],
    [
      'a dependency that is more than delayed',
      'dependencies: [{name: db, latency: 1ms, used_by: [s1]}]\nevents: [{from: 0s, servers: [db], speed: 0.5}]',
      /can only be delayed/,
    ],
    [
      'a name that is there twice',
      'dependencies: [{name: s1, latency: 1ms, used_by: [s1]}]',
      /dependencies\[0\]\.name: 's1' is there already/,
    ],
    [
      'a detection without a crash',
      'events: [{from: 0s, servers: [s1], speed: 2, detected_after: 1s}]',
      /detected_after: goes with crash/,
    ],
  ])('%s', (_name, lines, expected) => {
    expect(mistakes(`${minimal}${lines}\n`)).toEqual([expect.stringMatching(expected)]);
  });

  test.each([
    ['a weight of 0', '{name: s1, service: 1ms, weight: 0}', /weight: 0 is too small/],
    ['a negative weight', '{name: s1, service: 1ms, weight: -1}', /weight: -1 is too small/],
    ['no service', '{name: s1}', /service/],
    ['two distributions', '{name: s1, service: {constant: 1ms, exponential: 1ms}}', /needs one of/],
    [
      'a median above the p99',
      '{name: s1, service: {lognormal: {median: 2ms, p99: 1ms}}}',
      /median is above the p99/,
    ],
    [
      'profiles of different length',
      '{name: s1, service: {profile: {every: 1s, median: [1ms], p99: [1ms, 2ms]}}}',
      /as many medians/,
    ],
  ])('%s', (_name, server, expected) => {
    const lines = mistakes(minimal.replace('{name: s1, service: 1ms}', server));
    expect(lines).toEqual([expect.stringMatching(expected)]);
    expect(lines[0]).toMatch(/^a\.yaml:3:\d+: servers\[0\]/);
  });

  test.each([
    ['no backend', minimal.replace('[{name: s1, service: 1ms}]', '[]'), /servers: empty; give at least one/],
    [
      'neither loop',
      minimal.replace(', connections: 1', ''),
      /needs 'connections' \(closed loop\) or 'rate'/,
    ],
    [
      'an open loop that thinks',
      minimal.replace('connections: 1', 'rate: 5, think: 1ms'),
      /think: has no meaning with a rate/,
    ],
    ['an empty file', '', /title: missing/],
    ['no YAML', 'title: [', /a\.yaml:1/],
  ])('%s', (_name, text, expected) => {
    expect(mistakes(text).join('\n')).toMatch(expected);
  });
});

it('a file that is not there is told so', () => {
  expect(() => readScenario('/nonexistent/a.yaml')).toThrow(
    expect.objectContaining({ code: 'FILE_UNREADABLE' }),
  );
});
