import type { Policy } from '../../control/policy.ts';
import { Pool, type PoolBackend } from '../../control/pool.ts';
import { Window } from '../../latency/window.ts';
import { backendOf } from '../../maglev/hash.ts';
import { slotsDefault } from '../../maglev/size.ts';
import type { Ns } from '../../units.ts';
import { ShareHistory } from './share-history.ts';

/**
 * The pool of a replay: backends join as they appear, and the table is brought up to date when a flow next asks it,
 * however often the shares changed in between.
 */
export class ReplayPool {
  /** How often the policy changed the shares. */
  changes = 0;
  readonly history = new ShareHistory();
  readonly #policy: Policy;
  readonly #kinds: readonly string[];
  readonly #backends: PoolBackend[] = [];
  /** Per kind: samples of each member since the pool or its policy last reset them. */
  readonly #windows: readonly Window[][];
  /** Number among all backends of each pool member, and back. */
  readonly #numbers: number[] = [];
  readonly #members = new Map<number, number>();
  readonly #table = new Uint16Array(slotsDefault);
  #pool: Pool;
  #stale = true;

  /** @param kinds of the samples that it is given */
  constructor(policy: Policy, kinds: readonly string[]) {
    this.#policy = policy;
    this.#kinds = kinds;
    this.#windows = kinds.map(() => []);
    this.#pool = this.#create();
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
    for (const windows of this.#windows) windows.push(new Window());
    this.#pool = this.#create();
    this.#stale = true;
  }

  #create(): Pool {
    const windows = this.#windows.map((row) => [...row]);
    return new Pool({ policy: this.#policy, backends: [...this.#backends], kinds: this.#kinds, windows });
  }

  /** Takes a sample of one of its kinds, by number; those of backends outside the pool are no business of it. */
  sampled(number: number, kind: number, latencyNs: number, now: Ns): void {
    const member = this.#members.get(number);
    if (member === undefined) return;
    this.#windows[kind]![member]!.record(latencyNs);
    this.history.advance(now, this.#pool.shares);
    if (!this.#pool.decide(now)) return;
    this.changes++;
    this.#stale = true;
  }

  /** Number of the backend that holds the slot of a u32 flow hash. */
  backendOf(hash: number): number {
    if (this.#stale) this.#pool.publish(this.#table);
    this.#stale = false;
    return this.#numbers[backendOf(this.#table, hash)]!;
  }

  /** Records the shares at the end of the replay. */
  finish(now: Ns): void {
    this.history.advance(now, this.#pool.shares);
    this.history.finish(now, this.#pool.shares);
  }
}
