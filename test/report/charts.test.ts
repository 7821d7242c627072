import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { medianLine, toPoints } from '../../src/report/charts.ts';
import { shareSeries } from '../../src/report/shares.ts';
import { aPolicy, aSeries } from './results.ts';

const series = (points: [timeS: number, latencyNs: number][]) => ({
  estimator: 'handshake',
  backend: 'b',
  timeS: points.map(([time]) => time),
  latencyNs: points.map(([, latency]) => latency),
  total: points.length,
});

describe('points of a chart', () => {
  test('several series become one in order of time, in microseconds of four digits', () => {
    const points = toPoints(
      [
        series([
          [1, 270_123],
          [3, 2_000_400],
        ]),
        series([[2, 64_000]]),
      ],
      6,
    );
    expect(points).toEqual({ timeS: [1, 2, 3], latencyUs: [270.1, 64, 2000] });
  });

  test('what the axes cannot show is left out', () => {
    const points = toPoints(
      [
        series([
          [-1, 5000],
          [1, 0],
          [2, -7000],
          [3, 9000],
          [7, 9000],
        ]),
      ],
      6,
    );
    expect(points).toEqual({ timeS: [3], latencyUs: [9] });
  });

  test('no two points are at the same time, and none is lost or moved visibly', () => {
    const times = fc.array(fc.double({ min: 0, max: 1000, noNaN: true }), { maxLength: 200 });
    fc.assert(
      fc.property(times, fc.integer({ min: 1, max: 1000 }), (unsorted, repeats) => {
        const sorted = [...unsorted, ...Array(repeats).fill(0.5)].sort((a, b) => a - b);
        const { timeS } = toPoints([series(sorted.map((time) => [time, 1000]))], 1000);
        expect(new Set(timeS).size).toBe(sorted.length);
        for (const [index, time] of timeS.entries()) {
          expect(Math.abs(time - sorted[index]!)).toBeLessThan(1);
        }
      }),
    );
  });
});

describe('median line', () => {
  test('follows a step and leaves false samples out', () => {
    const { timeS, latencyNs } = medianLine([aSeries('truth', 'b', 6000, 0.05)], 6);
    expect(timeS).toHaveLength(200);
    for (const [index, time] of timeS.entries()) {
      const around = time < 3 ? 270_000 : 2_000_000;
      expect(latencyNs[index]).toBeGreaterThan(0.9 * around);
      expect(latencyNs[index]).toBeLessThan(1.15 * around);
    }
  });

  test('of few points is taken over longer parts', () => {
    expect(medianLine([aSeries('truth', 'b', 60, 0)], 6).timeS).toHaveLength(4);
    expect(medianLine([series([[2, 5]])], 6)).toMatchObject({ timeS: [2], latencyNs: [5] });
    expect(medianLine([], 6).timeS).toEqual([]);
  });
});

describe('series of shares', () => {
  test('as many backends as the limit stay as they are', () => {
    expect(shareSeries(aPolicy(7), 7).map(({ name }) => name)).toEqual(aPolicy(7).backends);
  });

  test('beyond the limit those that moved least are put together, and the whole stays the whole', () => {
    const result = shareSeries(aPolicy(20), 7);
    expect(result).toHaveLength(7);
    expect(result[0]!.name).toBe('10.77.0.1');
    expect(result.at(-1)).toMatchObject({ name: '14 others', members: 14 });
    for (const step of [0, 60, 119]) {
      expect(result.reduce((sum, { share }) => sum + share[step]!, 0)).toBeCloseTo(1);
    }
  });
});
