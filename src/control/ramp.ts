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
   * The part of each backend; the array is used again by the next call. All have the whole the first time, and where no
   * backend had slots before that has them still there is nobody to take it easy with.
   * @param allowed 1 for each that may hold slots now
   * @param gentle 1 for each that begins with a part of its share when it may hold slots again
   */
  factors(now: Ns, allowed: Uint8Array, gentle: Uint8Array): Float64Array {
    const factors = this.#factors;
    const hasOthers = !this.#isFirst && this.#allowed.some((was, b) => was === 1 && allowed[b] === 1);
    this.#isFirst = false;
    this.isActive = false;
    for (let b = 0; b < factors.length; b++) {
      if (allowed[b] === 1 && this.#allowed[b] === 0) {
        const isGentle = hasOthers && gentle[b] === 1;
        this.#startedNs[b] = isGentle ? now : Number.NEGATIVE_INFINITY;
      }
      this.#allowed[b] = allowed[b]!;
      factors[b] = this.#part(now - this.#startedNs[b]!);
      if (allowed[b] === 1 && factors[b]! < 1) this.isActive = true;
    }
    return factors;
  }

  #part(sinceNs: number): number {
    if (sinceNs >= this.#spanNs) return 1;
    return startFraction + (1 - startFraction) * Math.max(0, sinceNs / this.#spanNs);
  }
}
