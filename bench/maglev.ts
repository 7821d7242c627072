import { createTableBuilder, disruption, type TableMethod } from '../src/maglev/builder.ts';
import { type MaglevBackend, populate } from '../src/maglev/population.ts';
import { slotsDefault } from '../src/maglev/size.ts';

type Row = Record<string, number | string>;

export const name = 'maglev';

const buildsMeasured = 30;
const walkSteps = 200;
const leaversMax = 10;

function equalBackends(count: number): MaglevBackend[] {
  return Array.from({ length: count }, (_, i) => ({ name: `10.0.${i >> 8}.${i & 255}:80`, weight: 1 }));
}

function quantile(values: number[], rank: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * rank)]!;
}

function rounded(value: number, digits = 3): number {
  return Number(value.toPrecision(digits));
}

function countSlots(table: Uint16Array, backends: number): Int32Array {
  const counts = new Int32Array(backends);
  for (const owner of table) counts[owner]! += 1;
  return counts;
}

/** A new builder and its first table. */
function buildRow(count: number, method: TableMethod): Row {
  const backends = equalBackends(count);
  const times: number[] = [];
  for (let i = -5; i < buildsMeasured; i++) {
    const start = performance.now();
    createTableBuilder(backends, { method }).createTable();
    if (i >= 0) times.push(performance.now() - start);
  }
  const builder = createTableBuilder(backends, { method });
  const slots = countSlots(builder.createTable(), count);
  return {
    measure: 'first build',
    method,
    backends: count,
    time_ms_p50: rounded(quantile(times, 0.5)),
    time_ms_p90: rounded(quantile(times, 0.9)),
    slots_largest_to_smallest: rounded(Math.max(...slots) / Math.min(...slots), 5),
    memory_bytes: builder.memoryBytes,
  };
}

/** What moves when one of the backends leaves, mean over leavers spread over the pool. */
function leaveRow(count: number): Row {
  const all = equalBackends(count);
  const before = { names: all.map((backend) => backend.name), table: populate(all, slotsDefault, 0).owners };
  const leavers = Math.min(leaversMax, count);
  let moved = 0;
  let needless = 0;
  for (let i = 0; i < leavers; i++) {
    const rest = all.toSpliced(Math.floor((i * count) / leavers), 1);
    const after = {
      names: rest.map((backend) => backend.name),
      table: populate(rest, slotsDefault, 0).owners,
    };
    const change = disruption(before, after);
    moved += change.moved / leavers / slotsDefault;
    needless += change.needless / leavers / slotsDefault;
  }
  return {
    measure: 'one leaves',
    backends: count,
    moved_percent: rounded(moved * 100),
    fewest_percent: rounded(100 / count),
    needless_percent: rounded(needless * 100),
  };
}

type Change = (shares: Float64Array, step: number) => void;

/** Backend k gives 10 % of its share to the next one on even steps, and gets it back on odd ones. */
const shiftToOne: Change = (shares, step) => {
  const giver = (step >> 1) % shares.length;
  const amount = (step % 2 === 0 ? 0.1 : -0.1) / shares.length;
  shares[giver]! -= amount;
  shares[(giver + 1) % shares.length]! += amount;
};

/** Backend k gives 10 % of its share to all others on even steps, and gets it back on odd ones. */
const shiftToAll: Change = (shares, step) => {
  const giver = (step >> 1) % shares.length;
  const amount = (step % 2 === 0 ? 0.1 : -0.1) / shares.length;
  for (let i = 0; i < shares.length; i++) shares[i]! += i === giver ? -amount : amount / (shares.length - 1);
};

/** Each share goes up or down by 1 % of itself. The generator is seeded, so that both methods walk the same way. */
function randomWalk(): Change {
  let state = 1;
  return (shares) => {
    for (let i = 0; i < shares.length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      shares[i]! *= state >>> 31 === 1 ? 1.01 : 0.99;
    }
  };
}

type Follow = (shares: Float64Array, table: Uint16Array) => number;

/** The plain alternative: the whole population again, with the shares as weights. */
function repopulate(backends: readonly MaglevBackend[]): Follow {
  return (shares, table) => {
    const weighted = backends.map((backend, i) => ({ name: backend.name, weight: shares[i]! }));
    const { owners } = populate(weighted, table.length, 0);
    let changed = 0;
    for (let slot = 0; slot < table.length; slot++) if (table[slot] !== owners[slot]) changed++;
    table.set(owners);
    return changed;
  };
}

function changeRow(measure: string, method: string, count: number, change: Change, follow: Follow): Row {
  const table = populate(equalBackends(count), slotsDefault, 0).owners;
  const shares = new Float64Array(count).fill(1 / count);
  const times: number[] = [];
  let moved = 0;
  let fewest = 0;
  for (let step = 0; step < walkSteps; step++) {
    change(shares, step);
    const before = countSlots(table, count);
    const start = performance.now();
    moved += follow(shares, table);
    times.push((performance.now() - start) * 1000);
    countSlots(table, count).forEach((slots, i) => {
      fewest += Math.max(0, slots - before[i]!);
    });
  }
  return {
    measure,
    method,
    backends: count,
    time_us_p50: rounded(quantile(times, 0.5)),
    time_us_p90: rounded(quantile(times, 0.9)),
    moved_per_step: rounded(moved / walkSteps),
    moved_to_fewest: rounded(moved / fewest),
  };
}

function changeRows(count: number): Row[] {
  const backends = equalBackends(count);
  const follows: [string, () => Follow][] = [
    ...(['stateless', 'minimal'] as const).map((method): [string, () => Follow] => [
      method,
      () => {
        const builder = createTableBuilder(backends, { method });
        return (shares, table) => builder.build(shares, table);
      },
    ]),
    ['repopulate', () => repopulate(backends)],
  ];
  const changes: [string, () => Change][] = [
    ['10 % of a share to one other', () => shiftToOne],
    ['10 % of a share to all others', () => shiftToAll],
    ['random walk, 1 % steps', randomWalk],
  ];
  return changes.flatMap(([measure, change]) =>
    follows.map(([method, follow]) => changeRow(measure, method, count, change(), follow())),
  );
}

/** Measures building, balance, disruption and following shares. Takes about 15 s. */
export function run(): { name: string; rows: Row[]; notes: string[] } {
  const builds = (['stateless', 'minimal'] as const).flatMap((method) =>
    [10, 100, 1000].map((count) => buildRow(count, method)),
  );
  return {
    name,
    rows: [...builds, ...[10, 100, 400, 1000].map(leaveRow), ...[2, 10, 100].flatMap(changeRows)],
    notes: [
      `${slotsDefault} slots, equal weights, one thread.`,
      'Katran builds the same table in C++ in 0.23 ms (2 backends), 1.2 ms (10), 1.5 ms (100).',
      'Katran moves 0.22 % needlessly when one of 10 leaves, 0.56 % of 100, 0.98 % of 400.',
      'moved_to_fewest: slots moved to the sum of max(0, new - old) over backends; repopulate: all anew, shares as weights.',
    ],
  };
}
