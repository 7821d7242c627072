import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Pool } from '../../src/control/pool.ts';
import { Static } from '../../src/control/static.ts';
import { carriedShares, countedShares } from '../../src/daemon/initial-shares.ts';
import { Window } from '../../src/latency/window.ts';

const slots = 1009;

function aPool(weights: readonly number[], shares?: readonly number[]) {
  return new Pool({
    policy: new Static(),
    backends: weights.map((weight, i) => ({ name: `10.0.0.${i}`, weight })),
    kinds: ['request'],
    windows: [weights.map(() => new Window())],
    table: { slots },
    ...(shares && { shares }),
  });
}

const fractions = (parts: readonly number[]) => {
  const total = parts.reduce((sum, part) => sum + part, 0);
  return parts.map((part) => Number((part / total).toFixed(4)));
};

describe('shares that are carried over', () => {
  test('what a backend had in relation to its weight it has still', () => {
    const before = aPool([1, 1], [0.2, 0.8]);
    expect(fractions(carriedShares([1, 1], [0, 1], before))).toEqual([0.2, 0.8]);
    // Twice the weight: 0.4 next to 0.8.
    expect(fractions(carriedShares([2, 1], [0, 1], before))).toEqual([0.3333, 0.6667]);
  });

  test('a new backend has its weight, and the share of one that is gone goes to all in proportion', () => {
    const before = aPool([1, 1, 2], [0.1, 0.4, 0.5]);
    expect(fractions(carriedShares([1, 1, 1], [0, 1, -1], before))).toEqual([0.1333, 0.5333, 0.3333]);
    expect(fractions(carriedShares([1, 1], [1, 0], before))).toEqual([0.8, 0.2]);
  });
});

describe('shares that are counted', () => {
  test('nobody holds a slot: they are the weights', () => {
    expect(countedShares([1, 3], [0, 0])).toEqual([1, 3]);
  });

  test('a backend without slots has its weight, and the others hold what they held next to each other', () => {
    const counted = countedShares([1, 1, 2], [300, 700, 0]);
    expect(fractions(counted)).toEqual([0.15, 0.35, 0.5]);
  });

  test('the table that follows from them is the one that was counted, whoever is left out', () => {
    const share = fc.double({ min: 0.01, max: 1, noNaN: true });
    const cases = fc.array(fc.record({ share, isUsed: fc.boolean() }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(cases, (backends) => {
        fc.pre(backends.some(({ isUsed }) => isUsed));
        const weights = backends.map((_, b) => 1 + (b % 3));
        const make = (shares: readonly number[]) => {
          const pool = aPool(weights, shares);
          for (const [b, { isUsed }] of backends.entries()) pool.setReady(b, isUsed);
          return pool;
        };
        const table = new Uint16Array(slots);
        make(backends.map((one) => one.share)).publish(table);
        const counted = weights.map((_, b) => table.filter((slot) => slot === b).length);
        expect(make(countedShares(weights, counted)).publish(table)).toBe(0);
      }),
    );
  });
});
