import { binCount, binStartNs, type LiveBins } from '../latency/bins.ts';

/** Exponents of two of the smallest and the largest bound in ns: 16 us to 4.3 s, a bound at each octave of bins between. */
const firstBits = 14;
const lastBits = 32;

/** Upper bounds in ns, increasing; the last bucket has none. Each is where a bin begins, so that no bin is divided. */
export const bucketBoundsNs: readonly number[] = Array.from(
  { length: lastBits - firstBits + 1 },
  (_, i) => 2 ** (firstBits + i),
);
export const bucketCount = bucketBoundsNs.length + 1;

/** Bucket of each bin. */
const bucketOf = Uint8Array.from({ length: binCount }, (_, bin) => {
  const bound = bucketBoundsNs.findIndex((boundNs) => binStartNs(bin) < boundNs);
  return bound < 0 ? bucketCount - 1 : bound;
});
/** So many samples may come between two calls of `update`: bins wrap at 2^32. */
export const samplesPerUpdateMax = 2 ** 30;

const bins = new Uint32Array(binCount);
const sums = new Uint32Array(bucketCount);

/** Samples of a backend and kind since the start by latency, for a histogram: bins that wrap become counts that do not. */
export class BucketCounts {
  /** Samples up to each bound, and of all of them; exact below 2^53. */
  readonly cumulative = new Float64Array(bucketCount);
  readonly #live: LiveBins;
  readonly #counts = new Float64Array(bucketCount);
  /** Sums of bins modulo 2^32, as they were last seen. */
  readonly #seen = new Uint32Array(bucketCount);
  #count = 0;

  constructor(live: LiveBins) {
    this.#live = live;
  }

  /** Samples in `cumulative`. */
  get count(): number {
    return this.cumulative[bucketCount - 1]!;
  }

  /** Sum of all latencies in ns. */
  get sumNs(): number {
    return this.#live.sumNs;
  }

  /** Takes in what was sampled since the last call, if that is at least `samplesMin`. */
  update(samplesMin = 1): void {
    const count = this.#live.count;
    if (count - this.#count < samplesMin) return;
    this.#count = count;
    this.#live.read(bins);
    sums.fill(0);
    for (let bin = 0; bin < binCount; bin++) sums[bucketOf[bin]!]! += bins[bin]!;
    let total = 0;
    for (let bucket = 0; bucket < bucketCount; bucket++) {
      this.#counts[bucket]! += (sums[bucket]! - this.#seen[bucket]!) >>> 0;
      this.#seen[bucket] = sums[bucket]!;
      total += this.#counts[bucket]!;
      this.cumulative[bucket] = total;
    }
  }
}
