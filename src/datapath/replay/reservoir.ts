/**
 * At most `limit` values out of any number, each equally likely to be kept (Vitter's algorithm R, 1985). Up to the
 * limit it holds every value, in order. The random numbers follow from a fixed seed: the same input, the same choice.
 */
export class Reservoir {
  /** Values offered so far. */
  total = 0;
  readonly values: number[] = [];
  readonly #limit: number;
  #random = 0x2545f491;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Offers a value; the index it was stored at, or -1 if it was not kept. */
  add(value: number): number {
    this.total++;
    if (this.values.length < this.#limit) return this.values.push(value) - 1;
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x;
    const at = Math.floor(((x >>> 0) / 2 ** 32) * this.total);
    if (at >= this.#limit) return -1;
    this.values[at] = value;
    return at;
  }
}

/** The least value that a fraction `q` (0 to 1) of the sorted values do not exceed (nearest rank); null if there are none. */
export function quantile(sorted: ArrayLike<number>, q: number): number | null {
  return sorted.length === 0 ? null : sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]!;
}

/** The median of values in any order, the lower of two; null if there are none. */
export function median(values: readonly number[]): number | null {
  return quantile(Float64Array.from(values).sort(), 0.5);
}

/** The mean of values; null if there are none. */
export function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}
