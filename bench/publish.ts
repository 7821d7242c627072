import { createTableBuilder, type SlotTable } from '../src/maglev/builder.ts';
import { linkBuilt } from './built.ts';
import { type BenchResult, type Row, rounded } from './result.ts';
import { loadProgram } from './wrapper.ts';

export const name = 'publish';

const times = 300;
/** Calls after which code is compiled, by a thread that others may keep waiting. */
const warm = 1_000;
const targetMs = 0.1;

/** Times of `step` in ms, once it is compiled. */
function measure(step: (i: number) => void): { p50: number; p90: number } {
  const found: number[] = [];
  for (let i = -warm; i < times; i++) {
    const start = performance.now();
    step(i + warm);
    if (i >= 0) found.push(performance.now() - start);
  }
  found.sort((a, b) => a - b);
  return { p50: rounded(found[times >> 1]!), p90: rounded(found[Math.floor(times * 0.9)]!) };
}

/** A table and the same one with every slot's backend moved on by one. */
function twoTables(slots: number): [SlotTable, SlotTable] {
  const backends = Array.from({ length: 10 }, (_, i) => ({ name: `10.0.0.${i + 1}:80`, weight: 1 }));
  const table = createTableBuilder(backends, { slots }).createTable();
  return [table, table.map((backend) => (backend + 1) % backends.length)];
}

/** A table that shares nothing with the one before, copied at once and slot by slot. */
function wholeRows(slots: SlotTable): Row[] {
  const tables = twoTables(slots.length);
  const copied = measure((i) => slots.set(tables[i & 1]!));
  const written = measure((i) => {
    const table = tables[i & 1]!;
    for (let slot = 0; slot < table.length; slot++) slots[slot] = table[slot]!;
  });
  const moved = slots.length;
  return [
    { what: 'whole table, copied', backends: 10, moved, ms_p50: copied.p50, ms_p90: copied.p90 },
    { what: 'whole table, slot by slot', backends: 10, moved, ms_p50: written.p50, ms_p90: written.p90 },
  ];
}

/** The first backend gives 10 % of its share to the others and gets it back: the table is found and written in one. */
function shiftRow(slots: SlotTable, count: number, where: string): Row {
  const backends = Array.from({ length: count }, (_, i) => ({
    name: `10.0.${i >> 8}.${i & 255}:80`,
    weight: 1,
  }));
  const builder = createTableBuilder(backends, { slots: slots.length });
  const even = new Float64Array(count).fill(1 / count);
  const shifted = even.map((share, i) => (i === 0 ? 0.9 * share : share + (0.1 * share) / (count - 1)));
  builder.build(even, slots);
  let moved = 0;
  const { p50, p90 } = measure((i) => {
    moved = builder.build(i % 2 === 0 ? shifted : even, slots);
  });
  return { what: `10 % of a share moved${where}`, backends: count, moved, ms_p50: p50, ms_p90: p90 };
}

/** Measures what a table costs to put into the program's memory. Takes a second; needs the rights to load the program. */
export function run(): BenchResult {
  linkBuilt();
  const program = loadProgram({ flows: 1 });
  try {
    const slots = program.slots(0);
    const whole = wholeRows(slots);
    const copiedMs = Number(whole[0]!.ms_p50);
    return {
      name,
      rows: [
        ...whole,
        ...[2, 10, 100].map((count) => shiftRow(slots, count, '')),
        shiftRow(new Uint16Array(slots.length), 10, ', memory not mapped'),
      ],
      targets: [
        {
          what: `a whole table of ${slots.length} slots, ms`,
          asked: `<= ${targetMs}`,
          measured: String(copiedMs),
          met: copiedMs <= targetMs,
        },
      ],
      notes: [
        'Into the mapped memory of a loaded program, without system calls: the next packet sees it. Times are of compiled code.',
        'Moving a share includes finding the table for the new shares, which the control loop does in that same memory.',
      ],
    };
  } finally {
    program.close();
  }
}
