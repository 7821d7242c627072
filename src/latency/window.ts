import { build, type Histogram } from 'hdr-histogram-js';
import { latencyNsMax } from './estimator.ts';

/**
 * Latency samples of one backend and one kind over some time, as a histogram with three significant digits
 * (hdr-histogram-js). Its owner decides when a window begins and ends: `reset` starts the next one.
 */
export class Window {
  /** The latest sample in ns; NaN before the first. Outlives `reset`. */
  lastNs = Number.NaN;
  readonly #histogram: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 2,
    numberOfSignificantValueDigits: 3,
    autoResize: true,
  });

  /**
   * Adds a sample. The histogram itself would count NaN silently, hence the check.
   * @param latencyNs 0 to `latencyNsMax`
   * @throws RangeError outside that range
   */
  record(latencyNs: number): void {
    if (!(latencyNs >= 0 && latencyNs <= latencyNsMax)) throw new RangeError(`latency of ${latencyNs} ns`);
    this.lastNs = latencyNs;
    this.#histogram.recordValue(latencyNs);
  }

  get count(): number {
    return this.#histogram.totalCount;
  }

  /** Largest sample in ns, 0 without one. */
  get maxNs(): number {
    return this.#histogram.totalCount === 0 ? 0 : this.#histogram.maxValue;
  }

  /** Mean in ns, 0 without a sample. */
  get meanNs(): number {
    return this.#histogram.mean;
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
  }

  reset(): void {
    this.#histogram.reset();
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
    const at = backend * this.#kinds + kind;
    while (this.#windows.length <= at) this.#windows.push(undefined);
    return (this.#windows[at] ??= new Window());
  }
}
