import { fill, type Members } from './population.ts';
import { memberBytes, ShareQuotas, type SlotTable, type TableBuilder } from './shares.ts';

/** Index of the backend of each number while a table is built; where a number is of none, `nobody`. */
const indices = new Uint16Array(0x1_0000);
const nobody = 0xffff;
indices.fill(nobody);

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
    const numbers = this.#numbers;
    for (let i = 0; i < numbers.length; i++) indices[numbers[i]!] = i;
    const moves = this.#count(quotas, table);
    if (moves > 0) this.#move(table, moves);
    for (let i = 0; i < numbers.length; i++) indices[numbers[i]!] = nobody;
    return moves;
  }

  /** Finds what each backend holds above its quota; returns the slots that are to move. */
  #count(quotas: Uint32Array, table: SlotTable): number {
    const surplus = this.#surplus;
    const { length: backends } = surplus;
    for (let i = 0; i < backends; i++) surplus[i] = -quotas[i]!;
    for (let slot = 0; slot < table.length; slot++) {
      const owner = indices[table[slot]!] ?? nobody;
      if (owner < backends) surplus[owner]! += 1;
    }
    let moves = 0;
    for (let i = 0; i < backends; i++) moves += Math.max(0, -surplus[i]!);
    return moves;
  }

  #move(table: SlotTable, moves: number): void {
    const surplus = this.#surplus;
    const numbers = this.#numbers;
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
      table[slot] = numbers[taker]!;
      left--;
    }
  }
}
