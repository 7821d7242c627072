import fc from 'fast-check';
import { build } from 'hdr-histogram-js';
import { describe, expect, it } from 'vitest';
import { latencyNsMax } from '../../src/latency/estimator.ts';
import { LatencyHistogram } from '../../src/latency/histogram.ts';
import { Window, WindowSet } from '../../src/latency/window.ts';

/** Latencies of every size, most of them where latencies are. */
const latency = fc.oneof(
  fc.nat(5000),
  fc.integer({ min: 1000, max: 10e6 }),
  fc.integer({ min: 0, max: latencyNsMax }),
  // At the edges of octaves, where bins change their width.
  fc
    .tuple(fc.integer({ min: 0, max: 41 }), fc.constantFrom(-1, 0, 1))
    .map(([exponent, off]) => Math.max(0, 2 ** exponent + off)),
);
const latencies = fc.array(latency, { minLength: 1, maxLength: 300, size: 'max' });
const percent = fc.oneof(
  fc.constantFrom(50, 90, 95, 99, 99.9, 100),
  fc.double({ min: 0.01, max: 100, noNaN: true }),
);

function windowOf(samples: readonly number[]): Window {
  const window = new Window();
  for (const sample of samples) window.record(sample);
  return window;
}

/** The smallest sample that at least `percent` of all do not exceed. */
function exactPercentile(samples: readonly number[], percent: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted.find((_, i) => (i + 1) / sorted.length >= percent / 100 - 1e-12)!;
}

function expectWithin(actual: number, exact: number, fraction: number): void {
  expect(Math.abs(actual - exact)).toBeLessThanOrEqual(exact * fraction);
}

describe('a window', () => {
  it('gives percentiles within 0.1 % of the exact ones, never above the maximum', () => {
    fc.assert(
      fc.property(latencies, percent, (samples, percent) => {
        const window = windowOf(samples);
        const p = window.percentileNs(percent);
        expectWithin(p, exactPercentile(samples, percent), 0.001);
        expect(p).toBeLessThanOrEqual(Math.max(...samples));
      }),
      { numRuns: 150 },
    );
  });

  it('gives the exact count and maximum, and the mean within 0.1 %', () => {
    fc.assert(
      fc.property(latencies, (samples) => {
        const window = windowOf(samples);
        expect(window.count).toBe(samples.length);
        expect(window.maxNs).toBe(Math.max(...samples));
        expect(window.lastNs).toBe(samples.at(-1));
        expectWithin(window.meanNs, samples.reduce((sum, sample) => sum + sample, 0) / samples.length, 0.001);
      }),
      { numRuns: 50 },
    );
  });

  it('holds negative samples as 0, except that their sum is in the mean', () => {
    const window = windowOf([-300, 100, 200]);
    expect(window.count).toBe(3);
    expect(window.meanNs).toBeCloseTo(0, 6);
    expect(window.percentileNs(1)).toBe(0);
    expect(window.lastNs).toBe(200);
    const sum = new Window();
    sum.add(window);
    sum.record(-300);
    expect(sum.meanNs).toBeCloseTo(-75, 6);
    sum.reset();
    expect(sum.meanNs).toBe(0);
  });

  it('is empty before the first sample', () => {
    const window = new Window();
    expect([window.count, window.maxNs, window.meanNs, window.percentileNs(50)]).toEqual([0, 0, 0, 0]);
    expect(window.lastNs).toBeNaN();
  });

  it('gives a single sample as every percentile', () => {
    expect([0.01, 50, 100].map((p) => windowOf([1_000_001]).percentileNs(p))).toEqual([
      1_000_001, 1_000_001, 1_000_001,
    ]);
  });

  it('keeps fractions of a nanosecond within the width of a bin', () => {
    expect(windowOf([0.5]).percentileNs(50)).toBe(0);
    expectWithin(windowOf([123_456.7]).percentileNs(50), 123_456.7, 0.001);
    expect(windowOf([123_456.7]).maxNs).toBe(123_456.7);
  });

  it('takes 0 and an hour, and refuses what is no latency without counting it', () => {
    const window = windowOf([0, latencyNsMax]);
    for (const wrong of [Number.NaN, -latencyNsMax - 1, latencyNsMax + 1, Number.POSITIVE_INFINITY]) {
      expect(() => window.record(wrong)).toThrow(RangeError);
    }
    expect(window.count).toBe(2);
    expect(window.lastNs).toBe(latencyNsMax);
  });

  it('is empty after a reset, but for its latest sample', () => {
    const window = windowOf([7, 5_000_000]);
    window.reset();
    expect([window.count, window.maxNs, window.meanNs, window.percentileNs(99)]).toEqual([0, 0, 0, 0]);
    expect(window.lastNs).toBe(5_000_000);
    window.record(3);
    expect([window.count, window.maxNs, window.percentileNs(99)]).toEqual([1, 3, 3]);
  });

  it('that had others added is what one window of all samples would be', () => {
    fc.assert(
      fc.property(fc.array(latencies, { minLength: 1, maxLength: 4 }), (parts) => {
        const sum = new Window();
        for (const part of parts) sum.add(windowOf(part));
        const all = windowOf(parts.flat());
        expect([sum.count, sum.maxNs, sum.meanNs]).toEqual([all.count, all.maxNs, all.meanNs]);
        for (const p of [1, 50, 90, 99, 100]) expect(sum.percentileNs(p)).toBe(all.percentileNs(p));
      }),
      { numRuns: 20 },
    );
  });

  it('has the exact maximum when a smaller one is added to it or it is added to a larger one', () => {
    const large = () => windowOf([5_000_001]);
    const small = () => windowOf([1_001]);
    for (const [to, from] of [
      [large(), small()],
      [small(), large()],
    ] as const) {
      to.add(from);
      expect(to.maxNs).toBe(5_000_001);
      expect(to.percentileNs(100)).toBe(5_000_001);
    }
  });
});

it('a histogram finds the bins that the library finds', () => {
  const library = build({ numberOfSignificantValueDigits: 3, highestTrackableValue: 2 ** 50 });
  const ours = new LatencyHistogram();
  const indexOf = (histogram: object, value: number): number =>
    (histogram as LatencyHistogram).countsArrayIndex(value);
  fc.assert(
    fc.property(fc.oneof(latency, fc.double({ min: 0, max: latencyNsMax, noNaN: true })), (value) => {
      expect(indexOf(ours, value)).toBe(indexOf(library, value));
    }),
    { numRuns: 5000 },
  );
});

describe('a set of windows', () => {
  it('has one window per backend and kind', () => {
    const set = new WindowSet(3);
    set.of(0, 2).record(1);
    set.of(1, 0).record(2);
    expect(set.of(0, 2).count).toBe(1);
    expect(set.of(1, 0).lastNs).toBe(2);
    expect(set.of(0, 2)).toBe(set.of(0, 2));
    expect(set.of(70, 1).count).toBe(0);
  });

  it('can be looked into without making a window', () => {
    const set = new WindowSet(2);
    expect(set.peek(4, 1)).toBeUndefined();
    const window = set.of(4, 1);
    expect(set.peek(4, 1)).toBe(window);
    expect(set.peek(4, 0)).toBeUndefined();
  });
});
