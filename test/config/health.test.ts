import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { healthDocument, poolHealthSchema, toHealth } from '../../src/config/health-schema.ts';
import { checkConfigText, readRunning } from '../../src/config/load.ts';
import type { Settings } from '../../src/config/settings.ts';
import { toDocument } from '../../src/config/write.ts';
import { type HealthSettings, healthDefault } from '../../src/health/settings.ts';
import { type Ns, ns } from '../../src/units.ts';
import { and, but, good, lines } from './good.ts';

const settings = (text: string): Settings => {
  const { value, problems } = checkConfigText(text, 'lb.yaml');
  expect(problems).toEqual([]);
  return value!;
};

const duration = (min: number, max: number) =>
  fc.integer({ min: min / 1e6, max: max / 1e6 }).map((ms): Ns => ns(ms * 1e6));
const text = fc.string({ minLength: 1, maxLength: 20 }).filter((one) => !one.startsWith('0x'));
const any: fc.Arbitrary<HealthSettings> = fc.record({
  check: fc.constantFrom('auto', 'none'),
  intervalNs: duration(1e9, 60e9),
  jitter: fc.constantFrom(0, 0.25, 0.5),
  timeoutNs: duration(20e6, 1e9),
  rise: fc.integer({ min: 1, max: 100 }),
  fall: fc.integer({ min: 1, max: 100 }),
  http: fc.oneof(
    fc.constant({ path: '/', status: '200' }),
    fc.constant({ path: '/a?b=c', host: 'www', status: '200-204,404' }),
  ),
  udp: fc.oneof(fc.record({ send: text }), fc.record({ send: fc.constant('0x00ff'), expect: text })),
  slowStartNs: duration(1e6, 60e9),
  passive: fc.record({
    enabled: fc.boolean(),
    unanswered: fc.integer({ min: 1, max: 1000 }),
    retransmits: fc.integer({ min: 1, max: 1000 }),
    resets: fc.integer({ min: 1, max: 1000 }),
    oldestNs: duration(100e6, 60e9),
    ejectionNs: duration(100e6, 10e9),
    ejectionNsMax: duration(10e9, 60e9),
    ejectedMax: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
});

describe('the section health', () => {
  test('is at its defaults where nothing is said', () => {
    const { health, healthSource, vips } = settings(good);
    expect(health).toEqual(healthDefault);
    expect(vips[0]!.health).toEqual(healthDefault);
    expect(healthSource).toBeUndefined();
  });

  test('a pool takes what it leaves out from the common one, key by key', () => {
    const { vips, health } = settings(`${but(
      '    backends:',
      '    health: { check: http, http: { path: /live }, passive: { unanswered: 5 } }\n    backends:',
    )}health: { interval: 5s, http: { host: www }, passive: { resets: 7 } }
`);
    expect(health).toMatchObject({ check: 'auto', intervalNs: 5e9, http: { path: '/', host: 'www' } });
    expect(vips[0]!.health).toEqual({
      ...healthDefault,
      check: 'http',
      intervalNs: 5e9,
      http: { path: '/live', host: 'www', status: '200-399' },
      passive: { ...healthDefault.passive, unanswered: 5, resets: 7 },
    });
  });

  test('names the address that checks come from', () => {
    expect(settings(and('health: { source: 10.0.0.5 }')).healthSource).toBe('10.0.0.5');
  });

  test('written and read again it gives the same settings', () => {
    fc.assert(
      fc.property(any, (health) => {
        expect(toHealth(poolHealthSchema.parse(healthDocument(health)))).toEqual(health);
      }),
    );
  });

  test('a whole configuration written and read again gives the same settings', () => {
    fc.assert(
      fc.property(any, any, (health, { http: _, udp: __, ...rest }) => {
        // A pool cannot take back what the common section adds.
        const common: HealthSettings = { ...rest, http: healthDefault.http };
        const base = settings(good);
        const changed: Settings = {
          ...base,
          health: common,
          healthSource: '10.0.0.5',
          vips: base.vips.map((vip) => ({ ...vip, health })),
        };
        expect(readRunning(toDocument(changed), 'socket')).toEqual(changed);
      }),
      { numRuns: 30 },
    );
  });

  test('the documentation has an example that is valid', () => {
    const text = /```yaml\n([^`]*)```/.exec(readFileSync('docs/health.md', 'utf8'))![1]!;
    const vips = `interface: eth0
vips:
  - { address: 10.0.0.1:80/tcp, pool: web }
  - { address: 10.0.0.1:53/udp, pool: dns }
`;
    const [web, dns] = settings(`${vips}${text}`).vips;
    expect([web!.health.check, web!.health.http.path]).toEqual(['http', '/healthz']);
    expect(dns!.health.udp?.expect).toBe('0x2a2a');
  });

  test('the example uses every key', () => {
    const { vips } = checkConfigText(readFileSync('config/example.yaml', 'utf8'), 'example.yaml').value!;
    expect(vips[0]!.health.http).toEqual({ path: '/healthz', host: 'www.example.org', status: '200-299' });
  });
});

const health = (section: string): string => and(`health: { ${section} }`);
const pooled = (section: string): string => but('    backends:', `    health: { ${section} }\n    backends:`);

describe('each mistake about health has one message', () => {
  test.each<[string, string, string]>([
    [
      'a check that is not known',
      health('check: tpc'),
      "10:18: health.check: 'tpc' is not known; did you mean tcp?",
    ],
    [
      'a misspelt key',
      health('intervall: 2s'),
      '10:11: health.intervall: unknown key; did you mean interval?',
    ],
    [
      'an interval that is too short',
      health('interval: 10ms'),
      "10:21: health.interval: '10ms' is out of range; give 100ms to 3600s",
    ],
    [
      'a timeout that is too long',
      health('timeout: 3s'),
      '10:20: health.timeout: a timeout of 3s is longer than the interval of 2s',
    ],
    [
      'an interval that is shorter than the timeout',
      pooled('interval: 500ms'),
      '7:25: pools.web.health.interval: a timeout of 1s is longer than the interval of 500ms',
    ],
    ['no rise', health('rise: 0'), '10:17: health.rise: 0 is too small; give at least 1'],
    ['half a fall', health('fall: 1.5'), '10:17: health.fall: expected a whole number, found 1.5'],
    ['much jitter', health('jitter: 0.9'), '10:19: health.jitter: 0.9 is too big; give at most 0.5'],
    [
      'a path that is none',
      health('http: { path: healthz }'),
      '10:25: health.http.path: not a path; for example /healthz',
    ],
    [
      'a path with a line break',
      health('http: { path: "/a\\r\\nb" }'),
      '10:25: health.http.path: not a path; for example /healthz',
    ],
    [
      'a host with a space',
      health('http: { host: "a b" }'),
      '10:25: health.http.host: not a host; for example www.example.org',
    ],
    [
      'a status that is none',
      health('http: { status: ok }'),
      '10:27: health.http.status: not codes; for example 200-399 or 200,404',
    ],
    [
      'a range of codes that is upside down',
      health('http: { status: 300-200 }'),
      '10:27: health.http.status: not codes; for example 200-399 or 200,404',
    ],
    ['nothing to send', health('udp: { expect: a }'), '10:16: health.udp.send: missing'],
    [
      'a check by datagrams without any',
      health('check: udp'),
      '10:18: health.check: what to send is missing; give it as udp: { send: ... }',
    ],
    ['odd digits', health('udp: { send: 0x123 }'), '10:24: health.udp.send: expected a text, found 291'],
    [
      'odd digits in quotes',
      health('udp: { send: "0x123" }'),
      '10:24: health.udp.send: not pairs of hexadecimal digits after 0x',
    ],
    [
      'a long datagram',
      health(`udp: { send: ${'a'.repeat(1025)} }`),
      '10:24: health.udp.send: more than 1024 bytes',
    ],
    [
      'a check by datagrams of a TCP vip',
      health('check: udp, udp: { send: a }'),
      '10:18: health.check: vips[0], 10.0.0.1:80/tcp, is tcp; give auto, or its pool a check of its own',
    ],
    [
      'a page of a UDP vip',
      pooled('check: http').replace('/tcp', '/udp'),
      '7:22: pools.web.health.check: vips[0], 10.0.0.1:80/udp, is udp; give auto, or its pool a check of its own',
    ],
    [
      'a first ejection that is the longest',
      health('passive: { ejection: 10m }'),
      '10:32: health.passive.ejection: the first ejection is longer than the longest, 300s',
    ],
    [
      'more ejected than there are',
      health('passive: { max_ejected: 2 }'),
      '10:35: health.passive.max_ejected: 2 is too big; give at most 1',
    ],
    [
      'a source that is none',
      health('source: eth0'),
      "10:19: health.source: 'eth0' is not an address; for example 10.0.0.11 or 2001:db8::11",
    ],
    [
      'a source of a pool',
      pooled('source: 10.0.0.5'),
      '7:15: pools.web.health.source: unknown key; there is check, interval, jitter, timeout, rise, fall, http, udp, slow_start, passive',
    ],
  ])('%s', (_, file, message) => {
    expect(lines(file)).toEqual([expect.stringMatching(/^lb\.yaml:/)]);
    expect(lines(file)).toEqual([expect.stringContaining(message)]);
  });
});
