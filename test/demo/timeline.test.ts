import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { median, p95OnGrid, serverInFocus, shareOnGrid, sharesAt } from '../../src/demo/timeline.ts';
import { aTimeline, inBandTimeline, staticTimeline } from './results.ts';

describe('a timeline', () => {
  test('knows the shares that hold at a moment, and none before the first', () => {
    const timeline = inBandTimeline();
    expect(sharesAt(timeline, -901)).toBeUndefined();
    expect(sharesAt(timeline, 99)).toEqual([0.5, 0.5]);
    expect(sharesAt(timeline, 100)).toEqual([1, 0]);
    expect(sharesAt(timeline, 9000)).toEqual([0, 1]);
  });

  test('has the slowed server in focus, and the one with most slots until there is one', () => {
    const { slowed, ...rest } = inBandTimeline();
    expect(slowed).toBe(0);
    expect(serverInFocus(inBandTimeline())).toBe(0);
    expect(serverInFocus({ ...rest, slowed: undefined })).toBe(1);
    expect(serverInFocus({ ...rest, slowed: undefined, shares: [{ timeMs: 0, share: [0.5, 0.5] }] })).toBe(1);
    expect(serverInFocus({ ...rest, slowed: undefined, shares: [{ timeMs: 0, share: [0.6, 0.4] }] })).toBe(0);
    expect(serverInFocus({ ...rest, slowed: undefined, shares: [] })).toBe(0);
  });
});

describe('on a grid', () => {
  test("p95 is the median of a step's intervals, and null where there are none", () => {
    const p95 = p95OnGrid(staticTimeline(), { stepMs: 1000, count: 8 });
    expect(p95).toEqual([500, 500, 1500, 1500, 500, 500, null, null]);
  });

  test('a share is the mean over the step, also where it changes within, and ends where the run has come to', () => {
    const timeline = aTimeline(
      0,
      [
        { timeMs: 0, share: [0.5, 0.5] },
        { timeMs: 150, share: [1, 0] },
        { timeMs: 175, share: [0, 1] },
      ],
      0,
    );
    const share = shareOnGrid(timeline, 0, { stepMs: 100, count: 4 }, 300);
    expect(share).toEqual([0.5, 0.5 * 0.5 + 0.25, 0, null]);
  });

  test('a share is null before it is known', () => {
    const timeline = aTimeline(0, [{ timeMs: 250, share: [0.2, 0.8] }], 0);
    const share = shareOnGrid(timeline, 1, { stepMs: 100, count: 4 }, 400);
    expect(share.slice(0, 2)).toEqual([null, null]);
    expect(share[2]).toBeCloseTo(0.8, 9);
    expect(share[3]).toBeCloseTo(0.8, 9);
  });

  test('shares never leave the range of those there were', () => {
    const steps = fc.array(
      fc.tuple(fc.integer({ min: -50, max: 500 }), fc.double({ min: 0, max: 1, noNaN: true })),
      {
        minLength: 1,
        maxLength: 20,
      },
    );
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 90 }), (changes, stepMs) => {
        const shares = changes
          .sort(([a], [b]) => a - b)
          .map(([timeMs, share]) => ({ timeMs, share: [share, 1 - share] }));
        const values = shares.map(({ share }) => share[0]!);
        const [low, high] = [Math.min(...values) - 1e-9, Math.max(...values) + 1e-9];
        for (const share of shareOnGrid(aTimeline(0, shares, 0), 0, { stepMs, count: 10 }, 500)) {
          if (share !== null) expect(share >= low && share <= high).toBe(true);
        }
      }),
    );
  });
});

test('the median of none is null, and of two the upper one', () => {
  expect(median([])).toBeNull();
  expect(median([2, 1])).toBe(2);
  expect(median([3, 1, 2])).toBe(2);
});
