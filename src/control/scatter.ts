/** Values in a group, and groups of groups: averages of 1, 4, 16 and 64 values are compared with those of four times as many. */
const group = 4;
const levels = 4;
/** A value's variance at each level before any was seen: a standard deviation of 0.2 in all. */
const variancesBefore = [0.02, 0.01, 0.005, 0.005];
/** The least variance believed, since histograms have bins. */
const varianceMin = 0.0002;
/** Groups that the variance of a level remembers, and the prior counts as this many. */
const memory = 32;
const priorGroups = 2;
/** A group whose variance is this much above what is known is an outlier and counts as this much. */
const outlierRatio = 9;

/**
 * How far averages of several values in a row differ by chance, for a number of series, learnt from the values: variance is
 * split by the time over which it shows (the Haar wavelet variance), so that values that depend on each other, as those
 * of a queue do, are not taken for as many independent ones. Lasting differences do not count as chance.
 */
export class Scatter {
  readonly #sums: Float64Array;
  readonly #squares: Float64Array;
  readonly #filled: Uint8Array;
  readonly #variances: Float64Array;
  readonly #groups: Uint8Array;

  constructor(series: number) {
    this.#sums = new Float64Array(series * levels);
    this.#squares = new Float64Array(series * levels);
    this.#filled = new Uint8Array(series * levels);
    this.#variances = Float64Array.from(this.#sums, (_, i) => variancesBefore[i % levels]!);
    this.#groups = new Uint8Array(series * levels).fill(priorGroups);
  }

  add(series: number, value: number): void {
    let carried = value;
    for (let i = series * levels; i < (series + 1) * levels; i++) {
      this.#sums[i]! += carried;
      this.#squares[i]! += carried * carried;
      this.#filled[i]!++;
      if (this.#filled[i]! < group) return;
      const mean = this.#sums[i]! / group;
      this.#learn(i, Math.max(0, this.#squares[i]! / group - mean * mean));
      this.#sums[i] = this.#squares[i] = this.#filled[i] = 0;
      carried = mean;
    }
  }

  /** Drops unfinished groups of a series whose level changed, so that the change is not learnt as chance. */
  interrupt(series: number): void {
    const [from, to] = [series * levels, (series + 1) * levels];
    this.#sums.fill(0, from, to);
    this.#squares.fill(0, from, to);
    this.#filled.fill(0, from, to);
  }

  /** Standard deviation of the average of this many values of a series in a row. */
  deviation(series: number, values: number): number {
    let variance = 0;
    let size = 1;
    for (let i = series * levels; i < (series + 1) * levels; i++, size *= group) {
      // Values of a group average out among each other; what differs from group to group stays until the next level.
      variance += this.#variances[i]! * Math.min(1, size / values);
    }
    return Math.sqrt(Math.max(varianceMin, variance));
  }

  #learn(i: number, variance: number): void {
    const known = this.#variances[i]!;
    const groups = Math.min(memory, this.#groups[i]! + 1);
    this.#groups[i] = groups;
    this.#variances[i] = known + (Math.min(variance, outlierRatio * known) - known) / groups;
    if (this.#variances[i]! < varianceMin / levels) this.#variances[i] = varianceMin / levels;
  }
}
