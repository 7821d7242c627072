import { expect, it } from 'vitest';
import { Pool } from '../../src/control/pool.ts';
import { Shift } from '../../src/control/shift.ts';
import { Window } from '../../src/latency/window.ts';
import { ns } from '../../src/units.ts';

const slots = 1009;

function aPool(...weights: number[]) {
  const windows = weights.map(() => new Window());
  const backends = weights.map((weight, i) => ({ name: `10.0.0.${i}`, weight }));
  const pool = new Pool({
    policy: new Shift(0.5),
    backends,
    kinds: ['request'],
    windows: [windows],
    table: { slots },
  });
  const table = new Uint16Array(slots);
  /** Fraction of slots per backend after publishing, to two digits. */
  const published = () => {
    pool.publish(table);
    return weights.map((_, b) => Number((table.filter((slot) => slot === b).length / slots).toFixed(2)));
  };
  return { pool, windows, table, published };
}

it('a table begins with slots by weight', () => {
  const { pool, published } = aPool(1, 3);
  expect([...pool.weights]).toEqual([0.25, 0.75]);
  expect([...pool.shares]).toEqual([0.25, 0.75]);
  expect(published()).toEqual([0.25, 0.75]);
});

it('the table follows what the policy decides from the windows', () => {
  const { pool, windows, published } = aPool(1, 1, 2);
  expect(pool.decide(ns(0))).toBe(false);
  windows.forEach((window, i) => {
    window.record(i);
  });
  expect(pool.decide(ns(0))).toBe(true);
  expect(published()).toEqual([0.5, 0.5, 0]);
  expect([...pool.weights]).toEqual([0.25, 0.25, 0.5]);
});

it('a backend that cannot be used holds no slot, and has its share again when it can', () => {
  const { pool, published } = aPool(1, 1, 2);
  pool.setUsable(2, false);
  expect(pool.isUsable(2)).toBe(false);
  expect(published()).toEqual([0.5, 0.5, 0]);
  expect([...pool.shares]).toEqual([0.25, 0.25, 0.5]);
  pool.setUsable(2, true);
  expect(published()).toEqual([0.25, 0.25, 0.5]);
});

it('backends without a share take over by weight when none with a share can be used', () => {
  const { pool, published } = aPool(1, 3, 4);
  pool.shares.set([0, 0, 1]);
  expect(published()).toEqual([0, 0, 1]);
  pool.setUsable(2, false);
  expect(published()).toEqual([0.25, 0.75, 0]);
});

it('all backends hold slots by weight when none can be used', () => {
  const { pool, published } = aPool(1, 3);
  pool.setUsable(0, false);
  pool.setUsable(1, false);
  expect(published()).toEqual([0.25, 0.75]);
});

it('publishing tells how many slots changed', () => {
  const { pool, table } = aPool(1, 1);
  pool.publish(table);
  expect(pool.publish(table)).toBe(0);
  const before = table.slice();
  pool.setUsable(0, false);
  const changed = pool.publish(table);
  expect(changed).toBe(before.filter((slot, i) => slot !== table[i]).length);
  expect(changed).toBeGreaterThan(500);
});
