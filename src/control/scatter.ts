/** Values in a group, and groups of groups: averages of 1, 4, 16 and 64 values are compared with those of four times as many. */
const group = 4;
const levels = 4;
/** Variance at each level before any was seen: a standard deviation of 0.3 in all. */
const varianceBefore = 0.02;
/** The least variance believed, since histograms have bins. */
const varianceMin = 0.0002;
/** Groups in which variance rises to what is seen, and falls to it: more queueing comes in an instant. */
const riseGroups = 4;
const fallGroups = 32;
/** A group whose variance is this much above what is known is an outlier and counts as this much, once there were some. */
const outlierRatio = 9;
const groupsMin = 3;
/** A series' variance counts up to this many times the median of all. */
const unusualRatio = 1.5;

/**
 * How far averages of several values in a row differ by chance, for a number of series, learnt from the values: variance is
 * split by the time over which it shows (the Haar wavelet variance), so that values that depend on each other, as those
 * of a queue do, are not taken for as many independent ones. Lasting differences do not count as chance, and a single
 * change counts little.
 */
export class Scatter {
  readonly #sums: Float64Array;
  readonly #squares: Float64Array;
  readonly #filled: Uint8Array;
  readonly #variances: Float64Array;
  readonly #groups: Uint8Array;
  readonly #sorted: Float64Array;
  readonly #usual = new Float64Array(levels).fill(Number.POSITIVE_INFINITY);

  constructor(series: number) {
    this.#sums = new Float64Array(series * levels);
    this.#squares = new Float64Array(series * levels);
    this.#filled = new Uint8Array(series * levels);
    this.#variances = new Float64Array(series * levels).fill(varianceBefore);
    this.#groups = new Uint8Array(series * levels);
    this.#sorted = new Float64Array(series);
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

  /** Standard deviation of the average of this many values of a series in a row. */
  deviation(series: number, values: number): number {
    let variance = 0;
    let size = 1;
    for (let i = series * levels; i < (series + 1) * levels; i++, size *= group) {
      // Of the averages that make a group, so many are in the average: none of them says nothing, all leave no doubt.
      const members = Math.min(group, Math.max(1, values / size));
      variance += (this.#variance(i) * (group - members)) / ((group - 1) * members);
    }
    // Averages of more values than were compared differ too; as they would if values did not depend on each other.
    variance += this.#variance((series + 1) * levels - 1) / (group - 1);
    return Math.sqrt(Math.max(varianceMin, variance));
  }

  /**
   * Takes note of what is usual among all series: one that changes a lot, as a server that is slow at times, is not believed to do
   * so by chance.
   */
  compare(): void {
    const all = this.#sorted;
    for (let level = 0; level < levels; level++) {
      for (let s = 0; s < all.length; s++) all[s] = this.#variances[s * levels + level]!;
      all.sort();
      this.#usual[level] = all[(all.length - 1) >> 1]!;
    }
  }

  /** Drops unfinished groups of a series, which something else than chance will change. */
  interrupt(series: number): void {
    const [from, to] = [series * levels + 1, (series + 1) * levels];
    this.#sums.fill(0, from, to);
    this.#squares.fill(0, from, to);
    this.#filled.fill(0, from, to);
  }

  #variance(i: number): number {
    return Math.min(this.#variances[i]!, unusualRatio * this.#usual[i % levels]!);
  }

  #learn(i: number, variance: number): void {
    const known = this.#variances[i]!;
    const groups = Math.min(fallGroups, this.#groups[i]! + 1);
    // Only single values have nothing to be measured by at first: longer averages have shorter ones.
    const isFirst = i % levels === 0 && groups < groupsMin;
    const counted = isFirst ? variance : Math.min(variance, outlierRatio * known);
    const memory = Math.min(groups, counted > known ? riseGroups : fallGroups);
    this.#groups[i] = groups;
    this.#variances[i] = Math.max(varianceMin / levels, known + (counted - known) / memory);
    // Longer averages may differ as much until there were any.
    for (let above = i + 1; above % levels !== 0 && this.#groups[above] === 0; above++) {
      this.#variances[above] = this.#variances[i]!;
    }
  }
}
