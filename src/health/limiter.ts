import type { Ns } from '../units.ts';

/** Lines of one second; more backends that change at once are told as a number. */
const linesMax = 20;

/** Lets so many lines of a log pass in each second, and counts the rest. */
export class LineLimiter {
  #secondNs = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #held = 0;

  /** Whether one more line may be written now. */
  admits(now: Ns): boolean {
    if (now - this.#secondNs >= 1e9) {
      this.#secondNs = now;
      this.#lines = 0;
    }
    if (this.#lines < linesMax) {
      this.#lines++;
      return true;
    }
    this.#held++;
    return false;
  }

  /** How many lines were held back in a second that is over; each counted once. */
  takeHeld(now: Ns): number {
    if (this.#held === 0 || now - this.#secondNs < 1e9) return 0;
    const held = this.#held;
    this.#held = 0;
    return held;
  }
}
