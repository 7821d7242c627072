/** Bins per octave: each at most 1.6 % of its latency wide. */
const subBits = 6;
/** Latencies from 64 ns to 2^42 ns (73 minutes); what lies outside counts in the first or last bin. */
const octaveMin = 6;
const octaves = 36;
const binCount = octaves << subBits;

const double = new Float64Array(1);
const words = new Uint32Array(double.buffer);
/** Where the upper word of a double is: the exponent and the top of the mantissa. */
const upper = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 1 : 0;
const offset = (1023 + octaveMin) << subBits;

/** Percentiles of any number of latencies in fixed memory; adding one reads the bin from the bits of the double. */
export class Sketch {
  count = 0;
  sumNs = 0;
  maxNs = 0;
  readonly #bins = new Uint32Array(binCount);

  /** @param latencyNs at least 0 */
  add(latencyNs: number): void {
    double[0] = latencyNs;
    const bin = (words[upper]! >>> (20 - subBits)) - offset;
    this.#bins[bin < 0 ? 0 : bin >= binCount ? binCount - 1 : bin]!++;
    this.count++;
    this.sumNs += latencyNs;
    if (latencyNs > this.maxNs) this.maxNs = latencyNs;
  }

  get meanNs(): number {
    return this.count === 0 ? 0 : this.sumNs / this.count;
  }

  /** The latency in ns that `percent` of those added do not exceed, within a bin's width; 0 without any. */
  percentileNs(percent: number): number {
    if (this.count === 0) return 0;
    let rank = Math.max(1, Math.ceil((percent / 100) * this.count));
    let bin = 0;
    while (rank > this.#bins[bin]!) rank -= this.#bins[bin++]!;
    const startNs = startOf(bin);
    return Math.min(this.maxNs, startNs + ((startOf(bin + 1) - startNs) * rank) / this.#bins[bin]!);
  }

  /** Adds all of another sketch. */
  merge(other: Sketch): void {
    for (let bin = 0; bin < binCount; bin++) this.#bins[bin]! += other.#bins[bin]!;
    this.count += other.count;
    this.sumNs += other.sumNs;
    this.maxNs = Math.max(this.maxNs, other.maxNs);
  }

  reset(): void {
    this.#bins.fill(0);
    this.count = 0;
    this.sumNs = 0;
    this.maxNs = 0;
  }
}

function startOf(bin: number): number {
  const subBins = 1 << subBits;
  return 2 ** (octaveMin + (bin >> subBits)) * (1 + (bin & (subBins - 1)) / subBins);
}
