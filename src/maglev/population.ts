import { InbandError } from '../errors.ts';
import { hashName } from './hash.ts';
import { checkParts, Quotas } from './quota.ts';
import { checkSize } from './size.ts';

/** A backend as the table sees it. */
export interface MaglevBackend {
  /** What identifies the backend on every load balancer of the fleet, such as its address and port. Unique. */
  readonly name: string;
  /** Ratio of slots against the other backends, 0 or more: 10 next to 1 holds ten slots for one; 0 holds none. */
  readonly weight: number;
}

/** The order in which one backend asks for slots: offset, offset + skip, offset + 2 skip, ... modulo the prime size. */
export interface Permutation {
  /** First slot, 0 to slots - 1. */
  readonly offset: number;
  /** Step, 1 to slots - 1; it visits every slot once because the size is prime. */
  readonly skip: number;
}

/** The backends of a pool, checked. They are named by index in the list given. */
export interface Members {
  readonly names: readonly string[];
  readonly weights: Float64Array;
  /** Backend indices sorted by name, so that the order of configuration does not matter. */
  readonly order: Uint16Array;
  /** Slots of the table. */
  readonly slots: number;
}

/** A table by configured weights, and how it came about. */
export interface Population extends Members {
  /** Backend index of each slot. */
  readonly owners: Uint16Array;
  /** Slots grouped by backend, in the order in which each backend took its own. */
  readonly taken: Uint32Array;
  /** Where backend i begins in `taken`; it ends where backend i + 1 begins. */
  readonly starts: Uint32Array;
}

const offsetSalt = 0x6f666673;
const skipSalt = 0x736b6970;

/** The permutation of a backend, after Maglev (NSDI '16) section 3.4: a function of name, seed and size only. */
export function permutationOf(name: string, slots: number, seed: number): Permutation {
  return {
    offset: hashName(name, seed ^ offsetSalt) % slots,
    skip: (hashName(name, seed ^ skipSalt) % (slots - 1)) + 1,
  };
}

/**
 * Checks the backends of a pool.
 * @throws InbandError `CONFIG_INVALID` for names that are not unique, weights that are no finite numbers of 0 or
 * more or all 0, and sizes outside the limits of `size.ts`.
 */
export function membersOf(backends: readonly MaglevBackend[], slots: number): Members {
  checkSize(slots, backends.length);
  const names = backends.map(({ name }) => name);
  checkUnique(names);
  const weights = Float64Array.from(backends, ({ weight }) => weight);
  checkParts(weights, names, 'weight', 'CONFIG_INVALID');
  if (weights.every((weight) => weight === 0)) {
    throw new InbandError('CONFIG_INVALID', 'every backend has weight 0', {
      hint: 'give at least one backend a positive weight',
    });
  }
  const order = Uint16Array.from(names, (_, index) => index).sort((a, b) => (names[a]! < names[b]! ? -1 : 1));
  return { names, weights, order, slots };
}

/** As `fill` of checked backends. @throws InbandError as `membersOf` does */
export function populate(backends: readonly MaglevBackend[], slots: number, seed: number): Population {
  return fill(membersOf(backends, slots), seed);
}

/**
 * Fills a table by weights: backends take turns in the order of their names, each takes the first slot of its
 * permutation that is still free, until it holds its quota. Heavier backends take more turns in a round.
 * Slot counts are the weights' ratios rounded by less than one slot.
 */
export function fill(members: Members, seed: number): Population {
  const { names, weights, order, slots } = members;
  const quotas = new Quotas(slots, order).fill(weights);
  const permutations = names.map((name) => permutationOf(name, slots, seed));
  return { ...members, ...takeTurns(permutations, quotas, order, slots) };
}

function checkUnique(names: readonly string[]): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) {
      throw new InbandError('CONFIG_INVALID', `two backends are named '${name}'`, {
        hint: 'give each backend of a pool its own name',
      });
    }
    seen.add(name);
  }
}

/**
 * Rounds of turns. After round r of R a backend with quota q has had ceil((r + 1) q / R) turns: equal backends
 * have one each round, as in the paper, and any ratio of weights takes about `slots` turns in all.
 */
function takeTurns(
  permutations: readonly Permutation[],
  quotas: Uint32Array,
  order: Uint16Array,
  slots: number,
): Pick<Population, 'owners' | 'taken' | 'starts'> {
  const starts = new Uint32Array(quotas.length + 1);
  for (let i = 0; i < quotas.length; i++) starts[i + 1] = starts[i]! + quotas[i]!;
  const ends = starts.slice(0, -1);
  const next = Uint32Array.from(permutations, ({ offset }) => offset);
  const owners = new Uint16Array(slots);
  const isTaken = new Uint8Array(slots);
  const taken = new Uint32Array(slots);
  const rounds = Math.ceil(slots / quotas.length);
  for (let round = 1; round <= rounds; round++) {
    for (const backend of order) {
      const { skip } = permutations[backend]!;
      const end = starts[backend]! + Math.ceil((round * quotas[backend]!) / rounds);
      let slot = next[backend]!;
      while (ends[backend]! < end) {
        if (isTaken[slot] === 0) {
          isTaken[slot] = 1;
          owners[slot] = backend;
          taken[ends[backend]!++] = slot;
        }
        slot += skip;
        if (slot >= slots) slot -= slots;
      }
      next[backend] = slot;
    }
  }
  return { owners, taken, starts };
}
