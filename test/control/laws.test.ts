import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { controlRate, L3 } from '../../src/control/l3.ts';
import type { Policy } from '../../src/control/policy.ts';
import { reasonText } from '../../src/control/reason.ts';
import { createPolicy } from '../../src/control/registry.ts';
import { Window } from '../../src/latency/window.ts';
import { ns } from '../../src/units.ts';
import { anInput } from './input.ts';
import { GivenSignals } from './signals.ts';

/** Laws, and the ms in which their averages forget what was before. */
const laws = { l3: 60_000, c3: 3_000, 'peak-ewma': 3_000, prequal: 1_000 };

/** A pool on a law, with ticks of 50 ms; signals only where a test gives them. */
class Scene {
  readonly policy: Policy;
  readonly windows: Window[];
  readonly weights: Float64Array;
  readonly shares: Float64Array;
  readonly usable: Uint8Array;
  signals: GivenSignals[] = [];
  nowMs = 0;
  changes = 0;

  constructor(written: string, backends = 2) {
    this.policy = createPolicy(written);
    this.windows = Array.from({ length: backends }, () => new Window());
    this.weights = new Float64Array(backends).fill(1 / backends);
    this.shares = this.weights.slice();
    this.usable = new Uint8Array(backends).fill(1);
  }

  /** Lets ms pass, with ten samples per backend and tick of 50 ms of these latencies in ms; undefined gives none. */
  run(ms: number, latencies: readonly (number | undefined)[]): number[] {
    for (let i = 0; i < ms / 50; i++) {
      this.nowMs += 50;
      latencies.forEach((latency, b) => {
        if (latency === undefined) return;
        for (let n = 0; n < 10; n++) this.windows[b]!.record(latency * 1e6);
        this.signals[b]?.answer(10);
      });
      const { windows, weights, shares, usable, signals } = this;
      const input = anInput({ now: ns(this.nowMs * 1e6), windows, weights, shares, usable, signals });
      if (this.policy.decide(input)) this.changes++;
    }
    return [...this.shares];
  }
}

for (const [law, longMs] of Object.entries(laws)) {
  const written = law === 'peak-ewma' ? 'peak-ewma:decay=500ms' : law;
  describe(law, () => {
    it('keeps equal backends at their weights', () => {
      const scene = new Scene(written);
      scene.weights.set([0.75, 0.25]);
      scene.shares.set([0.75, 0.25]);
      const shares = scene.run(longMs, [5, 5]);
      // Requests in flight are as many on both, but not per weight.
      const tolerance = law === 'prequal' ? 0.25 : 0.2;
      expect(Math.abs(shares[0]! - 0.75)).toBeLessThan(tolerance);
    });

    it('prefers the faster backend and gives a recovered one its share again', () => {
      const scene = new Scene(written);
      expect(scene.run(longMs, [5, 20])[1]).toBeLessThan(0.35);
      const [, again] = scene.run(2 * longMs, [5, 5]);
      expect(again).toBeGreaterThan(law === 'prequal' ? 0.1 : 0.45);
    });

    it('acts once per period', () => {
      const scene = new Scene(`${law}:period=1s`);
      for (let s = 0; s < 12; s++) scene.run(1000, s % 2 === 0 ? [5, 9] : [9, 5]);
      expect(scene.changes).toBeGreaterThanOrEqual(10);
      expect(scene.changes).toBeLessThanOrEqual(12);
    });

    it('says which latency it was and what the share became', () => {
      const scene = new Scene(law);
      scene.run(6_000, [5, 20]);
      const [reason] = scene.policy.reasons!;
      expect(reason).toMatchObject({ cause: 'weight', kind: 'request' });
      expect(reasonText(reason!)).toMatch(
        /^request p50 (5|20)ms vs pool (5|20)ms over .*, \d+ samples -> share /,
      );
    });

    it('does not change the share of a backend that cannot be used', () => {
      const scene = new Scene(law, 3);
      scene.usable[2] = 0;
      const shares = scene.run(longMs, [5, 20, undefined]);
      expect(shares[2]).toBe(1 / 3);
      expect(shares[0]).toBeGreaterThan(shares[1]!);
    });

    it('leaves everything without samples, without backends and with one', () => {
      expect(new Scene(law).run(5_000, [undefined, undefined])).toEqual([0.5, 0.5]);
      expect(new Scene(law, 0).run(1000, [])).toEqual([]);
      expect(new Scene(law, 1).run(5_000, [5])).toEqual([1]);
    });

    it('keeps the sum of shares, whatever is measured', () => {
      const latency = fc.oneof(fc.double({ min: 0.001, max: 5000, noNaN: true }), fc.constant(undefined));
      const rows = fc.array(fc.array(latency, { minLength: 4, maxLength: 4 }), { maxLength: 8 });
      fc.assert(
        fc.property(rows, (given) => {
          const scene = new Scene(`${law}:period=20ms`, 4);
          for (const row of given) {
            const shares = scene.run(100, row);
            expect(shares.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 9);
            expect(Math.min(...shares)).toBeGreaterThanOrEqual(0);
          }
        }),
        { numRuns: 20 },
      );
    });
  });
}

