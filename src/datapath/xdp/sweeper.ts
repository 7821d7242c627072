import { inbandLimit } from '../../generated/layout.ts';

/** A pass over the flow table takes so long, and so long while flows of lost backends are to end. */
const passMs = 5_000;
const passWhileClearingMs = 3_000;
/** Sets looked at in a second, of a large table: some 0.2 % of a CPU. A pass over a million flows takes 25 s then. */
const setsPerSecond = 10_000;
const setsPerSecondWhileClearing = 40_000;
/** Sets looked at in one go: less than a millisecond. */
const setsAtOnce = inbandLimit.sweepSetsMax;

/** What is swept. */
export interface Swept {
  /** Sets of the flow table. */
  readonly sets: number;
  /** Whether flows are to end soon. */
  readonly isClearing: boolean;
  sweep(setFirst: number, sets: number): number;
}

/** Goes over the flow table again and again, a little at a time, so that flows end without a packet that finds it out. */
export class Sweeper {
  readonly #table: Swept;
  #next = 0;
  /** Sets due by now, less those swept. */
  #due = 0;
  #polledMs: number | undefined;

  constructor(table: Swept) {
    this.#table = table;
  }

  /** Sweeps what is due. @param nowMs any monotonic clock */
  poll(nowMs: number): void {
    const { sets, isClearing } = this.#table;
    const elapsedMs = nowMs - (this.#polledMs ?? nowMs);
    this.#polledMs = nowMs;
    const perMs = isClearing
      ? Math.min(sets / passWhileClearingMs, setsPerSecondWhileClearing / 1_000)
      : Math.min(sets / passMs, setsPerSecond / 1_000);
    this.#due += perMs * elapsedMs;
    // What is more than can be done at once is left out: passes take longer then.
    let left = Math.min(Math.floor(this.#due), setsAtOnce, sets);
    this.#due = Math.min(this.#due - left, setsAtOnce);
    while (left > 0) {
      const count = Math.min(left, sets - this.#next);
      this.#table.sweep(this.#next, count);
      this.#next = (this.#next + count) % sets;
      left -= count;
    }
  }
}
