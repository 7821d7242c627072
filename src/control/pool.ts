import { InbandError } from '../errors.ts';
import type { BackendSignals } from '../latency/signals.ts';
import type { LatencyWindow } from '../latency/window.ts';
import { createTableBuilder, type TableOptions } from '../maglev/builder.ts';
import type { SlotTable, TableBuilder } from '../maglev/shares.ts';
import { type Ns, ns } from '../units.ts';
import { DecisionLog } from './decisions.ts';
import { KindChooser } from './kinds.ts';
import type { Policy, PolicyInput } from './policy.ts';

/** A backend as configured: weight above 0, as a ratio to the others. */
export interface PoolBackend {
  readonly name: string;
  readonly weight: number;
}

/** What a pool is made of. */
export interface PoolOptions {
  readonly policy: Policy;
  readonly backends: readonly PoolBackend[];
  /** Names of the kinds of samples, by number; at least one. */
  readonly kinds: readonly string[];
  /** Per kind, the window of each backend. They belong to the pool: it and its policy reset them. */
  readonly windows: readonly (readonly LatencyWindow[])[];
  /** One per backend; empty where nothing counts them. */
  readonly signals?: readonly BackendSignals[];
  readonly table?: TableOptions;
}

/** The backends of one vip, their shares, the policy that moves them, and the Maglev table that follows. */
export class Pool {
  readonly backends: readonly PoolBackend[];
  readonly policy: Policy;
  readonly kinds: readonly string[];
  /** Configured weights, sum 1. */
  readonly weights: Float64Array;
  /** Fraction of slots that the policy gives each backend, sum 1, whether it can be used now or not. */
  readonly shares: Float64Array;
  /** Why the shares of each backend changed lately. */
  readonly decisions: DecisionLog;
  readonly #usable: Uint8Array;
  readonly #effective: Float64Array;
  readonly #windows: readonly (readonly LatencyWindow[])[];
  readonly #signals: readonly BackendSignals[];
  readonly #chooser: KindChooser;
  readonly #input: { -readonly [Key in keyof PolicyInput]: PolicyInput[Key] };
  readonly #tableOptions: TableOptions;
  #samples = 0;
  #builder: TableBuilder | undefined;

  /** @throws InbandError `USAGE` for a weight that is not above 0 */
  constructor({ policy, backends, kinds, windows, signals = [], table = {} }: PoolOptions) {
    this.policy = policy;
    this.backends = backends;
    this.kinds = kinds;
    this.#windows = windows;
    this.#signals = signals;
    this.#tableOptions = table;
    const total = backends.reduce((sum, backend) => sum + weightOf(backend), 0);
    this.weights = Float64Array.from(backends, ({ weight }) => weight / total);
    this.shares = Float64Array.from(this.weights);
    this.#effective = Float64Array.from(this.weights);
    this.#usable = new Uint8Array(backends.length).fill(1);
    this.decisions = new DecisionLog(backends.length);
    this.#chooser = new KindChooser(kinds, windows);
    const { weights, shares } = this;
    this.#input = {
      now: ns(0),
      kind: kinds[0] ?? '',
      windows: windows[0] ?? [],
      signals,
      usable: this.#usable,
      weights,
      shares,
    };
  }

  /** The kind of samples that the policy acts on now. */
  get kind(): string {
    return this.#input.kind;
  }

  /** Whether a backend may hold slots. Its share is kept for when it returns. */
  setUsable(index: number, usable: boolean): void {
    this.#usable[index] = usable ? 1 : 0;
  }

  isUsable(index: number): boolean {
    return this.#usable[index] === 1;
  }

  /**
   * Asks the policy, one that acts on samples only when there are new ones; true if it changed the shares. A clock that
   * goes back counts as one that stands.
   */
  decide(now: Ns): boolean {
    const input = this.#input;
    if (now > input.now) input.now = now;
    if (this.policy.trigger === 'tick') for (const signals of this.#signals) signals.update(input.now);
    if (this.#chooser.look(input.now, this.#usable)) this.#turnTo(this.#chooser.chosen);
    if (this.policy.trigger === 'sample' && !this.#sampled()) return false;
    const changed = this.policy.decide(input);
    this.#chooser.settle();
    if (changed) for (const reason of this.policy.reasons ?? []) this.decisions.add(input.now, reason);
    return changed;
  }

  /** Whether there are other samples of the chosen kind than at the last call. */
  #sampled(): boolean {
    let samples = 0;
    for (const { count } of this.#input.windows) samples += count;
    if (samples === this.#samples) return false;
    this.#samples = samples;
    return true;
  }

  /** Lets the policy act on another kind, from its next sample on. */
  #turnTo(kind: number): void {
    this.#input.kind = this.kinds[kind]!;
    this.#input.windows = this.#windows[kind]!;
    for (const window of this.#input.windows) window.reset();
    this.#samples = 0;
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

function weightOf({ name, weight }: PoolBackend): number {
  if (weight > 0 && weight < Number.POSITIVE_INFINITY) return weight;
  throw new InbandError('USAGE', `backend ${name}: ${weight} is not a weight`, {
    hint: 'give a number above 0',
  });
}
