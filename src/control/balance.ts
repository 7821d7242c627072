import { InbandError } from '../errors.ts';
import type { Policy, PolicyInput } from './policy.ts';
import { alphaDefault } from './shift.ts';

/** An estimate is the median of at least this long a time and as many samples: shorter ones differ between equals. */
const windowNs = 10e6;
const samplesMin = 16;
/** An estimate older than this says nothing of now. */
const staleNs = 1e9;
/** A backend is slow when its median exceeds that of the fastest by this factor: control.md found 20-25 % steady. */
const slowRatio = 1.25;
/**
 * A backend whose latest sample exceeds the fastest median by `jumpRatio` in `jumpLooks` looks in a row is slow without
 * waiting for its median. One such sample is an outlier; two looks a tick apart seldom both meet one.
 */
const jumpRatio = 2;
const jumpLooks = 2;
/** Fraction of its weight's share that a slow backend keeps, so that its recovery is seen; at 5 % it would be the p95. */
const floorFraction = 0.04;
/** Least time between two steps away from a slow backend: a step takes time to show. */
const stepNs = 10e6;
/** While nobody is slow, shares return to the configured weights in steps of 0.5 % of all traffic: a second for half. */
const restoreStep = 0.005;
const restoreNs = 10e6;

/**
 * A steadier law than the paper's: it compares medians, not samples; tolerates a difference of 25 %; moves alpha of all
 * traffic from the slowest backend at most every 10 ms; leaves it 4 % of its share to be probed by; and while no backend
 * is slow, shares return to the configured weights within a second. A jump to twice the latency is not waited for: two
 * looks in a row that meet it are enough, unless all backends jump. Backends without fresh samples are not judged, so a
 * starved one gets traffic back and is judged again.
 */
export class Balance implements Policy {
  readonly name = 'balance';
  readonly trigger = 'tick';
  readonly #alpha: number;
  /** Per backend: start of its window, latest median in ns, and when that was taken. */
  #startedNs = new Float64Array(0);
  #medians = new Float64Array(0);
  #takenNs = new Float64Array(0);
  /** Per backend: samples in its window at the last look, when there were new ones, and looks in a row that met a jump. */
  #seen = new Float64Array(0);
  #lookedNs = new Float64Array(0);
  #jumps = new Uint32Array(0);
  /** When shares last moved away from a slow backend, and back. */
  #steppedNs = Number.NEGATIVE_INFINITY;
  #restoredNs = Number.NEGATIVE_INFINITY;

  /**
   * @param alpha fraction of total traffic that one step moves, above 0 and at most 1
   * @throws InbandError `USAGE` outside that range
   */
  constructor(alpha: number = alphaDefault) {
    if (!(alpha > 0 && alpha <= 1)) {
      throw new InbandError('USAGE', `alpha: ${alpha} is not a fraction above 0 and at most 1`, {
        hint: '0.1 moves 10 % of all traffic per step',
      });
    }
    this.#alpha = alpha;
  }

