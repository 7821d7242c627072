import { InbandError } from '../errors.ts';
import type { BackendSignals } from '../latency/signals.ts';
import type { LatencyWindow } from '../latency/window.ts';
import { createTableBuilder, type TableOptions } from '../maglev/builder.ts';
import { noBackend, type SlotTable, type TableBuilder } from '../maglev/shares.ts';
import { type Ns, ns } from '../units.ts';
import { DecisionLog } from './decisions.ts';
import { KindChooser } from './kinds.ts';
import type { Policy, PolicyInput } from './policy.ts';
import { Ramp } from './ramp.ts';

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
  /** Shares to begin with, 0 or more and not all 0, of any sum; by weight unless given. */
  readonly shares?: ArrayLike<number>;
  /** Time in which a backend that may hold slots again gets its whole share; 0 for at once. */
  readonly slowStartNs?: number;
  /** What was decided before about these backends. */
  readonly decisions?: DecisionLog;
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
  /** Fraction of slots that each backend had when the table was last published, sum 1; all 0 if none may have any. */
  readonly held: Float64Array;
  /** Why the shares of each backend changed lately. */
  readonly decisions: DecisionLog;
  /** 1 where an operator lets a backend have new flows; where checks do; where packets can be sent to it. */
  readonly #ready: Uint8Array;
  readonly #healthy: Uint8Array;
  readonly #reachable: Uint8Array;
  /** 1 where all three are. */
  readonly #usable: Uint8Array;
  /** 1 where a backend begins with a part of its share when it can be used again. */
  readonly #gentle: Uint8Array;
  readonly #ramp: Ramp;
  readonly #windows: readonly (readonly LatencyWindow[])[];
  readonly #signals: readonly BackendSignals[];
  readonly #chooser: KindChooser;
  readonly #input: { -readonly [Key in keyof PolicyInput]: PolicyInput[Key] };
  readonly #tableOptions: TableOptions;
  #samples = 0;
  #builder: TableBuilder | undefined;

  /** @throws InbandError `USAGE` for a weight that is not above 0 */
  constructor(options: PoolOptions) {
    const { policy, backends, kinds, windows, signals = [], table = {}, slowStartNs = 0 } = options;
    this.policy = policy;
    this.backends = backends;
    this.kinds = kinds;
    this.#windows = windows;
    this.#signals = signals;
    this.#tableOptions = table;
    const { length } = backends;
    this.weights = fractions(backends.map(weightOf));
    this.shares = options.shares ? fractions(options.shares) : Float64Array.from(this.weights);
    this.held = Float64Array.from(this.shares);
    this.#ready = new Uint8Array(length).fill(1);
    this.#healthy = new Uint8Array(length).fill(1);
    this.#reachable = new Uint8Array(length).fill(1);
    this.#usable = new Uint8Array(length).fill(1);
    this.#gentle = new Uint8Array(length);
    // A policy that begins gently itself would do so twice.
    this.#ramp = new Ramp(length, policy.startsGently ? 0 : slowStartNs);
    this.decisions = options.decisions ?? new DecisionLog(length);
    this.#chooser = new KindChooser(kinds, windows);
    const { weights, shares } = this;
    this.#input = {
      now: ns(0),
      kind: kinds[0] ?? '',
      windows: windows[0] ?? [],
      signals,
      usable: this.#usable,
      gentle: this.#gentle,
      weights,
      shares,
    };
  }

  /** The kind of samples that the policy acts on now. */
  get kind(): string {
    return this.#input.kind;
  }

  /** Whether some backend is to be given more slots as time goes by: `publish` is then to be called again and again. */
  get isRamping(): boolean {
    return this.#ramp.isActive;
  }

  /** Whether an operator lets a backend hold slots, which it never does otherwise. Its share is kept for then. */
  setReady(index: number, ready: boolean): void {
    this.#set(this.#ready, index, ready, true);
  }

  /**
   * Whether checks let a backend hold slots; where they let none, all that are ready do. Its share is kept.
   * @param gently whether it gets its share step by step then
   */
  setHealthy(index: number, healthy: boolean, gently = true): void {
    this.#set(this.#healthy, index, healthy, gently);
  }

  /**
   * Whether packets can be sent to a backend; where they can to none, none is left out for it. Its share is kept.
   * @param gently whether it gets its share step by step then
   */
  setUsable(index: number, usable: boolean, gently = true): void {
    this.#set(this.#reachable, index, usable, gently);
  }

  /** Whether a backend is ready and healthy and packets can be sent to it. */
  isUsable(index: number): boolean {
    return this.#usable[index] === 1;
  }

  #set(flags: Uint8Array, b: number, value: boolean, gently: boolean): void {
    // Who is gentle once is so until it was usable, whatever else has to come right until then.
    if (value && gently && flags[b] === 0) this.#gentle[b] = 1;
    flags[b] = value ? 1 : 0;
    const usable = this.#ready[b]! & this.#healthy[b]! & this.#reachable[b]!;
    if (usable === 0 && this.#usable[b] === 1) this.#gentle[b] = 0;
    this.#usable[b] = usable;
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
   * Makes the table follow the shares of the backends that may hold slots; returns how many slots changed. These are the
   * usable ones; where there is none, all that are ready, by weight, at best those that packets can be sent to. If none of
   * them has a share left, they get slots by weight. Where no backend is ready, no slot has one.
   * @param now time of the slow start; it stands while none is given
   * @throws InbandError as `createTableBuilder` does, the first time
   */
  publish(table: SlotTable, now: Ns = this.#input.now): number {
    const allowed = this.#allowed();
    if (!allowed) {
      this.held.fill(0);
      return empty(table);
    }
    const factors = this.#ramp.factors(now, allowed, this.#gentle);
    const isShared =
      allowed === this.#usable && this.shares.some((share, b) => share > 0 && allowed[b] === 1);
    const wanted = isShared ? this.shares : this.weights;
    let total = 0;
    for (let b = 0; b < wanted.length; b++) {
      this.held[b] = allowed[b] === 1 ? wanted[b]! * factors[b]! : 0;
      total += this.held[b]!;
    }
    for (let b = 0; b < wanted.length; b++) this.held[b]! /= total;
    this.#builder ??= createTableBuilder(this.backends, this.#tableOptions);
    return this.#builder.build(this.held, table);
  }

  /** Which backends hold slots; undefined for none. */
  #allowed(): Uint8Array | undefined {
    if (this.#usable.includes(1)) return this.#usable;
    const reachable = this.#ready.map((ready, b) => ready & this.#reachable[b]!);
    if (reachable.includes(1)) return reachable;
    return this.#ready.includes(1) ? this.#ready : undefined;
  }
}

/** Takes the backend out of every slot; returns how many had one. */
function empty(table: SlotTable): number {
  let moved = 0;
  for (let slot = 0; slot < table.length; slot++) {
    if (table[slot] === noBackend) continue;
    table[slot] = noBackend;
    moved++;
  }
  return moved;
}

function fractions(parts: ArrayLike<number>): Float64Array {
  const result = Float64Array.from(parts);
  const total = result.reduce((sum, part) => sum + part, 0);
  return result.map((part) => part / total);
}

function weightOf({ name, weight }: PoolBackend): number {
  if (weight > 0 && weight < Number.POSITIVE_INFINITY) return weight;
  throw new InbandError('USAGE', `backend ${name}: ${weight} is not a weight`, {
    hint: 'give a number above 0',
  });
}
