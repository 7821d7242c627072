import type { Policy } from '../../control/policy.ts';
import type { Window } from '../../latency/window.ts';
import { createTableBuilder } from '../../maglev/builder.ts';
import { backendOf } from '../../maglev/hash.ts';
import type { TableBuilder } from '../../maglev/shares.ts';
import type { Ns } from '../../units.ts';
import { ShareHistory } from './share-history.ts';

/** A backend as configured: weight above 0, as a ratio to the others. */
export interface PoolBackend {
  readonly name: string;
  readonly weight: number;
}

/**
 * The backends that a policy moves slots between, and the Maglev table that follows their shares. The table is
 * brought up to date when a flow next asks it, however often the shares changed in between.
 */
export class Pool {
  /** How often the policy changed the shares. */
  changes = 0;
  readonly history = new ShareHistory();
  readonly #policy: Policy;
  readonly #windowOf: (backend: number) => Window;
  readonly #backends: PoolBackend[] = [];
  /** Number among all backends of each pool member, and back. */
  readonly #numbers: number[] = [];
  readonly #members = new Map<number, number>();
  readonly #windows: Window[] = [];
  #weights = new Float64Array(0);
  #shares = new Float64Array(0);
  #builder: TableBuilder | undefined;
  #table: Uint16Array | undefined;
  #stale = true;

  /** @param windowOf window of a backend, by its number among all, of the kind of sample that the policy acts on */
  constructor(policy: Policy, windowOf: (backend: number) => Window) {
    this.#policy = policy;
    this.#windowOf = windowOf;
  }

  get names(): string[] {
    return this.#backends.map(({ name }) => name);
  }

  get policyName(): string {
    return this.#policy.name;
  }

  has(number: number): boolean {
    return this.#members.has(number);
  }

  /** Adds a backend; all shares return to the configured weights. */
  add(number: number, backend: PoolBackend): void {
    this.#members.set(number, this.#backends.length);
    this.#backends.push(backend);
    this.#numbers.push(number);
    const total = this.#backends.reduce((sum, { weight }) => sum + weight, 0);
    this.#weights = Float64Array.from(this.#backends, ({ weight }) => weight / total);
    this.#shares = Float64Array.from(this.#weights);
    this.#windows.push(this.#windowOf(number));
    this.#builder = undefined;
    this.#stale = true;
  }

  /** A sample of the kind that the policy acts on was recorded. Samples of backends outside the pool are no business of it. */
  sampled(number: number, now: Ns): void {
    if (!this.has(number)) return;
    this.history.advance(now, this.#shares);
    const input = { now, windows: this.#windows, weights: this.#weights, shares: this.#shares };
    if (!this.#policy.decide(input)) return;
    this.changes++;
    this.#stale = true;
  }

  /** Number of the backend that holds the slot of a u32 flow hash. */
  backendOf(hash: number): number {
    const table = this.#upToDate();
    return this.#numbers[backendOf(table, hash)]!;
  }

  /** Records the shares at the end of the replay. */
  finish(now: Ns): void {
    this.history.advance(now, this.#shares);
    this.history.finish(now, this.#shares);
  }

  #upToDate(): Uint16Array {
    this.#builder ??= createTableBuilder(this.#backends);
    const table = this.#table ?? this.#builder.createTable();
    if (this.#stale) this.#builder.build(this.#shares, table);
    this.#stale = false;
    this.#table = table;
    return table;
  }
}
