/**
 * Averages over time, one per backend, in which a sample of `dt` ns ago counts half as much after each half-life
 * (L3, Middleware'24, equation 1); with `peak`, a sample above the average takes its place (equation 2, Finagle's).
 */
export class Ewma {
  readonly values: Float64Array;
  readonly #initial: number;
  readonly #halfLifeNs: number;
  readonly #isPeak: boolean;

  constructor(series: number, initial: number, halfLifeNs: number, isPeak = false) {
    this.values = new Float64Array(series).fill(initial);
    this.#initial = initial;
    this.#halfLifeNs = halfLifeNs;
    this.#isPeak = isPeak;
  }

  add(b: number, sample: number, dtNs: number): void {
    const value = this.values[b]!;
    if (this.#isPeak && sample > value) {
      this.values[b] = sample;
      return;
    }
    const keep = 0.5 ** (dtNs / this.#halfLifeNs);
    this.values[b] = sample * (1 - keep) + value * keep;
  }

  /** There is no sample: moves the average by at most `step` towards what it was at first. */
  miss(b: number, step: number): void {
    const value = this.values[b]!;
    this.values[b] =
      value > this.#initial ? Math.max(this.#initial, value - step) : Math.min(this.#initial, value + step);
  }
}
