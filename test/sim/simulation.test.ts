import { describe, expect, it } from 'vitest';
import { Static } from '../../src/control/static.ts';
import { handshakeKind, requestKind } from '../../src/sim/balancer.ts';
import type { Scenario } from '../../src/sim/scenario.ts';
import { simulate } from '../../src/sim/simulate.ts';
import { Simulation } from '../../src/sim/simulation.ts';
import { ns } from '../../src/units.ts';
import { aScenario, underPolicy } from './scenarios.ts';

const aSimulation = (scenario: Scenario) => new Simulation(scenario, () => new Static(), 1);

/** The simulation at its end, under a static table. */
function atEnd(text: string): Simulation {
  const scenario = aScenario(text);
  const simulation = aSimulation(scenario);
  simulation.run();
  for (const { signals } of simulation.balancers)
    for (const one of signals) one.update(ns(scenario.durationNs));
  return simulation;
}

const meanOf = (simulation: Simulation) => simulation.recorder.phases[0]!.latency.meanNs;

describe('queueing theory', () => {
  const lone = (service: string, rate: number, more = '') => `
duration: 200s
warmup: 5s
servers: [{name: s1, service: ${service}, distance: 0${more}}]
clients: [{name: c, rate: ${rate}, distance: 0}]`;

  it('M/M/1: the mean time is 1 / (mu - lambda)', () => {
    const meanNs = meanOf(atEnd(lone('{exponential: 1ms}', 700)));
    expect(Math.abs(meanNs / (1e6 / 0.3) - 1)).toBeLessThan(0.05);
  });

  it('M/D/1: one waits half as long as in M/M/1', () => {
    const meanNs = meanOf(atEnd(lone('1ms', 700)));
    expect(Math.abs(meanNs / (1e6 * (1 + 0.7 / (2 * 0.3))) - 1)).toBeLessThan(0.05);
  });

  it('M/M/2: the mean time is 1 / (mu (1 - rho^2))', () => {
    const meanNs = meanOf(atEnd(lone('{exponential: 1ms}', 1200, ', cores: 2')));
    expect(Math.abs(meanNs / (1e6 / (1 - 0.36)) - 1)).toBeLessThan(0.05);
  });
});

describe('a closed loop', () => {
  const loop = (more = '') => `
servers: [{name: s1, service: 100us, cores: 8, distance: 50us}]
clients: [{name: c, connections: 4, distance: 100us${more}}]`;

  it('sends its next request when the response is there: as many as time allows', () => {
    const simulation = atEnd(loop());
    // 300 us there and back and 100 us of service; connections begin within 10 ms.
    expect(Math.abs(simulation.requests / ((4 * 2e9) / 400e3) - 1)).toBeLessThan(0.01);
    expect(meanOf(simulation)).toBeCloseTo(400e3, 0);
    expect(simulation.flows).toBe(4);
  });

  it('makes its connections anew after so many requests', () => {
    const simulation = atEnd(loop(', requests_per_connection: 10'));
    expect(Math.abs(simulation.flows / (simulation.requests / 10) - 1)).toBeLessThan(0.05);
  });

  it('makes its connections anew when they are old', () => {
    const { flows } = atEnd(loop(', lifetime: 100ms'));
    expect(flows).toBeGreaterThan(4 * 17);
    expect(flows).toBeLessThan(4 * 22);
  });

  it('sends only from its beginning to its end', () => {
    const simulation = atEnd(loop(', from: 500ms, until: 1s'));
    expect(Math.abs(simulation.requests / ((4 * 0.5e9) / 400e3) - 1)).toBeLessThan(0.05);
  });
});

describe('samples', () => {
  const thinking = (think: string, ack = '') => `
servers: [{name: s1, service: 100us, cores: 8, distance: 50us}]
clients: [{name: c, connections: 4, distance: 100us, think: ${think}${ack}}]`;

  /** Mean of the request samples of the whole run, in us. */
  function sampledUs(text: string): number {
    const [balancer] = atEnd(text).balancers;
    return Math.round(balancer!.window(requestKind, 0).meanNs / 1e3);
  }

  it('a sample is the time from a request to the packet that shows its response', () => {
    expect(sampledUs(thinking('0'))).toBe(400);
  });

  it('a client that thinks acknowledges with its next request', () => {
    expect(sampledUs(thinking('5ms'))).toBe(5_400);
  });

  it('or with an ACK of its own when it thinks for longer than the ACK waits', () => {
    expect(sampledUs(thinking('100ms'))).toBe(40_400);
    expect(sampledUs(thinking('100ms', ', ack_delay: 0'))).toBe(400);
    expect(sampledUs(thinking('5ms', ', ack_delay: 2ms'))).toBe(2_400);
  });

  it('the handshake is sampled once a flow, and is the way there and back', () => {
    const simulation = atEnd(thinking('0', ', requests_per_connection: 50'));
    const window = simulation.balancers[0]!.window(handshakeKind, 0);
    expect(window.count).toBeGreaterThanOrEqual(simulation.flows - 4);
    expect(Math.round(window.meanNs / 1e3)).toBe(300);
  });

  it('requests less responses are what is in flight', () => {
    const { signals } = atEnd(thinking('5ms')).balancers[0]!;
    const { requests, responses, inFlight, handshakes } = signals[0]!;
    expect(requests - responses).toBe(inFlight);
    expect(inFlight).toBe(4);
    expect(handshakes).toBe(4);
  });
});