describe('l3', () => {
  it('weighs by the inverse of p99 once averages have left their start behind', () => {
    const [fast, slow] = new Scene('l3').run(120_000, [50, 100]);
    expect(fast! / slow!).toBeCloseTo(2 * (1.1 / 1.05) ** 2, 0);
  });

  it('adds a penalty for failures to the latency', () => {
    const scene = new Scene('l3:period=1s:rate-half-life=1s:latency-half-life=1s');
    scene.signals = [new GivenSignals(), new GivenSignals()];
    for (let s = 0; s < 60; s++) {
      scene.run(1000, [50, 50]);
      scene.signals[1]!.resets += 50;
    }
    // A fifth of all attempts fails: 50 ms + 600 ms * (1 / 0.8 - 1) = 200 ms.
    expect(scene.shares[0]! / scene.shares[1]!).toBeCloseTo(4, 0);
  });

  it('follows a peak at once if told to, where the plain average takes its half-life', () => {
    const peak = new Scene('l3:ewma=peak:period=1s');
    const plain = new Scene('l3:period=1s');
    for (const scene of [peak, plain]) {
      scene.run(50_000, [50, 50]);
      scene.run(1000, [50, 500]);
    }
    expect(peak.shares[1]).toBeLessThan(0.12);
    expect(plain.shares[1]).toBeGreaterThan(0.2);
  });

  it('begins with a latency of 5 s, so that a new backend gets little at first', () => {
    const scene = new Scene('l3');
    scene.run(100_000, [50, undefined]);
    expect(scene.shares[1]).toBeLessThan(0.05);
  });

  it('changes weights with the rate as its Figure 4 shows', () => {
    const weightAfter = (weight: number, other: number, c: number) => {
      const weights = Float64Array.of(weight, other);
      controlRate(weights, c);
      return weights[0]!;
    };
    expect(weightAfter(2000, 0.5, 0)).toBe(2000);
    // Half the rate: a weight of twice the mean grows to over 2800, one of half the mean shrinks.
    expect(weightAfter(2000, 0, -0.5)).toBeGreaterThan(2800);
    expect(weightAfter(2000, 0, -0.5)).toBeLessThan(2850);
    expect(weightAfter(500, 1500, -0.5)).toBeLessThan(500);
    // A rising rate brings both closer to the mean.
    expect(weightAfter(2000, 0, 3)).toBeCloseTo(1032, 0);
    expect(weightAfter(500, 1500, 3)).toBeCloseTo(984, 0);
  });

  it('never weighs less than 1', () => {
    const weights = Float64Array.of(1, 1_000_000);
    controlRate(weights, -10);
    expect(weights[0]).toBe(1);
  });

  for (const given of [{ penalty: 0 }, { percentile: 100 }, { period: Number.NaN }]) {
    it(`refuses ${JSON.stringify(given)}`, () => {
      expect(() => new L3(given)).toThrow(expect.objectContaining({ code: 'USAGE' }));
    });
  }
});

describe('c3', () => {
  it('weighs requests in flight with the third power', () => {
    const scene = new Scene('c3');
    scene.signals = [new GivenSignals(), new GivenSignals()];
    scene.signals[1]!.sentNs = new Array(9).fill(0);
    const [idle, busy] = scene.run(5000, [10, 10]);
    // Psi: R, and R - R/10 + 100 R.
    expect(idle! / busy!).toBeCloseTo(100.9, 0);
  });
});

describe('peak-ewma', () => {
  it('remembers a peak for its decay time', () => {
    const scene = new Scene('peak-ewma:decay=1s');
    scene.run(1000, [5, 5]);
    expect(scene.run(50, [5, 100])[1]).toBeLessThan(0.1);
    expect(scene.run(500, [5, 5])[1]).toBeLessThan(0.15);
    expect(scene.run(10_000, [5, 5])[1]).toBeGreaterThan(0.4);
  });
});

describe('prequal', () => {
  it('takes the fastest of those that are not hot, with the chance of the best of three', () => {
    const shares = new Scene('prequal:quantile=1', 4).run(5000, [10, 20, 30, 40]);
    const expected = [64 - 27, 27 - 8, 8 - 1, 1].map((chance) => chance / 64);
    shares.forEach((share, b) => {
      expect(share).toBeCloseTo(expected[b]!, 2);
    });
  });

  it('avoids a hot backend even if it is the fastest', () => {
    const scene = new Scene('prequal:quantile=0.6', 3);
    scene.signals = [new GivenSignals(), new GivenSignals(), new GivenSignals()];
    scene.signals[0]!.sentNs = new Array(50).fill(0);
    const shares = scene.run(5000, [1, 20, 30]);
    expect(shares[0]).toBeLessThan(shares[1]!);
    expect(shares[0]).toBeLessThan(shares[2]!);
  });
});
