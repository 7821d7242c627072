import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { alphaDefault, Shift } from '../../src/control/shift.ts';
import { Window } from '../../src/latency/window.ts';
import { anInput } from './input.ts';

/** Windows whose latest samples are these; undefined is a backend without one. */
function windowsOf(latencies: readonly (number | undefined)[]): Window[] {
  return latencies.map((latency) => {
    const window = new Window();
    if (latency !== undefined) window.record(latency);
    return window;
  });
}

/** Shares after one decision, and whether it says that it changed them. */
function decide(latencies: readonly (number | undefined)[], before: readonly number[], alpha?: number) {
  const shares = Float64Array.from(before);
  const weights = Float64Array.from(before, () => 1 / before.length);
  const changed = new Shift(alpha).decide(anInput({ windows: windowsOf(latencies), weights, shares }));
  return { changed, shares: [...shares] };
}

const rounded = (shares: readonly number[]) => shares.map((share) => Number(share.toFixed(12)));

describe('a shift', () => {
  it('takes 10 % of all traffic from the slowest of two backends', () => {
    const { changed, shares } = decide([1e6, 2e6], [0.5, 0.5]);
    expect(changed).toBe(true);
    expect(rounded(shares)).toEqual([0.6, 0.4]);
  });

  it('is a fraction of the total, not of what the backend has', () => {
    expect(rounded(decide([1e6, 2e6], [0.8, 0.2]).shares)).toEqual([0.9, 0.1]);
  });

  it('gives equally to all others, whatever they have', () => {
    expect(rounded(decide([3, 9, 5, 4], [0.1, 0.4, 0.2, 0.3], 0.3).shares)).toEqual([0.2, 0.1, 0.3, 0.4]);
  });

  it('takes what there is from a backend with less than alpha', () => {
    const { shares } = decide([1, 1, 2], [0.6, 0.36, 0.04]);
    expect(rounded(shares)).toEqual([0.62, 0.38, 0]);
    expect(shares[2]).toBe(0);
  });

  it('moves nothing from a backend that has nothing', () => {
    expect(decide([1, 2], [1, 0])).toEqual({ changed: false, shares: [1, 0] });
  });

  it('moves nothing while all known latencies are equal', () => {
    expect(decide([5, 5, 5], [0.2, 0.3, 0.5])).toEqual({ changed: false, shares: [0.2, 0.3, 0.5] });
    expect(decide([5, undefined, 5], [0.2, 0.3, 0.5])).toEqual({ changed: false, shares: [0.2, 0.3, 0.5] });
  });

  it('moves nothing with one latency known, or none', () => {
    expect(decide([undefined, 7], [0.5, 0.5]).changed).toBe(false);
    expect(decide([undefined, undefined], [0.5, 0.5]).changed).toBe(false);
    expect(decide([7], [1])).toEqual({ changed: false, shares: [1] });
    expect(decide([], [])).toEqual({ changed: false, shares: [] });
  });

  it('does not judge a backend without a sample, but gives to it', () => {
    expect(rounded(decide([2, undefined, 1], [0.4, 0.2, 0.4]).shares)).toEqual([0.3, 0.25, 0.45]);
  });

  it('takes from the first of several that are slowest', () => {
    expect(rounded(decide([9, 9, 1], [0.4, 0.3, 0.3]).shares)).toEqual([0.3, 0.35, 0.35]);
  });

  it('judges by the latest sample alone', () => {
    const windows = windowsOf([9, 5]);
    windows[0]!.record(1);
    const shares = Float64Array.of(0.5, 0.5);
    new Shift().decide(anInput({ windows, weights: shares.slice(), shares }));
    expect(rounded([...shares])).toEqual([0.6, 0.4]);
  });

  it('keeps the sum of shares and leaves none negative, over any number of decisions', () => {
    const backends = fc.integer({ min: 1, max: 20 });
    const alpha = fc.oneof(fc.constantFrom(0.1, 1, 1e-9), fc.double({ min: 1e-6, max: 1, noNaN: true }));
    const sample = fc.tuple(fc.nat(19), fc.integer({ min: 0, max: 5 }));
    const samples = fc.array(sample, { maxLength: 300, size: 'max' });
    fc.assert(
      fc.property(backends, alpha, samples, (count, alpha, samples) => {
        const windows = windowsOf(new Array(count).fill(undefined));
        const shares = new Float64Array(count).fill(1 / count);
        const weights = shares.slice();
        const policy = new Shift(alpha);
        for (const [backend, latency] of samples) {
          windows[backend % count]!.record(latency);
          const before = shares.slice();
          const changed = policy.decide(anInput({ windows, weights, shares }));
          expect(changed).toBe(shares.some((share, b) => share !== before[b]));
          const taken = before.filter((share, b) => shares[b]! < share);
          expect(taken.length).toBe(changed ? 1 : 0);
        }
        expect(Math.min(...shares)).toBeGreaterThanOrEqual(0);
        expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 12);
        expect([...weights]).toEqual(new Array(count).fill(1 / count));
      }),
      { numRuns: 40 },
    );
  });
});

describe('alpha', () => {
  it('is that of the paper if not given', () => {
    expect(alphaDefault).toBe(0.1);
    expect(decide([1, 2], [0.5, 0.5])).toEqual(decide([1, 2], [0.5, 0.5], 0.1));
  });

  it('may be all of the traffic', () => {
    expect(decide([1, 2], [0.5, 0.5], 1).shares).toEqual([1, 0]);
  });

  for (const alpha of [0, -0.1, 1.01, Number.NaN, Number.POSITIVE_INFINITY]) {
    it(`of ${alpha} is refused with a hint`, () => {
      expect(() => new Shift(alpha)).toThrow(
        expect.objectContaining({
          code: 'USAGE',
          message: `alpha: ${alpha} is not a fraction above 0 and at most 1`,
          hint: expect.stringContaining('0.1'),
        }),
      );
    });
  }
});

it('it asks to decide at every sample', () => {
  expect(new Shift()).toMatchObject({ name: 'shift', trigger: 'sample' });
});
