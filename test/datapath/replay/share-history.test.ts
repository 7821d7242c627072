import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ShareHistory } from '../../../src/datapath/replay/share-history.ts';
import { ns } from '../../../src/units.ts';

/** What is kept of shares that change at these times; the share of backend 0 is the number of changes so far. */
function historyOf(changesNs: number[], endNs: number): ShareHistory {
  const history = new ShareHistory();
  const shares = Float64Array.of(0);
  for (const at of changesNs) {
    history.advance(ns(at), shares);
    shares[0]!++;
  }
  history.advance(ns(endNs), shares);
  history.finish(ns(endNs), shares);
  return history;
}

test('a point holds the shares that were in force at its time', () => {
  const history = historyOf([0.5e6, 2.5e6], 4e6);
  expect(history.timeS).toEqual([0, 0.001, 0.002, 0.003, 0.004]);
  expect(history.share).toEqual([[0], [1], [1], [2], [2]]);
});

test('the last point is at the end, off the steps', () => {
  const history = historyOf([1e6], 2.25e6);
  expect(history.timeS).toEqual([0, 0.001, 0.002, 0.00225]);
  expect(history.share.at(-1)).toEqual([1]);
});

test('an end on a step is not recorded twice', () => {
  expect(historyOf([], 1e6).timeS).toEqual([0, 0.001]);
});

test('points are bounded in number, at equal steps and end at the end, however long it takes', () => {
  const durations = fc.double({ min: 1, max: 1e16, noNaN: true }).map(Math.round);
  fc.assert(
    fc.property(durations, fc.integer({ min: 1, max: 50 }), (endNs, changes) => {
      const history = historyOf(
        Array.from({ length: changes }, (_, i) => Math.floor((endNs * i) / changes)),
        endNs,
      );
      const { timeS, share } = history;
      expect(timeS.length).toBeLessThanOrEqual(480);
      expect(share.length).toBe(timeS.length);
      expect(timeS[0]).toBe(0);
      expect(timeS.at(-1)).toBeCloseTo(endNs / 1e9, 9);
      expect(share.at(-1)).toEqual([changes]);
      const step = timeS[1]! - timeS[0]!;
      for (let i = 1; i < timeS.length - 1; i++) {
        expect((timeS[i]! - timeS[i - 1]!) / step).toBeCloseTo(1, 6);
      }
    }),
  );
});

test('a long history keeps at least half of the points it may have', () => {
  for (const endNs of [479e6, 480e6, 481e6, 959e6, 961e6, 3600e9]) {
    expect(historyOf([], endNs).timeS.length).toBeGreaterThanOrEqual(240);
  }
});