  decide(input: PolicyInput): boolean {
    this.#measure(input);
    const fastestNs = this.#fastestNs(input.now);
    this.#look(input, fastestNs);
    const jumped = this.#jumped(input);
    const slowest = jumped >= 0 ? jumped : this.#slowest(input.now, fastestNs);
    if (slowest < 0) return this.#restore(input);
    if (input.now - this.#steppedNs < stepNs || !shiftFrom(slowest, this.#alpha, input)) return false;
    this.#steppedNs = input.now;
    return true;
  }

  #restore(input: PolicyInput): boolean {
    if (input.now - this.#restoredNs < restoreNs || !restore(input)) return false;
    this.#restoredNs = input.now;
    return true;
  }

  /** Takes the median of each window that is full, and starts its next one. */
  #measure({ windows, now }: PolicyInput): void {
    if (this.#medians.length !== windows.length) {
      this.#startedNs = new Float64Array(windows.length).fill(now);
      this.#medians = new Float64Array(windows.length);
      this.#takenNs = new Float64Array(windows.length).fill(Number.NEGATIVE_INFINITY);
      this.#seen = new Float64Array(windows.length);
      this.#lookedNs = new Float64Array(windows.length);
      this.#jumps = new Uint32Array(windows.length);
    }
    for (let b = 0; b < windows.length; b++) {
      const window = windows[b]!;
      if (window.count < samplesMin || now - this.#startedNs[b]! < windowNs) continue;
      this.#startedNs[b] = now;
      this.#medians[b] = window.percentileNs(50);
      this.#takenNs[b] = now;
      window.reset();
      this.#seen[b] = 0;
    }
  }

  /** The least fresh median; infinite without any. */
  #fastestNs(now: number): number {
    let fastestNs = Number.POSITIVE_INFINITY;
    for (let b = 0; b < this.#medians.length; b++) {
      if (now - this.#takenNs[b]! <= staleNs) fastestNs = Math.min(fastestNs, this.#medians[b]!);
    }
    return fastestNs;
  }

  /** Counts for each backend that has new samples whether the latest is a jump. */
  #look({ windows, now }: PolicyInput, fastestNs: number): void {
    for (let b = 0; b < windows.length; b++) {
      const { count, lastNs } = windows[b]!;
      if (count === this.#seen[b]) continue;
      this.#seen[b] = count;
      this.#lookedNs[b] = now;
      this.#jumps[b] = lastNs > jumpRatio * fastestNs ? this.#jumps[b]! + 1 : 0;
    }
  }

  /** The backend that jumped, the slowest of several; -1 if none did or none stayed. */
  #jumped({ windows, now }: PolicyInput): number {
    let jumped = -1;
    let stayed = false;
    for (let b = 0; b < windows.length; b++) {
      if (now - this.#lookedNs[b]! > windowNs) continue;
      if (this.#jumps[b] === 0) stayed = true;
      const isSlower = jumped < 0 || windows[b]!.lastNs > windows[jumped]!.lastNs;
      if (this.#jumps[b]! >= jumpLooks && isSlower) jumped = b;
    }
    return stayed ? jumped : -1;
  }

  /** The backend with the highest fresh median, if that is slow; else -1. */
  #slowest(now: number, fastestNs: number): number {
    let slowest = -1;
    for (let b = 0; b < this.#medians.length; b++) {
      if (now - this.#takenNs[b]! > staleNs) continue;
      if (slowest < 0 || this.#medians[b]! > this.#medians[slowest]!) slowest = b;
    }
    return slowest >= 0 && this.#medians[slowest]! > slowRatio * fastestNs ? slowest : -1;
  }
}

/** Moves up to `alpha` from a backend to the others, in proportion to what they hold; false if it is at its floor. */
function shiftFrom(slowest: number, alpha: number, { shares, weights }: PolicyInput): boolean {
  const moved = Math.min(alpha, shares[slowest]! - floorFraction * weights[slowest]!);
  let others = 0;
  for (let b = 0; b < shares.length; b++) if (b !== slowest) others += shares[b]!;
  if (!(moved > 1e-9) || !(others > 0)) return false;
  for (let b = 0; b < shares.length; b++) {
    if (b !== slowest) shares[b]! += (moved * shares[b]!) / others;
  }
  shares[slowest]! -= moved;
  return true;
}

/** Moves shares one step towards the weights; false if they are there. */
function restore({ shares, weights }: PolicyInput): boolean {
  let distance = 0;
  for (let b = 0; b < shares.length; b++) distance = Math.max(distance, Math.abs(weights[b]! - shares[b]!));
  if (distance < 1e-9) return false;
  const part = Math.min(1, restoreStep / distance);
  for (let b = 0; b < shares.length; b++) shares[b]! += part * (weights[b]! - shares[b]!);
  return true;
}
