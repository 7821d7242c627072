import { ns } from '../units.ts';
import { Evidence } from './evidence.ts';
import { Jumps } from './jumps.ts';
import { least, moveFrom, raiseTo } from './moves.ts';
import type { Policy, PolicyInput } from './policy.ts';
import type { Cause, Reason } from './reason.ts';
import { checkSettings, numberSetting, type SettingsOf, withDefaults } from './settings.ts';
import { Silence } from './silence.ts';

export const balanceSettings = {
  alpha: numberSetting('fraction of all traffic that one step moves at most', 0.2, 1e-6, 1),
  slow: numberSetting("ratio to the others' latency above which a backend is slow", 1.25, 1.01, 10),
  floor: numberSetting('fraction of its weight that a slow backend keeps at most', 0.04, 0.001, 1),
} as const;

/** A step takes at most this part of what a backend has. */
const stepFraction = 0.5;
/** All slow backends together keep at most this much of all traffic to be seen by: less than what makes the p99. */
const seenFraction = 0.005;
/** Within this part of the octaves that make it slow nothing speaks against a backend; between the two nothing moves. */
const finePart = 0.4;
/** Where windows scatter by this many octaves, shares return half as fast. */
const calmOctaves = 0.3;
/** ... and where they scatter by less than this, what is fine is surely so: twice as fast. */
const steadyOctaves = 0.1;
/** Steps are full from this ratio on above that of a slow one: at 2.25 times the others' latency where nothing scatters. */
const fullExcess = 1;
/** ... and when that is sure by this many octaves more: what is hardly sure is by far more often chance. */
const fullMargin = 0.5;
/** A silent backend keeps this part of what a slow one does. */
const silentPart = 0.25;
/** Latency grows faster than load: a backend keeps what it carries over this many times its ratio. */
const carriedRatio = 2;
/** Least time between two steps away from a slow backend: a step takes time to show; a silent one shows nothing. */
const stepNs = 10e6;
const silentStepNs = 1e6;
/** While nothing speaks against it a backend gets 0.5 % of all traffic back in each 10 ms: half within a second. */
const restoreStep = 0.005;
const restoreNs = 10e6;
/** A backend that can be used again begins with this part of its weight. */
const startFraction = 0.1;
/** Fewer than this fraction of the weight not silent: silence says more of the network than of servers. */
const panicFraction = 0.3;
/** Steps and restoring shrink by this when they alternate, down to the least, and grow back this much per window. */
const flipGain = 0.5;
const gainMin = 1 / 16;
const gainGrowth = 1.01;
/** Raised by this part of the share since the last step down, the next one is an alternation. */
const flipFraction = 0.05;

/** State per backend that lasts as long as the pool and the kind of samples. */
class State {
  readonly evidence: Evidence;
  readonly jumps: Jumps;
  readonly silence: Silence;
  readonly wasUsable: Uint8Array;
  readonly steppedNs: Float64Array;
  /** Share after the last step down, and what steps and restoring are multiplied by. */
  readonly lowered: Float64Array;
  readonly gains: Float64Array;
  readonly raises: Float64Array;
  /** 1: was not slow but gone, and returns as if nothing had been. */
  readonly returning: Uint8Array;
  /** 1: answers; 1: may be given more, as it is not known to be slow either. */
  readonly answering: Uint8Array;
  readonly fine: Uint8Array;
  /** Weight of all that can be used but may not be given more. */
  otherWeight = 0;

  readonly kind: string;

  constructor({ now, usable, kind }: PolicyInput) {
    const { length } = usable;
    this.kind = kind;
    this.evidence = new Evidence(length, kind, now);
    this.jumps = new Jumps(length);
    this.silence = new Silence(length, now);
    this.wasUsable = usable.slice();
    this.steppedNs = new Float64Array(length).fill(Number.NEGATIVE_INFINITY);
    this.lowered = new Float64Array(length).fill(Number.NaN);
    this.gains = new Float64Array(length).fill(1);
    this.raises = new Float64Array(length);
    this.returning = new Uint8Array(length);
    this.answering = new Uint8Array(length).fill(1);
    this.fine = new Uint8Array(length).fill(1);
  }
}

/**
 * The default law. It compares each backend's typical latency with that of the others over at least 10 ms, and judges how
 * sure a difference is by how windows scattered before: where queues make equal servers differ it takes its time, and
 * where latencies are steady it is quick. A backend that is surely more than 25 % slower loses up to half of its share per
 * step of 10 ms, the less the closer it is to that; it keeps what it carries over twice its ratio, since what moves is
 * new flows only, and to be seen by 4 % of its weight, all slow ones together 0.5 % of all traffic. A jump to twice the
 * latency is not waited for, and a backend that leaves requests unanswered while others answer is left at once. What
 * nothing speaks against returns to its weight within a second, twice as fast where windows hardly scatter, more slowly
 * the more often that was wrong. Backends without fresh samples are not judged.
 */
export class Balance implements Policy {
  readonly name = 'balance';
  readonly trigger = 'tick';
  readonly startsGently = true;
  readonly #settings: SettingsOf<typeof balanceSettings>;
  /** Octaves above the others at which a backend is slow. */
  readonly #slow: number;
  #state: State | undefined;
  #restoredNs = Number.NEGATIVE_INFINITY;
  #reasons: Reason[] = [];

