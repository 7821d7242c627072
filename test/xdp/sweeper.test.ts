import { expect, test } from 'vitest';
import { Sweeper } from '../../src/datapath/xdp/sweeper.ts';
import { inbandLimit } from '../../src/generated/layout.ts';

/** A flow table that counts how often each set is looked at. */
class Table {
  readonly counts: Uint32Array;
  isClearing = false;
  most = 0;

  constructor(sets: number) {
    this.counts = new Uint32Array(sets);
  }

  get sets(): number {
    return this.counts.length;
  }

  sweep(first: number, sets: number): number {
    expect(first + sets).toBeLessThanOrEqual(this.sets);
    this.most = Math.max(this.most, sets);
    for (let set = first; set < first + sets; set++) this.counts[set]!++;
    return 0;
  }

  /** Least and most that a set was looked at. */
  get range(): [number, number] {
    return [Math.min(...this.counts), Math.max(...this.counts)];
  }
}

function pollFor(table: Table, ms: number, everyMs = 100): void {
  const sweeper = new Sweeper(table);
  for (let nowMs = 7; nowMs <= 7 + ms; nowMs += everyMs) sweeper.poll(nowMs);
}

for (const [sets, passMs] of [
  [1, 5_000],
  [3, 5_000],
  [1_000, 5_000],
  [100_000, 10_000],
] as const) {
  test(`each of ${sets} sets is looked at once in ${passMs / 1000} s, and in 3 s while flows are to end`, () => {
    const table = new Table(sets);
    pollFor(table, passMs + 100);
    expect(table.range[0]).toBe(1);
    expect(table.range[1]).toBeLessThanOrEqual(2);
    const clearing = new Table(sets);
    clearing.isClearing = true;
    pollFor(clearing, 6_100);
    expect(clearing.range[0]).toBe(2);
    expect(clearing.range[1]).toBeLessThanOrEqual(3);
  });
}

test('no more is done at once than allowed, however large the table and however long the pause', () => {
  const table = new Table(1 << 20);
  const sweeper = new Sweeper(table);
  for (const nowMs of [0, 1e6, 2e6]) {
    const before = table.counts.reduce((sum, count) => sum + count, 0);
    sweeper.poll(nowMs);
    expect(table.counts.reduce((sum, count) => sum + count, 0) - before).toBeLessThanOrEqual(
      inbandLimit.sweepSetsMax,
    );
  }
  expect(table.most).toBe(inbandLimit.sweepSetsMax);
});
