import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Balance } from '../../src/control/balance.ts';
import type { Policy } from '../../src/control/policy.ts';
import { Pool } from '../../src/control/pool.ts';
import { Shift } from '../../src/control/shift.ts';
import { Static } from '../../src/control/static.ts';
import { Window } from '../../src/latency/window.ts';
import { noBackend } from '../../src/maglev/shares.ts';
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

it('slots hold the numbers that were given for backends', () => {
  const pool = new Pool({
    policy: new Shift(0.5),
    backends: [
      { name: 'a', weight: 1 },
      { name: 'b', weight: 1 },
    ],
    kinds: ['request'],
    windows: [[new Window(), new Window()]],
    table: { slots, numbers: [7, 300] },
  });
  const table = new Uint16Array(slots).fill(noBackend);
  expect(pool.publish(table)).toBe(slots);
  expect(new Set(table)).toEqual(new Set([7, 300]));
});

it('begins with the shares that it is given, of any sum', () => {
  const windows = [new Window(), new Window()];
  const backends = [
    { name: 'a', weight: 1 },
    { name: 'b', weight: 1 },
  ];
  const pool = new Pool({
    policy: new Static(),
    backends,
    kinds: ['request'],
    windows: [windows],
    shares: [3, 1],
  });
  expect([...pool.shares]).toEqual([0.75, 0.25]);
  expect([...pool.weights]).toEqual([0.5, 0.5]);
});

it('a backend that is not ready never holds a slot, not even when no other can be used', () => {
  const { pool, published } = aPool(1, 1, 2);
  pool.setReady(2, false);
  expect(published()).toEqual([0.5, 0.5, 0]);
  pool.setHealthy(0, false);
  pool.setHealthy(1, false);
  expect(published()).toEqual([0.5, 0.5, 0]);
  expect(pool.isUsable(2)).toBe(false);
});

it('a backend that is not healthy holds no slot while another is', () => {
  const { pool, published } = aPool(1, 1, 2);
  pool.setHealthy(0, false);
  expect(published()).toEqual([0, 0.33, 0.67]);
  pool.setHealthy(0, true);
  expect(published()).toEqual([0.25, 0.25, 0.5]);
});

it('where no backend is healthy, those that packets can be sent to hold slots by weight', () => {
  const { pool, published } = aPool(1, 1, 2);
  for (const b of [0, 1, 2]) pool.setHealthy(b, false);
  expect(published()).toEqual([0.25, 0.25, 0.5]);
  pool.setUsable(2, false);
  expect(published()).toEqual([0.5, 0.5, 0]);
});

it('where no backend is ready, no slot has one, until one is', () => {
  const { pool, table } = aPool(1, 1);
  pool.publish(table);
  pool.setReady(0, false);
  pool.setReady(1, false);
  expect(pool.publish(table)).toBe(slots);
  expect(new Set(table)).toEqual(new Set([noBackend]));
  expect([...pool.held]).toEqual([0, 0]);
  expect(pool.publish(table)).toBe(0);
  pool.setReady(1, true);
  expect(pool.publish(table)).toBe(slots);
  expect(new Set(table)).toEqual(new Set([1]));
});

it('whatever backends are ready, healthy and reachable, slots are held by those that are best', () => {
  const flags = fc.array(fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(flags, (backends) => {
      const { pool, table } = aPool(...backends.map(() => 1));
      for (const [b, [ready, healthy, reachable]] of backends.entries()) {
        pool.setReady(b, ready);
        pool.setHealthy(b, healthy);
        pool.setUsable(b, reachable);
      }
      pool.publish(table);
      const rank = ([ready, healthy, reachable]: (typeof backends)[number]) =>
        ready ? (reachable ? (healthy ? 3 : 2) : 1) : 0;
      const best = Math.max(...backends.map(rank));
      const wanted = backends.flatMap((one, b) => (rank(one) === best ? [b] : []));
      expect([...new Set(table)].sort()).toEqual(best === 0 ? [noBackend] : wanted);
      expect(pool.held.reduce((sum, part) => sum + part, 0)).toBeCloseTo(best === 0 ? 0 : 1, 12);
    }),
    { numRuns: 60 },
  );
});

describe('slow start', () => {
  const slow = (policy: Policy) => {
    const windows = [new Window(), new Window()];
    const backends = windows.map((_, i) => ({ name: `10.0.0.${i}`, weight: 1 }));
    const pool = new Pool({
      policy,
      backends,
      kinds: ['request'],
      windows: [windows],
      table: { slots },
      slowStartNs: 10e9,
    });
    const table = new Uint16Array(slots);
    const at = (seconds: number) => {
      pool.publish(table, ns(seconds * 1e9));
      return Number(pool.held[1]!.toFixed(3));
    };
    return { pool, at };
  };

  it('gives a backend that is ready again a tenth of its share, and all of it in the end', () => {
    const { pool, at } = slow(new Static());
    expect(at(0)).toBe(0.5);
    expect(pool.isRamping).toBe(false);
    pool.setReady(1, false);
    expect(at(1)).toBe(0);
    pool.setReady(1, true);
    expect(at(2)).toBeCloseTo(0.1 / 1.1, 3);
    expect(pool.isRamping).toBe(true);
    expect(at(7)).toBeCloseTo(0.55 / 1.55, 3);
    expect(at(12)).toBe(0.5);
    expect(pool.isRamping).toBe(false);
  });

  it('is for those who were out, not for those of whom nothing was known yet', () => {
    const { pool, at } = slow(new Static());
    pool.setUsable(1, false);
    expect(at(0)).toBe(0);
    pool.setUsable(1, true, false);
    expect(at(1)).toBe(0.5);
    pool.setHealthy(1, false);
    expect(at(2)).toBe(0);
    pool.setHealthy(1, true, false);
    expect(at(3)).toBe(0.5);
  });

  it('is for one that was out for two reasons, too, whichever ends last', () => {
    const { pool, at } = slow(new Static());
    pool.setUsable(1, false);
    pool.setReady(1, false);
    expect(at(0)).toBe(0);
    pool.setReady(1, true);
    pool.setUsable(1, true, false);
    expect(at(1)).toBeCloseTo(0.1 / 1.1, 3);
  });

  it('is told to a policy that begins gently itself, and so is where there is none', () => {
    const seen: number[][] = [];
    const policy: Policy = {
      name: 'spy',
      trigger: 'tick',
      startsGently: true,
      decide: ({ gentle }) => {
        seen.push([...gentle!]);
        return false;
      },
    };
    const { pool } = slow(policy);
    pool.setHealthy(0, false);
    pool.setHealthy(1, false);
    pool.setHealthy(0, true, false);
    pool.setHealthy(1, true);
    pool.decide(ns(1));
    pool.setHealthy(1, false);
    pool.decide(ns(2));
    expect(seen).toEqual([
      [0, 1],
      [0, 0],
    ]);
  });

  it('is left out where nobody else can take the flows', () => {
    const { pool, at } = slow(new Static());
    pool.setHealthy(0, false);
    pool.setHealthy(1, false);
    expect(at(0)).toBe(0.5);
    pool.setHealthy(1, true);
    expect(at(1)).toBe(1);
    pool.setHealthy(0, true);
    expect(at(2)).toBeCloseTo(1 / 1.1, 3);
  });

  it('is not done twice with a policy that begins gently itself', () => {
    const { pool, at } = slow(new Balance());
    pool.setReady(1, false);
    at(0);
    pool.setReady(1, true);
    expect(at(1)).toBe(0.5);
    expect(pool.isRamping).toBe(false);
  });
});