  /** @throws InbandError `USAGE` for settings out of range */
  constructor(given: Partial<SettingsOf<typeof balanceSettings>> = {}) {
    checkSettings('balance', balanceSettings, given);
    this.#settings = withDefaults(balanceSettings, given);
    this.#slow = Math.log2(this.#settings.slow);
  }

  get reasons(): readonly Reason[] {
    return this.#reasons;
  }

  decide(input: PolicyInput): boolean {
    const state = this.#stateFor(input);
    const { evidence, jumps, silence } = state;
    if (this.#reasons.length > 0) this.#reasons = [];
    const poolNs = evidence.othersNs(-1);
    jumps.look(input, poolNs);
    evidence.measure(input);
    silence.look(input, poolNs);
    let changed = this.#start(input, state);
    if (isPanic(input, state)) return this.#panic(input, state) || changed;
    this.#judge(input, state);
    for (let b = 0; b < input.shares.length; b++) {
      if (input.usable[b] === 1) changed = this.#lower(b, input, state) || changed;
    }
    return this.#restore(input, state) || changed;
  }

  #stateFor(input: PolicyInput): State {
    const known = this.#state;
    if (known && known.kind === input.kind && known.fine.length === input.usable.length) return known;
    this.#state = new State(input);
    return this.#state;
  }

