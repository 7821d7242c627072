import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { simulate, simulatedPolicies } from '../../src/sim/simulate.ts';
import { aScenario, underPolicy } from './scenarios.ts';

/** What must hold of any run: finite figures, shares that add up to 1, and no flow broken. */
function checkSound(text: string, policy: string): void {
  const result = underPolicy(aScenario(text), policy);
  expect(result.flows_broken).toBe(0);
  for (const phase of result.phases) {
    const sum = phase.backends.reduce((all, { share_mean }) => all + share_mean, 0);
    expect(sum).toBeCloseTo(1, 6);
    for (const { share_mean, share_sd } of phase.backends) {
      expect(share_mean).toBeGreaterThan(-1e-9);
      expect(Number.isFinite(share_sd)).toBe(true);
    }
    if (phase.requests > 0) expect(phase.p99_ns!).toBeGreaterThanOrEqual(phase.p50_ns!);
    else expect(phase.p99_ns).toBeNull();
  }
}

const servers = (count: number, more = '') =>
  `servers: [${Array.from({ length: count }, (_, i) => `{name: s${i + 1}, service: {exponential: 500us}${more}}`).join(', ')}]`;
const clients = 'clients: [{name: c, rate: 1500, requests_per_connection: 5}]';

describe.each(simulatedPolicies)('%s', (policy) => {
  test.each([
    ['one backend', `${servers(1, ', cores: 4')}\n${clients}`],
    ['more load than all can take', `${servers(2, ', queue: 20')}\nclients: [{name: c, rate: 20000}]`],
    ['no request at all', `${servers(3)}\nclients: [{name: c, rate: 1, from: 1.9s, until: 1.91s}]`],
    [
      'all backends slow',
      `${servers(3)}\n${clients}\nevents: [{from: 500ms, until: 1s, servers: [s1, s2, s3], speed: 0.6}]`,
    ],
    [
      'all backends gone',
      `${servers(2)}\n${clients}\nevents: [{from: 500ms, until: 1s, servers: [s1, s2], crash: silent}]`,
    ],
    [
      'all backends drained',
      `${servers(2)}\n${clients}\nevents: [{from: 500ms, until: 1s, servers: [s1, s2], drained: true}]`,
    ],
    [
      'every request fails',
      `${servers(2)}\n${clients}\nevents: [{from: 500ms, until: 1s, servers: [s1, s2], failing: 1}]`,
    ],
    [
      'weights far apart',
      `servers: [{name: s1, service: 1ms, weight: 1000, cores: 8}, {name: s2, service: 1ms, weight: 0.1}]\n${clients}`,
    ],
    [
      'more load balancers than flows',
      `load_balancers: 64\n${servers(2)}\nclients: [{name: c, connections: 2}]`,
    ],
  ])('with %s all figures are sound', (_name, text) => {
    checkSound(text, policy);
  });
});

it('with any scenario all figures are sound, and the same again', () => {
  const event = fc.record({
    from: fc.integer({ min: 0, max: 900 }),
    server: fc.integer({ min: 1, max: 3 }),
    effect: fc.constantFrom(
      'speed: 0.3',
      'speed: 3',
      'delay: {exponential: 2ms}',
      'stalls: {every: 10ms, duration: {uniform: {from: 100us, to: 5ms}}}',
      'crash: reset',
      'crash: silent, detected_after: 50ms',
      'drained: true',
      'failing: 0.5',
    ),
  });
  const scenario = fc.record({
    balancers: fc.integer({ min: 1, max: 4 }),
    cores: fc.constantFrom('1', '3', 'unlimited'),
    client: fc.constantFrom(
      'rate: 2000, requests_per_connection: 3',
      'connections: 12, requests_per_connection: 7',
      'connections: 30, think: {exponential: 5ms}, lifetime: {exponential: 200ms}',
      'connections: 5, think: 60ms, ack_delay: 0, timeout: 150ms',
    ),
    events: fc.array(event, { maxLength: 4 }),
    policy: fc.constantFrom(...simulatedPolicies),
    seed: fc.integer({ min: 0, max: 0xffff_ffff }),
  });
  fc.assert(
    fc.property(scenario, ({ balancers, cores, client, events, policy, seed }) => {
      const text = [
        'duration: 1s',
        `seed: ${seed}`,
        `load_balancers: ${balancers}`,
        servers(3, `, cores: ${cores}`),
        `clients: [{name: c, ${client}}]`,
        `events: [${events.map((one) => `{from: ${one.from}ms, until: ${one.from + 100}ms, servers: [s${one.server}], ${one.effect}}`).join(', ')}]`,
      ].join('\n');
      checkSound(text, policy);
      const once = () => JSON.stringify(simulate(aScenario(text), { policies: [policy] }));
      expect(once()).toBe(once());
    }),
    { numRuns: 15 },
  );
});
