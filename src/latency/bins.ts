import { inbandBin, inbandHistogram } from '../generated/layout.ts';
import type { LatencyWindow } from './window.ts';

const { unitBits, subBits } = inbandBin;
const subBins = 1 << subBits;
const unitNs = 2 ** unitBits;

/** Bins of latencies: log-linear from 64 ns to 2^39 ns (9 minutes), each 1/16 to 1/31 of its latency wide from 1 us on. */
export const binCount = inbandBin.count;

/** Bin of a latency in ns, 0 to 2^39-1; the same as the kernel's `bin_of`. */
export function binOf(latencyNs: number): number {
  const units = Math.floor(latencyNs / unitNs);
  if (units < subBins) return units;
  // Units have at most 33 bits: one octave more than what a 32-bit operation takes.
  if (units >= 2 ** 32) return (32 - subBits) * subBins + Math.floor(units / 2 ** (32 - subBits));
  const octave = 31 - Math.clz32(units) - subBits;
  return octave * subBins + (units >>> octave);
}

/** Smallest latency in ns of a bin; that of bin `binCount` is where the last one ends. */
export function binStartNs(bin: number): number {
  if (bin < subBins) return bin * 2 ** unitBits;
  const octave = (bin >> subBits) - 1;
  return (subBins + (bin & (subBins - 1))) * 2 ** (octave + unitBits);
}

const wordOf = (field: keyof typeof inbandHistogram.fields) => inbandHistogram.fields[field].offset / 4;
const countWord = wordOf('count');
const sumWord = wordOf('sumNs');
const lastWord = wordOf('lastNs');
const lastTimeWord = wordOf('lastTimeNs');
const binsWord = wordOf('bins');

/** A u64 that the kernel may be counting up, read from its two halves; exact below 2^53. */
export function readU64(words: Uint32Array, at: number): number {
  for (;;) {
    const high = words[at + 1]!;
    const low = words[at]!;
    if (words[at + 1] === high) return high * 0x1_0000_0000 + low;
  }
}

/** The same of an i64 in two's complement, as the sums of signed kinds are; exact within 2^53. */
function readI64(words: Uint32Array, at: number): number {
  for (;;) {
    const high = words[at + 1]!;
    const low = words[at]!;
    if (words[at + 1] === high) return (high | 0) * 0x1_0000_0000 + low;
  }
}

/** The samples of one backend and kind since the start: histograms in mapped memory, one per CPU, read as one. */
export class LiveBins {
  readonly #words: Uint32Array;
  readonly #starts: readonly number[];

  /** @param starts where each CPU's `struct inband_histogram` begins in `words` */
  constructor(words: Uint32Array, starts: readonly number[]) {
    this.#words = words;
    this.#starts = starts;
  }

  get count(): number {
    let count = 0;
    for (let cpu = 0; cpu < this.#starts.length; cpu++) {
      count += readU64(this.#words, this.#starts[cpu]! + countWord);
    }
    return count;
  }

  get sumNs(): number {
    let sum = 0;
    for (const start of this.#starts) sum += readI64(this.#words, start + sumWord);
    return sum;
  }

  /** The latest sample in ns; NaN before the first. */
  get lastNs(): number {
    const at = this.#latest();
    return at < 0 ? Number.NaN : readI64(this.#words, at + lastWord);
  }

  /** When the latest sample was taken, in ns on the monotonic clock; NaN before the first. */
  get lastTimeNs(): number {
    const at = this.#latest();
    return at < 0 ? Number.NaN : readU64(this.#words, at + lastTimeWord);
  }

  /** Writes the count of each bin, modulo 2^32. */
  read(bins: Uint32Array): void {
    bins.fill(0);
    for (const start of this.#starts) {
      for (let bin = 0; bin < binCount; bin++) bins[bin]! += this.#words[start + binsWord + bin]!;
    }
  }

  /** Where the histogram with the latest sample begins; -1 without a sample. */
  #latest(): number {
    let latest = -1;
    let latestNs = -1;
    for (let cpu = 0; cpu < this.#starts.length; cpu++) {
      const start = this.#starts[cpu]!;
      if (readU64(this.#words, start + countWord) === 0) continue;
      const timeNs = readU64(this.#words, start + lastTimeWord);
      if (timeNs > latestNs) {
        latest = start;
        latestNs = timeNs;
      }
    }
    return latest;
  }
}

/** Percentiles read bins into this; nothing is kept in it. */
const scratch = new Uint32Array(binCount);

/**
 * Samples of one backend and kind between two moments: what its bins hold more than at the first. Nothing is allocated
 * after construction, and no sample is touched: `update` costs a few loads per CPU.
 */
export class BinWindow implements LatencyWindow {
  lastNs = Number.NaN;
  readonly #live: LiveBins;
  readonly #base = new Uint32Array(binCount);
  #baseCount = 0;
  #baseSumNs = 0;
  #count = 0;
  #sumNs = 0;

  /** A window that begins now. */
  constructor(live: LiveBins) {
    this.#live = live;
    this.reset();
  }

  get count(): number {
    return this.#count - this.#baseCount;
  }

  get meanNs(): number {
    return this.count === 0 ? 0 : (this.#sumNs - this.#baseSumNs) / this.count;
  }

  /** Takes in what was sampled since the last call; true if there was anything. */
  update(): boolean {
    const count = this.#live.count;
    if (count === this.#count) return false;
    this.#count = count;
    this.#sumNs = this.#live.sumNs;
    this.lastNs = this.#live.lastNs;
    return true;
  }

  /** Starts the next window: samples before now no longer count. */
  reset(): void {
    this.update();
    this.#live.read(this.#base);
    this.#baseCount = this.#count;
    this.#baseSumNs = this.#sumNs;
  }

  /**
   * The latency in ns that `percent` (0 to 100) of the samples up to now do not exceed, within the width of a bin (1/16),
   * over which samples are taken to be spread evenly; 0 without a sample.
   */
  percentileNs(percent: number): number {
    this.#live.read(scratch);
    let total = 0;
    for (let bin = 0; bin < binCount; bin++) {
      scratch[bin]! -= this.#base[bin]!;
      total += scratch[bin]!;
    }
    if (total === 0) return 0;
    let rank = Math.max(1, Math.ceil((percent / 100) * total));
    let bin = 0;
    while (rank > scratch[bin]!) rank -= scratch[bin++]!;
    const startNs = binStartNs(bin);
    return startNs + ((binStartNs(bin + 1) - startNs) * rank) / scratch[bin]!;
  }
}
