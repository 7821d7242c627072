import type { Population } from './population.ts';
import { populationBytes, ShareQuotas, type SlotTable, type TableBuilder } from './shares.ts';

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
  readonly #population: Population;
  readonly #quotas: ShareQuotas;
  readonly #surplus: Int32Array;

  constructor(population: Population) {
    this.names = population.names;
    this.slots = population.owners.length;
    this.#population = population;
    this.#quotas = new ShareQuotas(population);
    this.#surplus = new Int32Array(population.names.length);
  }

  get memoryBytes(): number {
    return populationBytes(this.#population) + this.#quotas.memoryBytes + this.#surplus.byteLength;
  }

  createTable(): Uint16Array {
    return this.#population.owners.slice();
  }

  build(shares: Float64Array, table: SlotTable): number {
    const quotas = this.#quotas.fill(shares, table);
    const surplus = this.#surplus;
    for (let i = 0; i < surplus.length; i++) surplus[i] = -quotas[i]!;
    const { length: slots } = table;
    const { length: backends } = surplus;
    for (let slot = 0; slot < slots; slot++) {
      const owner = table[slot]!;
      if (owner < backends) surplus[owner]! += 1;
    }
    let moves = 0;
    for (let i = 0; i < surplus.length; i++) moves += Math.max(0, -surplus[i]!);
    this.#move(table, moves);
    return moves;
  }

  #move(table: SlotTable, moves: number): void {
    const surplus = this.#surplus;
    const { order } = this.#population;
    let receiver = 0;
    let left = moves;
    for (let slot = 0; left > 0; slot++) {
      const owner = table[slot]!;
      if (owner < surplus.length) {
        if (surplus[owner]! <= 0) continue;
        surplus[owner]! -= 1;
      }
      while (surplus[order[receiver]!]! >= 0) receiver++;
      const taker = order[receiver]!;
      surplus[taker]! += 1;
      table[slot] = taker;
      left--;
    }
  }
}
