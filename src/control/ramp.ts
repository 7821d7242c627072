import type { Ns } from '../units.ts';

/** Part of its share that a backend begins with. */
const startFraction = 0.1;

/** Slow start: what part of its share each backend of a pool has, while time goes by since it may hold slots again. */
export class Ramp {
  readonly #spanNs: number;
  readonly #allowed: Uint8Array;
  /** When each began; infinite where it has its whole share. */
  readonly #startedNs: Float64Array;
  readonly #factors: Float64Array;
  #isFirst = true;
  /** Whether a part is below 1. */
  isActive = false;

  /** @param spanNs time from `startFraction` to the whole, linearly; 0 for at once */
  constructor(backends: number, spanNs: number) {
    this.#spanNs = spanNs;
    this.#allowed = new Uint8Array(backends);
    this.#startedNs = new Float64Array(backends).fill(Number.NEGATIVE_INFINITY);
    this.#factors = new Float64Array(backends).fill(1);
  }

  /**
   * The part of each backend; the array is used again by the next call. All begin with the whole the first time, and where
   * no backend has its whole share there is nobody to take it easy with.
   * @param allowed 1 for each that may hold slots now
   */
  factors(now: Ns, allowed: Uint8Array): Float64Array {
    const factors = this.#factors;
    const hasOthers = !this.#isFirst && this.#allowed.some((was, b) => was === 1 && allowed[b] === 1);
    this.#isFirst = false;
    let whole = false;
    this.isActive = false;
    for (let b = 0; b < factors.length; b++) {
      if (!hasOthers) this.#startedNs[b] = Number.NEGATIVE_INFINITY;
      else if (allowed[b] === 1 && this.#allowed[b] === 0) this.#startedNs[b] = now;
      this.#allowed[b] = allowed[b]!;
      factors[b] = this.#part(now - this.#startedNs[b]!);
      if (allowed[b] === 0) continue;
      if (factors[b] === 1) whole = true;
      else this.isActive = true;
    }
    if (whole) return factors;
    this.isActive = false;
    this.#startedNs.fill(Number.NEGATIVE_INFINITY);
    return factors.fill(1);
  }

  #part(sinceNs: number): number {
    if (sinceNs >= this.#spanNs) return 1;
    return startFraction + (1 - startFraction) * Math.max(0, sinceNs / this.#spanNs);
  }
}