describe('the same again', () => {
  const scenario = aScenario(`
load_balancers: 3
servers: [{name: s1, service: {exponential: 1ms}}, {name: s2, service: {exponential: 1ms}}]
clients: [{name: c, rate: 1200, requests_per_connection: 5}]
events: [{from: 500ms, until: 1s, servers: [s1], speed: 0.5, stalls: {every: 10ms, duration: {exponential: 1ms}}}]`);

  it('the same seed gives the same result, to the last digit', () => {
    const run = () => simulate(scenario, { policies: ['balance', 'shift', 'oracle'], seed: 42 });
    expect(run()).toEqual(run());
  });

  it('another seed gives another one', () => {
    expect(underPolicy(scenario, 'static', 1).overall).not.toEqual(
      underPolicy(scenario, 'static', 2).overall,
    );
  });

  it('the scenario has a seed of its own', () => {
    const seeded = { ...scenario, seed: 7 };
    expect(simulate(seeded, { policies: ['static'] }).seed).toBe(7);
    expect(underPolicy(seeded, 'static')).toEqual(underPolicy(scenario, 'static', 7));
  });

  it('stopping on the way changes nothing', () => {
    const whole = aSimulation(scenario);
    whole.run();
    const parts = aSimulation(scenario);
    for (let timeNs = 0; timeNs < 2e9; timeNs += 7.3e6) parts.runUntil(timeNs);
    parts.run();
    expect(parts.recorder).toEqual(whole.recorder);
    expect(parts.requests).toBe(whole.requests);
  });
});

describe('affinity', () => {
  const drained = (affinity: boolean) => `
affinity: ${affinity}
servers: [{name: s1, service: 1ms, cores: 8}, {name: s2, service: 1ms, cores: 8}]
clients: [{name: c, connections: 20}]
events: [{from: 1s, servers: [s2], drained: true}]`;

  it('a drained backend keeps its flows, and no flow breaks', () => {
    const simulation = atEnd(drained(true));
    expect(simulation.flowsBroken).toBe(0);
    const [before, during] = simulation.recorder.phases;
    expect(during!.requestsOf[1]! / before!.requestsOf[1]!).toBeCloseTo(1, 1);
  });

  it('without affinity the flows of the slots that moved break', () => {
    const simulation = atEnd(drained(false));
    expect(simulation.flowsBroken).toBeGreaterThan(0);
    expect(simulation.recorder.phases[1]!.requestsOf[1]).toBeLessThan(20);
  });

  it('a drained backend gets no new flow until it is back', () => {
    const simulation = atEnd(`
servers: [{name: s1, service: 1ms, cores: 8}, {name: s2, service: 1ms, cores: 8}]
clients: [{name: c, connections: 20, requests_per_connection: 10}]
events: [{from: 500ms, until: 1s, servers: [s2], drained: true}]`);
    const [before, during, after] = simulation.recorder.phases.map(({ requestsOf }) => requestsOf[1]!);
    expect(before).toBeGreaterThan(1_000);
    expect(during).toBeLessThan(200);
    expect(after).toBeGreaterThan(1_000);
  });
});

it('a backend that is taken out twice is back when both are over', () => {
  const scenario = aScenario(`
servers: [{name: s1, service: 1ms, cores: 8}, {name: s2, service: 1ms, cores: 8}]
clients: [{name: c, connections: 20, requests_per_connection: 10}]
events:
  - {from: 200ms, until: 800ms, servers: [s2], drained: true}
  - {from: 400ms, until: 600ms, servers: [s2], drained: true}`);
  const simulation = aSimulation(scenario);
  const isUsableAt = (timeNs: number) => {
    simulation.runUntil(timeNs);
    return simulation.balancers[0]!.pool.isUsable(1);
  };
  expect([0.1e9, 0.3e9, 0.5e9, 0.7e9, 0.9e9].map(isUsableAt)).toEqual([true, false, false, false, true]);
});

it('open-loop connections end when they are old, also while they wait for a request', () => {
  const { flows, requests } = atEnd(`
servers: [{name: s1, service: 1ms}]
clients: [{name: c, rate: 20, lifetime: 10ms}]`);
  expect(flows / requests).toBeGreaterThan(0.8);
});

