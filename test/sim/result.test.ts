import { describe, expect, it } from 'vitest';
import type { Policy, PolicyInput } from '../../src/control/policy.ts';
import { stepCount } from '../../src/sim/recorder.ts';
import { policyResult } from '../../src/sim/result.ts';
import { Simulation } from '../../src/sim/simulation.ts';
import { aScenario } from './scenarios.ts';

/** Gives the second of two servers these shares from these times in ms on. */
class Scripted implements Policy {
  readonly name = 'scripted';
  readonly trigger = 'tick';
  readonly #script: readonly (readonly [ms: number, share: number])[];
  #at = -1;

  constructor(script: readonly (readonly [ms: number, share: number])[]) {
    this.#script = script;
  }

  decide({ now, shares }: PolicyInput): boolean {
    let at = this.#at;
    while (at + 1 < this.#script.length && this.#script[at + 1]![0] * 1e6 <= now) at++;
    if (at === this.#at) return false;
    this.#at = at;
    shares[1] = this.#script[at]![1];
    shares[0] = 1 - shares[1];
    return true;
  }
}

const scenario = aScenario(`
duration: 4s
warmup: 500ms
servers: [{name: s1, service: 100us, cores: 4}, {name: s2, service: 100us, cores: 4}]
clients: [{name: c, connections: 4, requests_per_connection: 5}]
events: [{from: 1s, until: 2s, servers: [s2], delay: 1ms}]`);

function resultOf(...script: (readonly [ms: number, share: number])[]) {
  const simulation = new Simulation(scenario, () => new Scripted(script), 1);
  simulation.run();
  return policyResult(scenario, 'scripted', [simulation]);
}

describe('phases', () => {
  const { phases, overall, requests } = resultOf([0, 0.5], [1_250, 0.1], [2_500, 0.5]);

  it('are those of the scenario, without the warm-up', () => {
    expect(phases.map(({ phase, from_s, until_s }) => [phase, from_s, until_s])).toEqual([
      ['before', 0.5, 1],
      ['during', 1, 2],
      ['after', 2, 4],
    ]);
    const counted = phases.reduce((sum, phase) => sum + phase.requests, 0);
    expect(counted).toBeLessThan(requests);
    expect(counted / requests).toBeGreaterThan(0.8);
  });

  it('the latencies of all together lie between those of each', () => {
    const means = phases.map(({ mean_ns }) => mean_ns!);
    expect(overall.mean_ns!).toBeGreaterThan(Math.min(...means));
    expect(overall.mean_ns!).toBeLessThan(Math.max(...means));
  });

  it('shares are means over time, with their deviation and the farthest from the configured one', () => {
    const [before, during, after] = phases;
    expect(before!.backends[1]).toMatchObject({ share_mean: 0.5, share_sd: 0 });
    expect(before!.share_deviation).toBe(0);
    // A quarter of the time at 0.5, the rest at 0.1.
    expect(during!.backends[1]!.share_mean).toBeCloseTo(0.2, 3);
    expect(during!.backends[1]!.share_sd).toBeCloseTo(0.4 * Math.sqrt(0.25 * 0.75), 3);
    expect(during!.share_deviation).toBeCloseTo(0.8, 9);
    expect(after!.backends[1]!.share_mean).toBeCloseTo(0.25 * 0.1 + 0.75 * 0.5, 3);
    expect(after!.share_deviation).toBeCloseTo(0.8, 9);
  });

  it('moved slots count where they moved', () => {
    const moved = phases.map(({ slots_moved }) => slots_moved);
    expect(moved[0]).toBe(0);
    for (const slots of moved.slice(1))
      expect(Math.abs(slots / (0.4 * scenario.slots) - 1)).toBeLessThan(0.02);
  });

  it('a server with a tenth of the slots gets about a tenth of the flows', () => {
    const [, during] = phases;
    const [s1, s2] = during!.backends.map(({ requests }) => requests);
    expect(s2! / (s1! + s2!)).toBeLessThan(0.25);
  });
});

describe('reactions', () => {
  it('count until nine tenths of the way to where the share settled', () => {
    const result = resultOf([0, 0.5], [1_010, 0.3], [1_040, 0.13], [1_060, 0.1]);
    expect(result.react_ms!).toBeGreaterThanOrEqual(40);
    expect(result.react_ms!).toBeLessThanOrEqual(41);
    expect(result.focus_share).toEqual({ configured: 0.5, settled: expect.closeTo(0.1, 3) });
  });

  it('are none where the share stays', () => {
    expect(resultOf([0, 0.5], [1_100, 0.49]).react_ms).toBeNull();
  });

  it('a recovery is the last time that the share came within 5 %', () => {
    const recovery = (...script: (readonly [number, number])[]) =>
      resultOf([0, 0.5], [1_010, 0.1], ...script).recover_ms;
    expect(recovery([2_200, 0.48])).toBeCloseTo(201, -0.5);
    expect(recovery([2_200, 0.48], [2_300, 0.4], [2_400, 0.51])).toBeCloseTo(401, -0.5);
    expect(recovery([2_200, 0.48], [2_300, 0.4])).toBeNull();
    expect(recovery()).toBeNull();
  });

  it('a share that never left has recovered at once', () => {
    expect(resultOf([0, 0.5]).recover_ms).toBe(0);
  });
});

describe('several runs', () => {
  const run = ([share, backMs, seed]: readonly [number, number, number]) => {
    const simulation = new Simulation(
      scenario,
      () =>
        new Scripted([
          [0, 0.5],
          [1_010, share],
          [backMs, 0.5],
        ]),
      seed,
    );
    simulation.run();
    return simulation;
  };
  const each = [
    [0.1, 2_200, 1],
    [0.2, 2_400, 2],
    [0.3, 3_000, 3],
  ] as const;
  const single = each.map((one) => policyResult(scenario, 'scripted', [run(one)]));
  const all = policyResult(
    scenario,
    'scripted',
    each.map((one) => run(one)),
  );

  it('count together', () => {
    expect(all.requests).toBe(single.reduce((sum, { requests }) => sum + requests, 0));
    all.phases.forEach((phase, i) => {
      expect(phase.requests).toBe(single.reduce((sum, { phases }) => sum + phases[i]!.requests, 0));
      const means = single.map(({ phases }) => phases[i]!.backends[1]!.share_mean);
      expect(phase.backends[1]!.share_mean).toBeCloseTo((means[0]! + means[1]! + means[2]!) / 3, 9);
    });
    expect(all.phases[1]!.share_deviation).toBeCloseTo(0.8, 9);
  });

  it('give the median of their times and the mean of where they settled', () => {
    expect(all.react_ms).toBe(single[1]!.react_ms);
    expect(all.recover_ms).toBe(single[1]!.recover_ms);
    expect(all.focus_share!.settled).toBeCloseTo(0.2, 3);
  });

  it('have the timeline of the first one', () => {
    expect(all.timeline).toEqual(single[0]!.timeline);
  });
});

describe('the timeline', () => {
  const { timeline, requests } = resultOf([0, 0.5], [1_250, 0.1], [2_500, 0.5]);

  it('has as many points in every line, from the beginning to the end', () => {
    for (const line of [
      timeline.requests,
      timeline.failed,
      timeline.p50_ns,
      timeline.p99_ns,
      ...timeline.shares,
    ]) {
      expect(line).toHaveLength(stepCount);
    }
    expect(timeline.step_s * stepCount).toBeCloseTo(4, 9);
    expect(timeline.requests.reduce((sum, count) => sum + count, 0)).toBe(requests);
  });

  it('shares are means over each step, and add up to 1', () => {
    const at = (timeS: number) => timeline.shares[1]![Math.floor(timeS / timeline.step_s)];
    expect([at(0.9), at(1.5), at(3)]).toEqual([0.5, 0.1, 0.5]);
    timeline.shares[0]!.forEach((share, step) => {
      expect(share + timeline.shares[1]![step]!).toBeCloseTo(1, 4);
    });
  });

  it('latencies rise while the server is slow and gets requests', () => {
    const at = (timeS: number) => timeline.p99_ns[Math.floor(timeS / timeline.step_s)]!;
    expect(at(1.1)).toBeGreaterThan(1e6);
    expect(at(0.9)).toBeLessThan(0.5e6);
    expect(at(3)).toBeLessThan(0.5e6);
  });
});
