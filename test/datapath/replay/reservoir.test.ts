import { expect, test } from 'vitest';
import { median, quantile, Reservoir } from '../../../src/datapath/replay/reservoir.ts';

function filled(limit: number, count: number): Reservoir {
  const reservoir = new Reservoir(limit);
  for (let i = 0; i < count; i++) reservoir.add(i);
  return reservoir;
}

test('up to its limit a reservoir keeps every value, in order', () => {
  const reservoir = filled(100, 100);
  expect(reservoir.values).toEqual(Array.from({ length: 100 }, (_, i) => i));
  expect(reservoir.total).toBe(100);
});

test('add tells where a value was put, or that it was not', () => {
  const reservoir = new Reservoir(2);
  expect([reservoir.add(10), reservoir.add(11)]).toEqual([0, 1]);
  for (let i = 0; i < 100; i++) {
    const before = [...reservoir.values];
    const at = reservoir.add(i);
    if (at >= 0) before[at] = i;
    expect(reservoir.values).toEqual(before);
  }
});

test('beyond its limit every part of the input is kept about equally often', () => {
  const reservoir = filled(10_000, 100_000);
  expect(reservoir.values.length).toBe(10_000);
  expect(reservoir.total).toBe(100_000);
  expect(new Set(reservoir.values).size).toBe(10_000);
  const perTenth = new Array<number>(10).fill(0);
  for (const value of reservoir.values) perTenth[Math.floor(value / 10_000)]! += 1;
  // A tenth holds 1000 +- 30 (binomial); 150 is five standard deviations.
  for (const count of perTenth) expect(Math.abs(count - 1000)).toBeLessThan(150);
});

test('the same input gives the same choice', () => {
  expect(filled(50, 5000).values).toEqual(filled(50, 5000).values);
});

test('quantiles are of the nearest rank and there is none of nothing', () => {
  expect(quantile([], 0.5)).toBeNull();
  expect(quantile([7], 0)).toBe(7);
  expect(quantile([7], 1)).toBe(7);
  expect(quantile([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 0.9)).toBe(9);
  expect(quantile([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 0.91)).toBe(10);
  expect(median([])).toBeNull();
  expect(median([30, 10, 20])).toBe(20);
  expect(median([40, 10, 30, 20])).toBe(20);
});
