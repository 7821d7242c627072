import { describe, expect, test } from 'vitest';
import { figuresOf } from '../../src/demo/figures.ts';
import { aTimeline, inBandTimeline, injectedMs, removedMs, staticTimeline } from './results.ts';

describe('figures of a run', () => {
  test('a static table keeps its shares and its p95 inflated, and says so by nulls', () => {
    expect(figuresOf(staticTimeline())).toEqual({
      p95_us: { before: 500, during: 1500, after: 500 },
      slowed_share: { at_injection: 0.5, during_mean: 0.5, during_min: 0.5 },
      reaction: { first_slot_moved_ms: null, new_flows_moved_ms: null, p95_back_ms: null },
    });
  });

  test('in-band control is timed from the injection to each step of its reaction', () => {
    const { p95_us, slowed_share, reaction } = figuresOf(inBandTimeline());
    expect(p95_us).toEqual({ before: 500, during: 500, after: 500 });
    expect(slowed_share.at_injection).toBe(1);
    expect(slowed_share.during_min).toBe(0);
    // 2 ms at 1, then 1 ms each at 0.8 to 0.2, of 2 s.
    expect(slowed_share.during_mean).toBeCloseTo((2 + 0.8 + 0.6 + 0.4 + 0.2) / 2000, 9);
    expect(reaction).toEqual({ first_slot_moved_ms: 2, new_flows_moved_ms: 6, p95_back_ms: 60 });
  });

  test('slots that come to the slower server are no reaction; the next that leave it are', () => {
    const shares = [0.5, 0.6, 0.4].map((share, step) => ({
      timeMs: step === 0 ? 0 : injectedMs + step,
      share: [share, 1 - share],
    }));
    const { reaction } = figuresOf(aTimeline(2000, shares, 0));
    expect(reaction).toMatchObject({ first_slot_moved_ms: 2, new_flows_moved_ms: null });
  });

  test('what happens after the removal is no reaction', () => {
    const shares = [
      { timeMs: 0, share: [1, 0] },
      { timeMs: removedMs + 1, share: [0, 1] },
    ];
    expect(figuresOf(aTimeline(2000, shares, 0)).reaction).toEqual({
      first_slot_moved_ms: null,
      new_flows_moved_ms: null,
      p95_back_ms: null,
    });
  });

  test('a slower server that had hardly any slots has no new flows to move', () => {
    const { reaction } = figuresOf(aTimeline(0, [{ timeMs: 0, share: [0.05, 0.95] }], 0));
    expect(reaction).toEqual({ first_slot_moved_ms: null, new_flows_moved_ms: 0, p95_back_ms: 0 });
  });

  test('p95 is back once its median over 100 ms is: a short dip is not it, and a stall after it no relapse', () => {
    const timeline = aTimeline(2000, [{ timeMs: 0, share: [1, 0] }], 0);
    const backAfter = (...dips: [fromMs: number, toMs: number][]) => {
      const intervals = timeline.intervals.map((one) =>
        dips.some(([fromMs, toMs]) => one.fromMs >= fromMs && one.fromMs < toMs)
          ? { ...one, p95Us: 600 }
          : one,
      );
      return figuresOf({ ...timeline, intervals }).reaction.p95_back_ms;
    };
    expect(backAfter([2500, 2550])).toBeNull();
    expect(backAfter([2500, 2560])).toBe(500);
    expect(backAfter([2500, 2510], [2700, 2730], [2740, 4000])).toBe(700);
  });

  test('intervals without a request are neither good nor bad, and a run without any has no p95', () => {
    const timeline = inBandTimeline();
    const empty = timeline.intervals.map((one) => ({ ...one, requests: 0, p95Us: null }));
    const { p95_us, reaction } = figuresOf({ ...timeline, intervals: empty });
    expect(p95_us).toEqual({ before: null, during: null, after: null });
    expect(reaction.p95_back_ms).toBeNull();
  });
});
