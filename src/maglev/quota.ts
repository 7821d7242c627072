import { InbandError } from '../errors.ts';

/** Fractions of a slot are compared in these steps: what is finer is rounding noise and must not move slots. */
const stepsPerSlot = 2 ** 20;

/**
 * Turns shares into whole numbers of slots by largest remainder: each backend gets its exact part rounded
 * down, and the slots left over go to the largest fractions, equal fractions in the order of names. Quotas add
 * up to `slots` and each is within one slot of exact.
 */
export class Quotas {
  readonly #slots: number;
  readonly #order: Uint16Array;
  readonly #quota: Uint32Array;
  readonly #fraction: Float64Array;
  readonly #sorted: Float64Array;

  /** `order`: the indices of all backends sorted by name. */
  constructor(slots: number, order: Uint16Array) {
    this.#slots = slots;
    this.#order = order;
    this.#quota = new Uint32Array(order.length);
    this.#fraction = new Float64Array(order.length);
    this.#sorted = new Float64Array(order.length);
  }

  /**
   * Slots per backend for parts of 0 or more, one of them positive. A part of zero gets no slot; a part below
   * one slot may get none. The array is reused by the next call.
   */
  fill(parts: ArrayLike<number>): Uint32Array {
    // In the order of names, because the sum of doubles depends on it, and with it which of two fractions is larger.
    let total = 0;
    for (let i = 0; i < this.#order.length; i++) total += parts[this.#order[i]!]!;
    let left = this.#slots;
    for (let i = 0; i < this.#quota.length; i++) {
      const exact = Math.round((parts[i]! / total) * this.#slots * stepsPerSlot) / stepsPerSlot;
      const whole = Math.floor(exact);
      this.#quota[i] = whole;
      this.#fraction[i] = exact - whole;
      left -= whole;
    }
    if (left > 0) this.#giveRest(left);
    return this.#quota;
  }

  get memoryBytes(): number {
    return this.#quota.byteLength + this.#fraction.byteLength + this.#sorted.byteLength;
  }

  #giveRest(count: number): void {
    this.#sorted.set(this.#fraction);
    this.#sorted.sort();
    const least = this.#sorted[this.#sorted.length - count]!;
    let left = count;
    for (let i = 0; i < this.#quota.length; i++) {
      if (this.#fraction[i]! > least) {
        this.#quota[i]! += 1;
        left--;
      }
    }
    for (let i = 0; left > 0; i++) {
      const backend = this.#order[i]!;
      if (this.#fraction[backend] === least) {
        this.#quota[backend]! += 1;
        left--;
      }
    }
  }
}

/**
 * Checks parts (shares or weights), one per name.
 * @throws InbandError `code` when one is negative, not a number, or so large that the sum could overflow.
 */
export function checkParts(
  parts: ArrayLike<number>,
  names: readonly string[],
  what: 'share' | 'weight',
  code: 'USAGE' | 'CONFIG_INVALID',
): void {
  const partMax = Number.MAX_VALUE / (names.length + 1);
  for (let i = 0; i < names.length; i++) {
    const part = parts[i]!;
    if (part >= 0 && part <= partMax) continue;
    throw new InbandError(code, `the ${what} of backend '${names[i]}' is ${part}`, {
      hint: `give each ${what} a finite number of 0 or more`,
    });
  }
}
