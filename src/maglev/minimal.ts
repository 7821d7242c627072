import { fill, type Members } from './population.ts';
import { memberBytes, ShareQuotas, type SlotTable, type TableBuilder } from './shares.ts';

/** Index where a number is of no backend of the pool; no pool has so many. */
const nobody = 0xffff;

/**
 * Moves exactly as many slots as shares demand: the sum over backends of max(0, new quota - slots held).
 * Deterministic, but the table depends on its history: two load balancers that came to the same shares along
 * different ways hold different tables. Backends above their quota give up their lowest slots; backends below
 * take them in the order of their names. A slot that names no backend of the pool is always given one.
 *
 * Cost: two passes over the table, the second only up to the last slot moved.
 */
export class MinimalBuilder implements TableBuilder {
  readonly names: readonly string[];
  readonly slots: number;
  readonly #members: Members;
  readonly #seed: number;
  readonly #numbers: Uint16Array;
  /** Index of the backend of each number. */
  readonly #indices: Uint16Array;
  readonly #quotas: ShareQuotas;
  readonly #surplus: Int32Array;

  /**
   * @param numbers what a slot holds for each backend
   * @param seed of the permutations of `createTable`
   */
  constructor(members: Members, numbers: Uint16Array, seed: number) {
    this.names = members.names;
    this.slots = members.slots;
    this.#members = members;
    this.#seed = seed;
    this.#numbers = numbers;
    this.#indices = new Uint16Array(numbers.reduce((most, number) => Math.max(most, number), 0) + 1).fill(
      nobody,
    );
    for (const [index, number] of numbers.entries()) this.#indices[number] = index;
    this.#quotas = new ShareQuotas(members);
    this.#surplus = new Int32Array(members.names.length);
  }

  get memoryBytes(): number {
    return memberBytes(this.#members) + this.#quotas.memoryBytes + this.#surplus.byteLength;
  }

  createTable(): Uint16Array {
    return fill(this.#members, this.#seed).owners.map((owner) => this.#numbers[owner]!);
  }

  build(shares: Float64Array, table: SlotTable): number {
    const quotas = this.#quotas.fill(shares, table);
    const surplus = this.#surplus;
    for (let i = 0; i < surplus.length; i++) surplus[i] = -quotas[i]!;
    const indices = this.#indices;
    const { length: slots } = table;
    const { length: backends } = surplus;
    for (let slot = 0; slot < slots; slot++) {
      const owner = indices[table[slot]!] ?? nobody;
      if (owner < backends) surplus[owner]! += 1;
    }
    let moves = 0;
    for (let i = 0; i < surplus.length; i++) moves += Math.max(0, -surplus[i]!);
    this.#move(table, moves);
    return moves;
  }

  #move(table: SlotTable, moves: number): void {
    const surplus = this.#surplus;
    const indices = this.#indices;
    const { order } = this.#members;
    let receiver = 0;
    let left = moves;
    for (let slot = 0; left > 0; slot++) {
      const owner = indices[table[slot]!] ?? nobody;
      if (owner < surplus.length) {
        if (surplus[owner]! <= 0) continue;
        surplus[owner]! -= 1;
      }
      while (surplus[order[receiver]!]! >= 0) receiver++;
      const taker = order[receiver]!;
      surplus[taker]! += 1;
      table[slot] = this.#numbers[taker]!;
      left--;
    }
  }
}
