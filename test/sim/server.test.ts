import { describe, expect, it } from 'vitest';
import { Random } from '../../src/sim/random.ts';
import { outcome, Server } from '../../src/sim/server.ts';
import { aScenario } from './scenarios.ts';

const ms = 1e6;

/** A server with a constant service time of 10 ms unless its lines say otherwise. */
function aServer(lines = '', events = ''): Server {
  const scenario = aScenario(`
servers:
  - name: s1
    service: 10ms
    ${lines}
clients: [{name: c, connections: 1}]
${events}`);
  return new Server(scenario, 0, new Random(1, 1));
}

/** When each of the requests that arrive at these times in ms is done, in ms. */
function served(server: Server, arrivals: readonly number[]): number[] {
  return arrivals.map((at) => {
    expect(server.serve(at * ms)).toBe(outcome.served);
    return server.finishNs / ms;
  });
}

it('serves one after the other, first come, first served', () => {
  expect(served(aServer(), [0, 1, 2, 50])).toEqual([10, 20, 30, 60]);
});

it('serves as many at a time as it has cores', () => {
  expect(served(aServer('cores: 2'), [0, 1, 2, 3])).toEqual([10, 11, 20, 21]);
});

it('nobody waits where cores are unlimited', () => {
  expect(served(aServer('cores: unlimited'), [0, 0, 0])).toEqual([10, 10, 10]);
});

it('refuses at once what finds the queue full, and takes more when there is room again', () => {
  const server = aServer('queue: 2');
  expect(served(server, [0, 0, 0])).toEqual([10, 20, 30]);
  expect(server.serve(5 * ms)).toBe(outcome.reset);
  expect(server.finishNs).toBe(5 * ms);
  expect(served(server, [10])).toEqual([40]);
});

describe('speed', () => {
  const slowed = 'events: [{from: 20ms, until: 60ms, servers: [s1], speed: 0.5}]';

  it('a slower server takes longer, from the moment on at which it becomes slower', () => {
    expect(served(aServer('', slowed), [0, 15, 30, 55, 100])).toEqual([10, 30, 50, 67.5, 110]);
  });

  it('factors of events that overlap are multiplied', () => {
    const both =
      'events: [{from: 0s, until: 1s, servers: [s1], speed: 0.5}, {from: 0s, until: 1s, servers: [s1], speed: 0.5}]';
    expect(served(aServer('', both), [0])).toEqual([40]);
  });

  it('work may go on over several changes', () => {
    const events =
      'events: [{from: 2ms, until: 4ms, servers: [s1], speed: 0.5}, {from: 6ms, until: 8ms, servers: [s1], speed: 2}]';
    expect(served(aServer('', events), [0])).toEqual([9]);
  });
});

describe('pauses', () => {
  it('take from the cores what they last, and work goes on after them', () => {
    const stalls = 'events: [{from: 0s, servers: [s1], stalls: {every: 10ms, duration: 10ms}}]';
    const server = aServer('cores: unlimited', stalls);
    const times = Array.from({ length: 2000 }, (_, i) => i).map((at) => served(server, [at])[0]! - at);
    const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
    // Half of the time is a pause: a request meets the rest of one half of the time (5 ms), and one per 10 ms of work.
    expect(mean).toBeGreaterThan(20);
    expect(mean).toBeLessThan(30);
    expect(Math.min(...times)).toBeCloseTo(10, 6);
  });

  it('end with their event', () => {
    const stalls = 'events: [{from: 0s, until: 100ms, servers: [s1], stalls: {every: 1ms, duration: 5ms}}]';
    expect(served(aServer('cores: unlimited', stalls), [200, 300])).toEqual([210, 310]);
  });
});

describe('delays', () => {
  it('an event adds a delay that holds no core', () => {
    const delay = 'events: [{from: 0s, until: 15ms, servers: [s1], delay: 100ms}]';
    expect(served(aServer('', delay), [0, 1, 20])).toEqual([110, 120, 30]);
  });

  it('a dependency delays the responses of those that call it, and an event delays the dependency', () => {
    const events = `
dependencies: [{name: db, latency: 3ms, used_by: [s1]}]
events: [{from: 100ms, until: 200ms, servers: [db], delay: 5ms}]`;
    expect(served(aServer('', events), [0, 150, 250])).toEqual([13, 168, 263]);
  });
});

describe('crashes', () => {
  const crash = (mode: string) => `events: [{from: 15ms, until: 100ms, servers: [s1], crash: ${mode}}]`;

  it('a host that is gone does not answer, and what it had begun is lost', () => {
    const server = aServer('', crash('silent'));
    expect(server.serve(0)).toBe(outcome.served);
    expect(server.serve(6 * ms)).toBe(outcome.silence);
    expect(server.serve(20 * ms)).toBe(outcome.silence);
    expect(server.absence(50 * ms)).toBe(outcome.silence);
    expect(server.absence(100 * ms)).toBe(0);
  });

  it('a process that is gone is answered for by its host with a reset, at the moment it went', () => {
    const server = aServer('', crash('reset'));
    expect(server.serve(6 * ms)).toBe(outcome.reset);
    expect(server.finishNs).toBe(15 * ms);
    expect(server.serve(20 * ms)).toBe(outcome.reset);
    expect(server.finishNs).toBe(20 * ms);
    expect(server.absence(50 * ms)).toBe(outcome.reset);
  });

  it('it comes back with an empty queue', () => {
    const server = aServer('', crash('reset'));
    for (let i = 0; i < 50; i++) server.serve(14 * ms);
    expect(served(server, [100])).toEqual([110]);
  });
});

it('a failing server resets its fraction of the requests, when they are done', () => {
  const server = aServer('cores: unlimited', 'events: [{from: 0s, servers: [s1], failing: 0.3}]');
  let failed = 0;
  for (let i = 0; i < 5000; i++) {
    if (server.serve(i * 1e5) === outcome.reset) failed++;
    expect(server.finishNs).toBe(i * 1e5 + 10 * ms);
  }
  expect(failed / 5000).toBeCloseTo(0.3, 1);
});
