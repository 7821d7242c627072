import { InbandError } from '../errors.ts';
import { MinimalBuilder } from './minimal.ts';
import { fill, type MaglevBackend, type Members, membersOf, type Population } from './population.ts';
import { type SlotTable, slotNumbers, type TableBuilder } from './shares.ts';
import { slotsDefault } from './size.ts';
import { StatelessBuilder } from './stateless.ts';

export type { MaglevBackend } from './population.ts';
export type { SlotTable, TableBuilder } from './shares.ts';

/** How a table follows shares: see {@link StatelessBuilder} and {@link MinimalBuilder}. */
export const tableMethods = ['stateless', 'minimal'] as const;
export type TableMethod = (typeof tableMethods)[number];

export interface TableOptions {
  /** Slots of the table: a prime, at least 10 and at most 1,048,583 and at least ten per backend. Default 65,537. */
  readonly slots?: number;
  /** Seed (u32) of the permutations, equal on every load balancer of a fleet. Default 0. */
  readonly seed?: number;
  /**
   * Default `stateless`: load balancers behind ECMP that see the same shares hold the same table, and those
   * that see similar shares hold similar ones, whatever happened before. `minimal` moves the fewest slots,
   * for a load balancer that stands alone.
   */
  readonly method?: TableMethod;
  /** What a slot holds for each backend, in their order: each 0 to 65,534 and given once. Default their indices. */
  readonly numbers?: ArrayLike<number>;
  /** What `prepareTable` made of the same backends, slots, seed and method. */
  readonly prepared?: Members | Population;
}

/**
 * Makes the builder of one pool's tables. A changed set of backends, or changed weights, is a new builder.
 * @throws InbandError `CONFIG_INVALID` as {@link membersOf} does, `USAGE` for an unknown method or wrong numbers.
 */
export function createTableBuilder(
  backends: readonly MaglevBackend[],
  options: TableOptions = {},
): TableBuilder {
  const { seed = 0, method = 'stateless' } = options;
  const { prepared = prepareTable(backends, options) } = options;
  const numbers = slotNumbers(backends.length, options.numbers);
  if (method === 'minimal') return new MinimalBuilder(prepared, numbers, seed);
  return new StatelessBuilder(isFilled(prepared) ? prepared : fill(prepared, seed), numbers);
}

/**
 * Does beforehand what takes time: a table of 65,537 slots by weights, some milliseconds; `minimal` needs none.
 * @throws InbandError as `createTableBuilder` does
 */
export function prepareTable(
  backends: readonly MaglevBackend[],
  { slots = slotsDefault, seed = 0, method = 'stateless' }: TableOptions = {},
): Members | Population {
  if (!tableMethods.includes(method)) {
    throw new InbandError('USAGE', `there is no table method '${method}'`, {
      hint: `give one of: ${tableMethods.join(', ')}`,
    });
  }
  const members = membersOf(backends, slots);
  return method === 'minimal' ? members : fill(members, seed);
}

const isFilled = (members: Members | Population): members is Population => 'owners' in members;

/** A table together with the names that its indices stand for. */
export interface NamedTable {
  readonly names: readonly string[];
  readonly table: SlotTable;
}

/** What changed between two tables of the same size whose sets of backends may differ, in slots. */
export interface Disruption {
  /** Slots that went to another backend. */
  readonly moved: number;
  /** Those of `moved` whose old and new backend are in both sets, so that nothing forced the move. */
  readonly needless: number;
}

/**
 * Compares two tables by the names of their backends.
 * @throws InbandError `USAGE` when the tables differ in size.
 */
export function disruption(before: NamedTable, after: NamedTable): Disruption {
  if (before.table.length !== after.table.length) {
    throw new InbandError(
      'USAGE',
      `tables of ${before.table.length} and ${after.table.length} slots do not compare`,
      {
        hint: 'compare tables of the same number of slots',
      },
    );
  }
  const inAfter = before.names.map((name) => after.names.indexOf(name));
  const inBefore = new Set(before.names);
  const isOld = after.names.map((name) => inBefore.has(name));
  let moved = 0;
  let needless = 0;
  for (let slot = 0; slot < before.table.length; slot++) {
    const oldOwner = inAfter[before.table[slot]!]!;
    const newOwner = after.table[slot]!;
    if (oldOwner === newOwner) continue;
    moved++;
    if (oldOwner >= 0 && isOld[newOwner]) needless++;
  }
  return { moved, needless };
}
