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
 * is slow, shares return to the configured weights within a second. Backends without fresh samples are not judged, so a
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
  /** When shares last moved, either way. */
  #movedNs = Number.NEGATIVE_INFINITY;

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
    const slowest = this.#slowest(input.now);
    if (input.now - this.#movedNs < (slowest < 0 ? restoreNs : stepNs)) return false;
    const moved = slowest < 0 ? restore(input) : shiftFrom(slowest, this.#alpha, input);
    if (moved) this.#movedNs = input.now;
    return moved;
  }

  /** Takes the median of each window that is full, and starts its next one. */
  #measure({ windows, now }: PolicyInput): void {
    if (this.#medians.length !== windows.length) {
      this.#startedNs = new Float64Array(windows.length).fill(now);
      this.#medians = new Float64Array(windows.length);
      this.#takenNs = new Float64Array(windows.length).fill(Number.NEGATIVE_INFINITY);
    }
    for (let b = 0; b < windows.length; b++) {
      const window = windows[b]!;
      if (window.count < samplesMin || now - this.#startedNs[b]! < windowNs) continue;
      this.#startedNs[b] = now;
      this.#medians[b] = window.percentileNs(50);
      this.#takenNs[b] = now;
      window.reset();
    }
  }

  /** The backend with the highest fresh median, if that is slow; else -1. */
  #slowest(now: number): number {
    let slowest = -1;
    let fastestNs = Number.POSITIVE_INFINITY;
    for (let b = 0; b < this.#medians.length; b++) {
      if (now - this.#takenNs[b]! > staleNs) continue;
      const median = this.#medians[b]!;
      if (slowest < 0 || median > this.#medians[slowest]!) slowest = b;
      if (median < fastestNs) fastestNs = median;
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