  /** Backends that can be used again begin with a part of their weight. */
  #start(input: PolicyInput, state: State): boolean {
    const { usable, gentle, shares, weights } = input;
    let changed = false;
    // Where none could be used before, there is nobody to take it easy with.
    const wasAny = state.wasUsable.includes(1);
    for (let b = 0; b < usable.length; b++) {
      const returns = usable[b] === 1 && state.wasUsable[b] === 0;
      const starts = wasAny && returns && gentle?.[b] !== 0;
      state.wasUsable[b] = usable[b]!;
      if (!starts) continue;
      state.evidence.forget(b, input);
      const before = shares[b]!;
      state.returning[b] = 1;
      if (moveFrom(b, before - startFraction * weights[b]!, input, usable) === 0) continue;
      this.#because('start', b, before, input, state);
      changed = true;
    }
    return changed;
  }

  /** Marks the backends that may be given more: usable, answering, and not known to be slow. */
  #judge({ usable, weights }: PolicyInput, state: State): void {
    const { evidence, silence, answering, fine } = state;
    state.otherWeight = 0;
    for (let b = 0; b < usable.length; b++) {
      const maySlow = evidence.isFresh(b) && (evidence.isOpen(b) || evidence.ratio(b) > this.#slow);
      answering[b] = usable[b] === 1 && silence.silent[b] === 0 ? 1 : 0;
      fine[b] = maySlow ? 0 : answering[b]!;
      if (usable[b] === 1 && fine[b] === 0) state.otherWeight += weights[b]!;
    }
  }

  /** Takes traffic from a backend if it is slow or silent and the last step had time to show. */
  #lower(b: number, input: PolicyInput, state: State): boolean {
    const { evidence, jumps, silence } = state;
    const sinceNs = input.now - state.steppedNs[b]!;
    if (silence.silent[b] === 1) {
      const floor = silentPart * this.#settings.floor * input.weights[b]!;
      return sinceNs >= silentStepNs && this.#take(b, stepFraction, floor, 'waiting', input, state);
    }
    const measured = evidence.taken[b] === 1;
    const jumped = jumps.hasJumped(b, input.now);
    if (!measured && !jumped) return false;
    if (evidence.freshCount < 2 || !evidence.isSettled(b)) return false;
    const isNew = jumped && this.#jump(b, input, state);
    if (sinceNs < stepNs && !isNew) return false;
    state.gains[b] = Math.min(1, state.gains[b]! * gainGrowth);
    return this.#leave(b, measured && !isNew ? 'slow' : 'jump', input, state);
  }

  /** Takes as much from a backend as it is surely slow by. */
  #leave(b: number, cause: Cause, input: PolicyInput, state: State): boolean {
    const { evidence } = state;
    const sure = evidence.sureRatio(b);
    if (!(sure > this.#slow)) return false;
    const ratio = Math.max(sure, evidence.ratio(b));
    const margin = Math.min(1, (sure - this.#slow) / fullMargin);
    const excess = Math.min(1, (2 ** ratio - this.#settings.slow) / fullExcess) * margin ** 3;
    const part = (stepFraction * excess) / (1 + 0.5 * evidence.deviation(b));
    const carried = this.#carried(b, evidence) / (carriedRatio * 2 ** ratio);
    const floor = Math.max(this.#floor(b, input, state), carried);
    return this.#take(b, part, floor, cause, input, state);
  }

  /** What a slow backend keeps to be seen by: part of its weight, less where all that are slow would have too much. */
  #floor(b: number, { weights }: PolicyInput, { fine, otherWeight }: State): number {
    const slow = fine[b] === 1 ? otherWeight + weights[b]! : otherWeight;
    return Math.min(this.#settings.floor, seenFraction / slow) * weights[b]!;
  }

  /** What a backend carries of all requests, whatever its share of new flows. */
  #carried(b: number, { rates }: Evidence): number {
    let total = 0;
    for (const rate of rates) total += rate;
    return total > 0 ? rates[b]! / total : 0;
  }

  /** Takes a jump for a backend's latency from now on; true if nothing was known of it. */
  #jump(b: number, input: PolicyInput, { evidence, jumps, gains, steppedNs }: State): boolean {
    if (evidence.sureRatio(b) > this.#slow) return false;
    evidence.change(b, jumps.ratio(b));
    if (jumps.sinceNs(b, steppedNs[b]!) <= 0) return false;
    evidence.restart(b, input.windows[b]!, input.now);
    jumps.restarted(b);
    gains[b] = 1;
    return true;
  }

  #take(b: number, part: number, floor: number, cause: Cause, input: PolicyInput, state: State): boolean {
    const { shares } = input;
    const before = shares[b]!;
    const flips = before > (1 + flipFraction) * state.lowered[b]!;
    if (flips) state.gains[b] = Math.max(gainMin, state.gains[b]! * flipGain);
    const gain = cause === 'waiting' ? 1 : state.gains[b]!;
    const amount = Math.min(this.#settings.alpha, gain * part * before, before - floor);
    const moved = moveFrom(b, amount, input, state.fine) || moveFrom(b, amount, input, state.answering);
    if (moved === 0) return false;
    state.steppedNs[b] = input.now;
    state.returning[b] = cause === 'waiting' ? 1 : 0;
    state.lowered[b] = shares[b]!;
    // What is answered until then was sent before, and says nothing of the new share.
    if (cause !== 'waiting') state.evidence.renew(b, input.now + state.evidence.latencyNs[b]!);
    this.#because(cause, b, before, input, state);
    return true;
  }

  /** Lets backends that nothing speaks against return towards their weights. */
  #restore(input: PolicyInput, state: State): boolean {
    const { now, shares, weights } = input;
    if (now - this.#restoredNs < restoreNs) return false;
    this.#restoredNs = now;
    let most = -1;
    for (let b = 0; b < shares.length; b++) {
      if (shares[b]! >= weights[b]! - least) state.returning[b] = 0;
      state.raises[b] = state.fine[b] === 1 ? restoreStep * this.#ease(b, state) : 0;
      if (most < 0 || state.raises[b]! * weights[b]! > state.raises[most]! * weights[most]!) most = b;
    }
    const before = most < 0 ? 0 : shares[most]!;
    if (raiseTo(weights, shares, state.raises) <= least) return false;
    this.#because('restore', most, before, input, state);
    return true;
  }

  /** How fast a backend that is not slow may be given more, 0 to 1. */
  #ease(b: number, { evidence, gains, returning }: State): number {
    if (!evidence.isFresh(b)) return 1;
    const ratio = evidence.ratio(b);
    if (returning[b] === 1 && ratio < this.#slow) return 1;
    const fine = finePart * this.#slow;
    if (ratio >= this.#slow) return 0;
    const deviation = evidence.deviation(b);
    const pace = ((deviation < steadyOctaves ? 2 : 1) * gains[b]!) / (1 + (deviation / calmOctaves) ** 2);
    return ratio <= fine ? pace : (pace * (this.#slow - ratio)) / (this.#slow - fine);
  }

  /** All backends have their weights, at once. */
  #panic(input: PolicyInput, state: State): boolean {
    const { shares, weights } = input;
    let most = 0;
    for (let b = 1; b < shares.length; b++) {
      if (weights[b]! - shares[b]! > weights[most]! - shares[most]!) most = b;
    }
    const before = shares[most]!;
    if (weights[most]! - before <= least) return false;
    shares.set(weights);
    this.#because('panic', most, before, input, state);
    return true;
  }

  #because(cause: Cause, b: number, before: number, input: PolicyInput, state: State): void {
    const { evidence, silence } = state;
    const waits = cause === 'waiting';
    let latencyNs = evidence.isFresh(b) ? evidence.latencyNs[b]! : Number.NaN;
    if (waits) latencyNs = input.now - silence.heardNs[b]!;
    if (cause === 'jump') latencyNs = input.windows[b]!.lastNs;
    this.#reasons.push({
      backend: b,
      cause,
      kind: input.kind,
      latencyNs,
      poolNs: evidence.othersNs(b),
      spanNs: ns(evidence.spanNs[b]!),
      samples: waits ? input.signals[b]!.inFlight : evidence.samples[b]!,
      shareBefore: before,
      shareAfter: input.shares[b]!,
    });
  }
}

/** Whether so few backends answer that leaving the others would overload these. */
function isPanic({ usable, weights }: PolicyInput, { silence }: State): boolean {
  let total = 0;
  let heard = 0;
  for (let b = 0; b < usable.length; b++) {
    if (usable[b] === 0) continue;
    total += weights[b]!;
    if (silence.silent[b] === 0) heard += weights[b]!;
  }
  return heard < panicFraction * total;
}
