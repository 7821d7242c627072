import { expect, test } from 'vitest';
import type { Policy } from '../../../src/control/policy.ts';
import { Shift } from '../../../src/control/shift.ts';
import { ReplayPool } from '../../../src/datapath/replay/pool.ts';
import { ns } from '../../../src/units.ts';

/** A pool whose members have these numbers among all backends, and a way to give it samples. */
function poolOf(policy: Policy, members: Record<number, number>) {
  const pool = new ReplayPool(policy, ['request']);
  for (const [number, weight] of Object.entries(members)) {
    pool.add(Number(number), { name: `backend ${number}`, weight });
  }
  const sample = (number: number, latencyNs: number, now = 0) => pool.sampled(number, 0, latencyNs, ns(now));
  return { pool, sample };
}

/** Share of evenly spaced hashes that each number gets. */
function sharesOf(pool: ReplayPool): Record<number, number> {
  const steps = 10_000;
  const counts: Record<number, number> = {};
  for (let i = 0; i < steps; i++) {
    const number = pool.backendOf(Math.floor((i / steps) * 2 ** 32));
    counts[number] = (counts[number] ?? 0) + 1;
  }
  return Object.fromEntries(
    Object.entries(counts).map(([number, count]) => [number, Math.round((count / steps) * 100) / 100]),
  );
}

test('before any sample the table follows the weights', () => {
  expect(sharesOf(poolOf(new Shift(), { 3: 1, 5: 3 }).pool)).toEqual({ 3: 0.25, 5: 0.75 });
});

test('what the policy decides is what new flows get', () => {
  const { pool, sample } = poolOf(new Shift(0.1), { 3: 1, 5: 1 });
  sharesOf(pool);
  sample(3, 1000);
  expect(pool.changes).toBe(0);
  sample(5, 2000);
  expect(pool.changes).toBe(1);
  expect(sharesOf(pool)).toEqual({ 3: 0.6, 5: 0.4 });
  sample(5, 500);
  sample(5, 500);
  expect(pool.changes).toBe(3);
  expect(sharesOf(pool)).toEqual({ 3: 0.4, 5: 0.6 });
});

test('samples of backends outside the pool change nothing', () => {
  const { pool, sample } = poolOf(new Shift(), { 3: 1, 5: 1 });
  sample(9, 1);
  sample(9, 1e9);
  expect(pool.changes).toBe(0);
  expect(pool.history.timeS).toEqual([]);
});

test('a backend that joins brings all shares back to the weights', () => {
  const { pool, sample } = poolOf(new Shift(0.1), { 3: 1, 5: 1 });
  sample(3, 1000);
  sample(5, 2000);
  expect(sharesOf(pool)).toEqual({ 3: 0.6, 5: 0.4 });
  pool.add(7, { name: 'late', weight: 2 });
  expect(pool.has(7)).toBe(true);
  expect(pool.names).toEqual(['backend 3', 'backend 5', 'late']);
  expect(sharesOf(pool)).toEqual({ 3: 0.25, 5: 0.25, 7: 0.5 });
});

test('the history has the shares before each change and at the end', () => {
  const { pool, sample } = poolOf(new Shift(0.5), { 3: 1, 5: 1 });
  sample(3, 1000, 0);
  sample(5, 2000, 1.5e6);
  pool.finish(ns(2.5e6));
  expect(pool.history.timeS).toEqual([0, 0.001, 0.002, 0.0025]);
  expect(pool.history.share).toEqual([
    [0.5, 0.5],
    [0.5, 0.5],
    [1, 0],
    [1, 0],
  ]);
});

test('of several kinds the policy acts on the preferred one, whatever the others say', () => {
  const pool = new ReplayPool(new Shift(0.1), ['handshake', 'request']);
  for (const number of [3, 5]) pool.add(number, { name: `backend ${number}`, weight: 1 });
  for (let i = 0; i < 400; i++) {
    const now = ns(i * 5e6);
    pool.sampled(3, 0, 9000, now);
    pool.sampled(5, 0, 1000, now);
    pool.sampled(3, 1, 1000, now);
    pool.sampled(5, 1, 2000, now);
  }
  expect(sharesOf(pool)[3]).toBeGreaterThan(0.9);
});
