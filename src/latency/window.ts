import { latencyNsMax } from './estimator.ts';
import { LatencyHistogram } from './histogram.ts';

/** What a policy reads of the samples of one backend and one kind over some time. */
export interface LatencyWindow {
  /** The latest sample in ns; NaN before the first. */
  readonly lastNs: number;
  /** Samples in the window. */
  readonly count: number;
  /** Mean in ns, 0 without a sample. */
  readonly meanNs: number;
  /** The latency in ns that `percent` (0 to 100) of the samples do not exceed; 0 without a sample. */
  percentileNs(percent: number): number;
  /** Starts the next window: samples before now no longer count. */
  reset(): void;
}

/**
 * Latency samples of one backend and one kind over some time, as a histogram with three significant digits
 * (hdr-histogram-js). Its owner decides when a window begins and ends: `reset` starts the next one.
 */
export class Window implements LatencyWindow {
  /** The latest sample in ns; NaN before the first. Outlives `reset`. */
  lastNs = Number.NaN;
  /** Largest sample in ns, 0 without one. Kept here, since adding histograms rounds theirs down. */
  maxNs = 0;
  readonly #histogram = new LatencyHistogram();
  /** Sum in ns of negative samples, which the histogram holds as 0. */
  #negativeSumNs = 0;

  /**
   * Adds a sample. The histogram itself would count NaN silently, hence the check.
   * @param latencyNs 0 to `latencyNsMax`; negative, as single samples of signed kinds may be, it counts as 0 among
   *   percentiles and as itself in the mean
   * @throws RangeError outside that range
   */
  record(latencyNs: number): void {
    if (!(Math.abs(latencyNs) <= latencyNsMax)) throw new RangeError(`latency of ${latencyNs} ns`);
    this.lastNs = latencyNs;
    if (latencyNs > this.maxNs) this.maxNs = latencyNs;
    if (latencyNs < 0) this.#negativeSumNs += latencyNs;
    this.#histogram.recordValue(Math.max(0, latencyNs));
  }

  get count(): number {
    return this.#histogram.totalCount;
  }

  /** Mean in ns, 0 without a sample. */
  get meanNs(): number {
    const { mean } = this.#histogram;
    return this.#negativeSumNs < 0 ? mean + this.#negativeSumNs / this.count : mean;
  }

  /** The latency in ns that `percent` (0 to 100) of the samples do not exceed, within 0.1 %; 0 without a sample. */
  percentileNs(percent: number): number {
    if (this.count === 0) return 0;
    // A bin's upper end may lie above every sample in it.
    return Math.min(this.#histogram.getValueAtPercentile(percent), this.maxNs);
  }

  /** Adds all samples of another window. */
  add(other: Window): void {
    this.#histogram.add(other.#histogram);
    this.#negativeSumNs += other.#negativeSumNs;
    if (other.maxNs > this.maxNs) this.maxNs = other.maxNs;
  }

  reset(): void {
    this.#histogram.reset();
    this.#negativeSumNs = 0;
    this.maxNs = 0;
  }
}

/** One window per (backend, kind), made when its first sample comes. */
export class WindowSet {
  readonly #kinds: number;
  readonly #windows: (Window | undefined)[] = [];

  /** @param kinds number of kinds of samples */
  constructor(kinds: number) {
    this.#kinds = kinds;
  }

  /** The window of a backend and kind, both by number; empty before the first sample. */
  of(backend: number, kind: number): Window {
    const known = this.peek(backend, kind);
    if (known) return known;
    const window = new Window();
    this.#windows[backend * this.#kinds + kind] = window;
    return window;
  }

  /** The same, without making one where nothing was recorded. */
  peek(backend: number, kind: number): Window | undefined {
    return this.#windows[backend * this.#kinds + kind];
  }
}
