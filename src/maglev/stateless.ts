import { avalanche, hashName } from './hash.ts';
import type { Population } from './population.ts';
import { memberBytes, ShareQuotas, type SlotTable, type TableBuilder } from './shares.ts';

const trieSalt = 0x74726965;

/**
 * The table is a function of backends, weights, seed and shares, never of what it was before: load balancers
 * that see the same shares hold the same table.
 *
 * It starts from the table by weights. A backend above its quota keeps the slots it took first and spills the
 * rest, so a smaller quota spills a superset. The spilled slots are dealt to the backends below quota down
 * a binary trie over their hashed names: each node orders its slots by a hash of slot and level, and gives
 * its left side the first of them, as many as that side lacks. A slot so changes sides only when the ratio of
 * the two sides does. While one backend alone receives, no slot moves needlessly; else small changes move one to
 * three times the fewest, where repeating the population may move five times as many.
 *
 * Cost: three passes over the table, and about log2(receivers) selections over the spilled slots.
 */
export class StatelessBuilder implements TableBuilder {
  readonly names: readonly string[];
  readonly slots: number;
  readonly #population: Population;
  readonly #numbers: Uint16Array;
  /** The table by weights, in numbers. */
  readonly #owners: Uint16Array;
  readonly #quotas: ShareQuotas;
  /** Hash of each name, by backend index. */
  readonly #keys: Uint32Array;
  /** Backend indices by key: the leaves of the trie from left to right. */
  readonly #leaves: Uint16Array;
  readonly #next: Uint16Array;
  /** Spilled slots; those for the k-th leaf end up at #dealt[k] to #dealt[k + 1]. */
  readonly #spilled: Uint32Array;
  readonly #ranks: Uint32Array;
  readonly #dealt: Uint32Array;

  /** @param numbers what a slot holds for each backend */
  constructor(population: Population, numbers: Uint16Array) {
    this.names = population.names;
    this.slots = population.slots;
    this.#population = population;
    this.#numbers = numbers;
    this.#owners = population.owners.map((owner) => numbers[owner]!);
    this.#quotas = new ShareQuotas(population);
    const { names, order } = population;
    const keys = Uint32Array.from(names, (name) => hashName(name, trieSalt));
    this.#keys = keys;
    // The sort is stable, so names decide where keys are equal.
    this.#leaves = order.toSorted((a, b) => keys[a]! - keys[b]!);
    this.#next = new Uint16Array(this.slots);
    this.#spilled = new Uint32Array(this.slots);
    this.#ranks = new Uint32Array(this.slots);
    this.#dealt = new Uint32Array(this.names.length + 1);
  }

  get memoryBytes(): number {
    const own = [this.#owners, this.#keys, this.#leaves, this.#next, this.#spilled, this.#ranks, this.#dealt];
    const ownBytes = own.reduce((sum, array) => sum + array.byteLength, 0);
    return memberBytes(this.#population) + this.#quotas.memoryBytes + ownBytes;
  }

  createTable(): Uint16Array {
    return this.#owners.slice();
  }

  build(shares: Float64Array, table: SlotTable): number {
    this.#spill(this.#quotas.fill(shares, table));
    this.#deal(0, this.names.length, 31);
    this.#assign();
    const next = this.#next;
    const { length: slots } = table;
    let changed = 0;
    for (let slot = 0; slot < slots; slot++) {
      const number = next[slot]!;
      if (table[slot] !== number) {
        table[slot] = number;
        changed++;
      }
    }
    return changed;
  }

  /** Collects what backends hold above their quota, and sums up what those before each leaf lack. */
  #spill(quotas: Uint32Array): void {
    const { taken, starts } = this.#population;
    const leaves = this.#leaves;
    const spill = this.#spilled;
    let spilled = 0;
    let lacking = 0;
    for (let k = 0; k < leaves.length; k++) {
      const backend = leaves[k]!;
      const end = starts[backend + 1]!;
      const kept = starts[backend]! + quotas[backend]!;
      for (let i = kept; i < end; i++) spill[spilled++] = taken[i]!;
      lacking += Math.max(0, kept - end);
      this.#dealt[k + 1] = lacking;
    }
  }

  /** Deals to the leaves `from` to `to`, whose keys agree in all bits above `bit`. */
  #deal(from: number, to: number, bit: number): void {
    const dealt = this.#dealt;
    if (to - from < 2 || bit < 0 || dealt[from] === dealt[to]) return;
    const keys = this.#keys;
    const leaves = this.#leaves;
    let middle = from;
    while (middle < to && ((keys[leaves[middle]!]! >>> bit) & 1) === 0) middle++;
    this.#split(dealt[from]!, dealt[middle]!, dealt[to]!, bit);
    this.#deal(from, middle, bit - 1);
    this.#deal(middle, to, bit - 1);
  }

  /** Reorders the spilled slots `start` to `end` so that those of lowest rank at this level come before `middle`. */
  #split(start: number, middle: number, end: number, bit: number): void {
    if (middle === start || middle === end) return;
    const spilled = this.#spilled;
    const ranks = this.#ranks;
    const salt = Math.imul(bit + 1, 0x9e3779b9);
    for (let i = start; i < end; i++) ranks[i] = avalanche(spilled[i]! ^ salt);
    let low = start;
    let high = end - 1;
    while (low < high) {
      const pivot = ranks[(low + high) >>> 1]!;
      let i = low;
      let j = high;
      while (i <= j) {
        while (ranks[i]! < pivot) i++;
        while (ranks[j]! > pivot) j--;
        if (i <= j) {
          const rank = ranks[i]!;
          ranks[i] = ranks[j]!;
          ranks[j] = rank;
          const slot = spilled[i]!;
          spilled[i++] = spilled[j]!;
          spilled[j--] = slot;
        }
      }
      if (middle <= j) high = j;
      else if (middle >= i) low = i;
      else return;
    }
  }

  #assign(): void {
    const next = this.#next;
    const spilled = this.#spilled;
    next.set(this.#owners);
    for (let k = 0; k < this.#leaves.length; k++) {
      const backend = this.#leaves[k]!;
      const end = this.#dealt[k + 1]!;
      const number = this.#numbers[backend]!;
      for (let i = this.#dealt[k]!; i < end; i++) next[spilled[i]!] = number;
    }
  }
}
