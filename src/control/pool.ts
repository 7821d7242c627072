import type { LatencyWindow } from '../latency/window.ts';
import { createTableBuilder, type TableOptions } from '../maglev/builder.ts';
import type { SlotTable, TableBuilder } from '../maglev/shares.ts';
import type { Ns } from '../units.ts';
import type { Policy } from './policy.ts';

/** A backend as configured: weight above 0, as a ratio to the others. */
export interface PoolBackend {
  readonly name: string;
  readonly weight: number;
}

/** The backends of one vip, their shares, the policy that moves them, and the Maglev table that follows. */
export class Pool {
  readonly backends: readonly PoolBackend[];
  readonly policy: Policy;
  /** Configured weights, sum 1. */
  readonly weights: Float64Array;
  /** Fraction of slots that the policy gives each backend, sum 1, whether it can be used now or not. */
  readonly shares: Float64Array;
  readonly #usable: Uint8Array;
  readonly #effective: Float64Array;
  readonly #windows: readonly LatencyWindow[];
  readonly #tableOptions: TableOptions;
  #builder: TableBuilder | undefined;

  /** @param windows of the kind of sample that the policy acts on, one per backend */
  constructor(
    policy: Policy,
    backends: readonly PoolBackend[],
    windows: readonly LatencyWindow[],
    options: TableOptions = {},
  ) {
    this.policy = policy;
    this.backends = backends;
    this.#windows = windows;
    this.#tableOptions = options;
    const total = backends.reduce((sum, { weight }) => sum + weight, 0);
    this.weights = Float64Array.from(backends, ({ weight }) => weight / total);
    this.shares = Float64Array.from(this.weights);
    this.#effective = Float64Array.from(this.weights);
    this.#usable = new Uint8Array(backends.length).fill(1);
  }

  /** Whether a backend may hold slots. Its share is kept for when it returns. */
  setUsable(index: number, usable: boolean): void {
    this.#usable[index] = usable ? 1 : 0;
  }

  isUsable(index: number): boolean {
    return this.#usable[index] === 1;
  }

  /** Asks the policy; true if it changed the shares. */
  decide(now: Ns): boolean {
    return this.policy.decide({
      now,
      windows: this.#windows,
      weights: this.weights,
      shares: this.shares,
    });
  }

  /**
   * Makes the table follow the shares of the backends that can be used; returns how many slots changed. If none of
   * these has a share left, they get slots by weight; if no backend can be used, all keep theirs by weight.
   * @throws InbandError as `createTableBuilder` does, the first time
   */
  publish(table: SlotTable): number {
    const isShared = this.shares.some((share, b) => share > 0 && this.isUsable(b));
    const wanted = isShared ? this.shares : this.weights;
    for (let b = 0; b < wanted.length; b++) this.#effective[b] = this.isUsable(b) ? wanted[b]! : 0;
    this.#builder ??= createTableBuilder(this.backends, this.#tableOptions);
    return this.#builder.build(this.#effective, table);
  }
}