describe('several load balancers', () => {
  const simulation = atEnd(`
load_balancers: 4
servers: [{name: s1, service: 1ms, cores: 8}, {name: s2, service: 1ms, cores: 8}]
clients: [{name: c, connections: 100, requests_per_connection: 2}]`);

  it('each sees its part of the flows', () => {
    const flows = simulation.balancers.map(({ signals }) => signals[0]!.flows + signals[1]!.flows);
    expect(flows.reduce((sum, count) => sum + count, 0)).toBe(simulation.flows);
    for (const count of flows) expect(count / simulation.flows).toBeCloseTo(0.25, 1);
  });

  it('which one is independent of which backend', () => {
    for (const { signals } of simulation.balancers) {
      expect(signals[0]!.flows / (signals[0]!.flows + signals[1]!.flows)).toBeCloseTo(0.5, 1);
    }
  });
});

describe('a crash', () => {
  const crash = (mode: string, client: string, more = '') => `
duration: 4s
servers: [{name: s1, service: 1ms, cores: 8}, {name: s2, service: 1ms, cores: 8}]
clients: [{name: c, ${client}}]
events: [{from: 1s, until: 2s, servers: [s2], crash: ${mode}${more}}]`;

  it('of a host: clients send again, give up after their timeout, and connect anew', () => {
    const simulation = atEnd(
      crash('silent', 'connections: 20, requests_per_connection: 100, timeout: 700ms'),
    );
    const { retransmits, resets, synRetransmits } = simulation.balancers[0]!.signals[1]!;
    // Data again after 200 ms and 600 ms, and a reset at 700 ms; SYNs again after 1 s.
    expect(retransmits).toBeGreaterThanOrEqual(2 * resets);
    expect(resets).toBeGreaterThan(2);
    expect(synRetransmits).toBe(0);
    expect(simulation.flowsCrashed).toBe(resets);
    expect(simulation.recorder.phases[1]!.failed).toBeGreaterThan(resets);
    expect(simulation.recorder.phases[1]!.latency.maxNs).toBe(700e6);
    expect(simulation.recorder.phases[2]!.requestsOf[1]).toBeGreaterThan(1_000);
  });

  it('of a host: SYNs are sent again, and the connection comes about when it is back', () => {
    const simulation = atEnd(crash('silent', 'connections: 20, requests_per_connection: 5, timeout: 10s'));
    const { synRetransmits, flows, handshakes } = simulation.balancers[0]!.signals[1]!;
    expect(synRetransmits).toBeGreaterThan(2);
    expect(flows - handshakes).toBeLessThanOrEqual(20);
    expect(simulation.recorder.phases[2]!.requestsOf[1]).toBeGreaterThan(100);
  });

  it('of a process: to the load balancer its flows fall silent with their requests in flight', () => {
    const scenario = aScenario(crash('reset', 'connections: 20'));
    const simulation = aSimulation(scenario);
    simulation.runUntil(1.5e9);
    const [, s2] = simulation.balancers[0]!.signals;
    s2!.update(ns(1.5e9));
    expect(s2!.inFlight).toBe(simulation.flowsCrashed);
    expect(s2!.inFlight).toBeGreaterThan(2);
    expect(s2!.oldestNs).toBeGreaterThan(490e6);
    expect(s2!.flows).toBeGreaterThan(s2!.handshakes);
  });

  it('what is in flight on silent flows is forgotten after a minute', () => {
    const simulation = atEnd(
      crash('reset', 'connections: 20').replace('duration: 4s', 'duration: 90s').replace('1ms', '20ms'),
    );
    expect(simulation.flowsCrashed).toBeGreaterThan(2);
    expect(simulation.balancers[0]!.signals[1]!.inFlight).toBeLessThanOrEqual(20);
  });

  it('a health check takes the backend out and brings it back', () => {
    const flowsDuring = (more: string) => {
      const simulation = aSimulation(
        aScenario(crash('reset', 'connections: 20, requests_per_connection: 10', more)),
      );
      const [, s2] = simulation.balancers[0]!.signals;
      const flowsAt = (timeNs: number) => {
        simulation.runUntil(timeNs);
        s2!.update(ns(timeNs));
        return s2!.flows;
      };
      const before = flowsAt(1.2e9);
      return flowsAt(1.9e9) - before;
    };
    expect(flowsDuring('')).toBeGreaterThan(50);
    expect(flowsDuring(', detected_after: 100ms')).toBe(0);
  });
});

it('open-loop requests that find every connection busy are counted as failed', () => {
  const result = underPolicy(
    aScenario(`
servers: [{name: s1, service: 1s, cores: 8}]
clients: [{name: c, rate: 1000, connections: 10}]`),
    'static',
  );
  expect(result.failed).toBeGreaterThan(1_800);
});

it('an open loop follows its rate over time', () => {
  const { timeline } = underPolicy(
    aScenario(`
duration: 4s
servers: [{name: s1, service: 1us, cores: 8}]
clients: [{name: c, rate: {every: 2s, per_second: [1000, 5000]}}]`),
    'static',
  );
  const half = timeline.requests.length / 2;
  const sum = (counts: readonly number[]) => counts.reduce((all, count) => all + count, 0);
  expect(Math.abs(sum(timeline.requests.slice(0, half)) / 2_000 - 1)).toBeLessThan(0.1);
  expect(Math.abs(sum(timeline.requests.slice(half)) / 10_000 - 1)).toBeLessThan(0.1);
});
