import { expect, it } from 'vitest';
import { sharesAt } from '../../src/sim/oracle.ts';
import { aScenario, underPolicy } from './scenarios.ts';

const two = (first: string, second: string, client: string, more = '') =>
  aScenario(`
servers: [{name: s1, ${first}}, {name: s2, ${second}}]
clients: [{name: c, ${client}}]
${more}`);

const rounded = (shares: Float64Array) => [...shares].map((share) => Number(share.toFixed(3)));

it('equal servers get equal shares, in open and closed loops', () => {
  const server = 'service: {exponential: 1ms}';
  expect(rounded(sharesAt(two(server, server, 'rate: 1000'), 0))).toEqual([0.5, 0.5]);
  expect(rounded(sharesAt(two(server, server, 'connections: 8'), 0))).toEqual([0.5, 0.5]);
});

it('close to their capacity servers are loaded in proportion to it', () => {
  const [slow, fast] = sharesAt(
    two('service: {exponential: 2ms}', 'service: {exponential: 1ms}', 'rate: 1450'),
    0,
  );
  expect(slow).toBeCloseTo(1 / 3, 1);
  expect(fast).toBeCloseTo(2 / 3, 1);
});

it('with little to do only the fast server is used', () => {
  const shares = sharesAt(two('service: 1ms', 'service: 100us', 'rate: 10'), 0);
  expect(rounded(shares)).toEqual([0, 1]);
});

it('delays, pauses and speeds count while they last', () => {
  const events = 'events: [{from: 500ms, until: 1s, servers: [s1], delay: 20ms}]';
  const scenario = two('service: 1ms', 'service: 1ms', 'rate: 100', events);
  expect(rounded(sharesAt(scenario, 0))).toEqual([0.5, 0.5]);
  expect(rounded(sharesAt(scenario, 0.7e9))).toEqual([0, 1]);
  const stalled = 'events: [{from: 0s, servers: [s1], stalls: {every: 1ms, duration: 1ms}}]';
  expect(sharesAt(two('service: 1ms', 'service: 1ms', 'rate: 1000', stalled), 0)[0]).toBeLessThan(0.35);
});

it('who is not there gets nothing, and if nobody is, all have their weights', () => {
  const service = 'service: 1ms';
  const gone = (names: string) => `events: [{from: 0s, servers: [${names}], crash: silent}]`;
  expect(rounded(sharesAt(two(service, service, 'rate: 10', gone('s1')), 0))).toEqual([0, 1]);
  const all = two(`${service}, weight: 3`, service, 'rate: 10', gone('s1, s2'));
  expect(rounded(sharesAt(all, 0))).toEqual([0.75, 0.25]);
});

it('beyond what all can take, shares follow capacity', () => {
  const shares = sharesAt(two('service: 1ms', 'service: 1ms, cores: 3', 'rate: 100000'), 0);
  expect(rounded(shares)).toEqual([0.25, 0.75]);
});

it('no law with a fixed split does better on the mean, and it acts at once', () => {
  const scenario = two(
    'service: {exponential: 1ms}',
    'service: {exponential: 1ms}',
    'rate: 1000, requests_per_connection: 5',
    'duration: 30s\nevents: [{from: 10s, until: 20s, servers: [s1], speed: 0.4}]',
  );
  const [oracle, even] = ['oracle', 'static'].map((name) => underPolicy(scenario, name));
  expect(oracle!.overall.mean_ns!).toBeLessThan(even!.overall.mean_ns! / 2);
  expect(oracle!.react_ms!).toBeLessThan(2);
  expect(oracle!.recover_ms!).toBeLessThan(2);
});
