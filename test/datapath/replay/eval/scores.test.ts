import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Latencies } from '../../../../src/datapath/replay/eval/samples.ts';
import { comparedMax } from '../../../../src/datapath/replay/eval/samples.ts';
import { chosenOf, mainPart, scoreOf } from '../../../../src/datapath/replay/eval/scores.ts';
import { latencies, samples } from './support.ts';

const windowNs = 100e6;
const score = (part: ReturnType<typeof samples>, truth: Latencies, spanS = 1) =>
  scoreOf({ estimator: 'x', kind: part.kind, parts: [part] }, () => truth, windowNs, spanS);

describe('the score of samples', () => {
  test('each is compared with the truth of its own request, and all with all truths', () => {
    const truth = latencies([0, 1], [10, 2], [20, 4]);
    const row = score(samples('request', [0, 1.1, 1], [10, 2, 2], [20, 3, 4]), truth);
    expect(row).toMatchObject({ samples: 3, samples_per_s: 3, matched: 3 });
    expect(row.median_ratio).toBeCloseTo(1);
    expect(row.mean_ratio).toBeCloseTo(6.1 / 7);
    expect(row.within_20_percent).toBeCloseTo(2 / 3);
    expect(row.median_relative_error).toBeCloseTo(0);
    expect(row.p95_absolute_relative_error).toBeCloseTo(0.25);
    expect(row.error_ns.p25).toBeCloseTo(-1e6);
    expect(row.error_ns.p90).toBeCloseTo(0.1e6);
  });

  test('windows compare medians of one backend with each other', () => {
    const truth = latencies([0, 1], [50, 1], [120, 2], [130, 2], [0, 9, 1]);
    const row = score(samples('request', [10, 1.1], [60, 1.1], [70, 50], [140, 2], [0, 18, 9, 1]), truth);
    expect(row).toMatchObject({ windows: 3, truth_windows: 3 });
    expect(row.window_error_p50).toBeCloseTo(0.1);
    expect(row.window_error_p90).toBeCloseTo(1);
    expect(row.window_error_p90_ns).toBeCloseTo(9e6);
    expect(row.windows_right).toBeCloseTo(2 / 3);
  });

  test('a window is right within 10 %, or 60 us where that is more', () => {
    const truth = latencies([0, 0.1], [100, 0.1], [200, 10], [300, 10]);
    const row = score(samples('request', [0, 0.15], [100, 0.17], [200, 10.9], [300, 11.1]), truth);
    expect(row.windows_right).toBe(0.5);
  });

  test('windows without a truth, or without a sample, do not count as right', () => {
    const row = score(samples('request', [10, 1], [310, 1]), latencies([20, 1], [120, 1], [220, 1]));
    expect(row).toMatchObject({ windows: 1, truth_windows: 3, window_error_p90: 0 });
  });

  test('of server stamps only means are compared, negative ones among them', () => {
    const truth = latencies([0, 1], [10, 3]);
    const row = score(samples('server', [0, -1, 1], [10, 5, 3]), truth);
    expect(row).toMatchObject({ matched: 0, p95_absolute_relative_error: null, median_ratio: null });
    expect(row.mean_ratio).toBeCloseTo(1);
    expect(row.window_error_p50).toBeCloseTo(0);
  });

  test('samples from before or after the time that the truth covers do not count in ratios', () => {
    const truth = latencies([1000, 2], [1100, 2]);
    const row = score(samples('request', [0, 50], [1010, 2], [1110, 2], [1900, 50]), truth);
    expect(row).toMatchObject({ samples: 4, median_ratio: 1, mean_ratio: 1 });
  });

  test('without samples or without truth there is nothing to tell', () => {
    const nothing = { median_ratio: null, mean_ratio: null, within_20_percent: null, window_error_p90: null };
    expect(score(samples('request'), latencies([0, 1]))).toMatchObject({ samples: 0, ...nothing });
    expect(score(samples('request', [0, 1]), latencies(), 0)).toMatchObject({
      samples: 1,
      samples_per_s: null,
      ...nothing,
    });
  });

  test('the truth itself is right in every figure', () => {
    const row = fc.tuple(fc.nat(5000), fc.integer({ min: 1, max: 1000 }), fc.nat(2));
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 60 }), (rows) => {
        const truth = latencies(...rows);
        const same = samples('request', ...rows.map(([at, ms, b]) => [at, ms, ms, b] as const));
        expect(score(same, truth)).toMatchObject({
          median_ratio: 1,
          mean_ratio: 1,
          within_20_percent: 1,
          p95_absolute_relative_error: 0,
          window_error_p90: 0,
        });
      }),
    );
  });

  test('more samples than can be compared are counted all the same', () => {
    const many = samples('request');
    for (let i = 0; i < comparedMax + 5; i++) many.add(0, 1, 0);
    expect(many.total).toBe(comparedMax + 5);
    expect(many.latencyNs).toHaveLength(comparedMax);
  });
});

describe('what a controller would use of several kinds', () => {
  const many = (kind: string, from: number, to: number, step: number, latency: number) =>
    samples(
      kind,
      ...Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => [from + i * step, latency] as const),
    );

  test('the preferred kind of those that are about as frequent', () => {
    const parts = chosenOf([many('gap', 0, 2000, 10, 2), many('request', 0, 2000, 11, 1)], 1, windowNs);
    expect(mainPart(parts).kind).toBe('request');
    expect(mainPart(parts).latencyNs.every((latency) => latency === 1e6)).toBe(true);
  });

  test('no window has samples of two kinds', () => {
    const kinds = [many('request', 0, 500, 5, 1), many('gap', 0, 4000, 5, 2)];
    const parts = chosenOf(kinds, 1, windowNs);
    const windows = parts.flatMap(({ startNs }) => [
      ...new Set(startNs.map((ns) => Math.floor(ns / windowNs))),
    ]);
    expect(new Set(windows).size).toBe(windows.length);
    expect(parts.every(({ total }) => total > 0)).toBe(true);
  });

  test('handshakes are not what is used where there are responses', () => {
    const parts = chosenOf([many('handshake', 0, 2000, 10, 9), many('server', 0, 2000, 10, 1)], 1, windowNs);
    expect(parts.map(({ kind, total }) => [kind, total > 0])).toEqual([
      ['handshake', false],
      ['server', true],
    ]);
  });
});
