import type { LatencyWindow } from '../latency/window.ts';
import type { Ns } from '../units.ts';
import type { PolicyInput } from './policy.ts';
import { Scatter } from './scatter.ts';

/** A typical latency is that of at least this long a time and as many samples: shorter ones differ between equals. */
const windowNs = 10e6;
const samplesMin = 16;
/** Histograms read in one call: reading one takes a microsecond, and a step with 1,000 backends may take a thousand. */
const windowsPerCall = 64;
/** An estimate older than this says nothing of now; nor one older than this many windows, where samples are rare. */
const staleNs = 1e9;
const staleWindows = 32;
/** Windows that an average covers at most, and a recent one. */
const windowsMax = 256;
const windowsRecent = 8;
/** Deviations by which a window, or the recent ones, must leave the average to begin a new one. */
const changeDeviations = 4;
/** A change by less than this (in octaves) is not looked for. */
const changeMin = 0.1;
/** Latencies are compared as ratios, except that this much is added: a few microseconds more are no slower server. */
const softNs = 5e3;

/** Octaves above 1 ns. */
export function octaves(latencyNs: number): number {
  return Math.log2(Math.max(0, latencyNs) + softNs);
}

/** What a controller compares of a window: the median, and where only means are meaningful the mean. */
export function typicalNs(window: LatencyWindow, kind: string): number {
  return kind === 'server' ? window.meanNs : window.percentileNs(50);
}

/**
 * How each backend's latency compares with the others', and how sure that is: averages over windows of the ratio of its
 * typical latency to the lower quartile of the others', which begin anew when they change, and whose error is judged by
 * how windows scattered before. Ratios are in octaves: 1 is twice the others' latency.
 */
export class Evidence {
  /** Per backend, of its latest full window: typical latency, time and samples that it is of, when it ended, samples/s. */
  readonly latencyNs: Float64Array;
  readonly spanNs: Float64Array;
  readonly samples: Float64Array;
  readonly takenNs: Float64Array;
  readonly rates: Float64Array;
  /** Per backend: 1 if the last `measure` took a window. */
  readonly taken: Uint8Array;
  readonly #startedNs: Float64Array;
  readonly #octaves: Float64Array;
  readonly #averages: Float64Array;
  readonly #recent: Float64Array;
  readonly #windows: Uint16Array;
  readonly #scatter: Scatter;
  readonly #sorted: Float64Array;
  #fresh = 0;
  #next = 0;
  #now: Ns;

  constructor(backends: number, now: Ns) {
    this.latencyNs = new Float64Array(backends);
    this.spanNs = new Float64Array(backends).fill(windowNs);
    this.samples = new Float64Array(backends);
    this.takenNs = new Float64Array(backends).fill(Number.NEGATIVE_INFINITY);
    this.rates = new Float64Array(backends);
    this.taken = new Uint8Array(backends);
    this.#startedNs = new Float64Array(backends).fill(now);
    this.#octaves = new Float64Array(backends);
    this.#averages = new Float64Array(backends);
    this.#recent = new Float64Array(backends);
    this.#windows = new Uint16Array(backends);
    this.#scatter = new Scatter(backends);
    this.#sorted = new Float64Array(backends);
    this.#now = now;
  }

  /** Takes the windows that are full, and starts the next ones. */
  measure({ windows, kind, now, usable }: PolicyInput): void {
    this.#now = now;
    this.taken.fill(0);
    let taken = 0;
    for (let i = 0; i < windows.length && taken < windowsPerCall; i++) {
      const b = this.#next;
      this.#next = b + 1 === windows.length ? 0 : b + 1;
      const { count } = windows[b]!;
      const spanNs = now - this.#startedNs[b]!;
      if (count < samplesMin || spanNs < windowNs) continue;
      this.#take(b, typicalNs(windows[b]!, kind), count, spanNs);
      this.restart(b, windows[b]!, now);
      taken++;
    }
    if (taken > 0) this.#compare(usable);
  }

  /** Begins a backend's window anew, without what was sampled before. */
  restart(b: number, window: LatencyWindow, now: Ns): void {
    window.reset();
    this.#startedNs[b] = now;
  }

  /** Begins a backend anew, as if it had never been measured. */
  forget(b: number, { windows, now }: PolicyInput): void {
    this.restart(b, windows[b]!, now);
    this.takenNs[b] = Number.NEGATIVE_INFINITY;
    this.rates[b] = this.#windows[b] = this.#averages[b] = this.#recent[b] = 0;
    this.#scatter.interrupt(b);
  }

  /** Whether a backend has been measured lately. */
  isFresh(b: number): boolean {
    return this.#now - this.takenNs[b]! <= Math.max(staleNs, staleWindows * this.spanNs[b]!);
  }

  /** Backends that have been measured lately. */
  get freshCount(): number {
    return this.#fresh;
  }

  /** Ratio of a fresh backend's latency to the others' in octaves, less or more this many deviations of chance. */
  ratio(b: number, deviations: number): number {
    return this.#averages[b]! + deviations * this.#scatter.deviation(b, this.#windows[b]!);
  }

  /** Lower quartile of the typical latencies of all but one backend, in ns; that of all with -1. */
  othersNs(b: number): number {
    return 2 ** this.#others(b) - softNs;
  }

  /** Takes a ratio for a backend's own from now on: a change that was seen before a window was full. */
  change(b: number, ratio: number): void {
    this.#averages[b] = this.#recent[b] = ratio;
    this.#windows[b] = 1;
    this.#scatter.interrupt(b);
  }

  #take(b: number, latencyNs: number, count: number, spanNs: number): void {
    this.latencyNs[b] = latencyNs;
    this.#octaves[b] = octaves(latencyNs);
    this.samples[b] = count;
    this.spanNs[b] = spanNs;
    this.rates[b] = (count * 1e9) / spanNs;
    this.takenNs[b] = this.#now;
    this.taken[b] = 1;
  }

  #compare(usable: Uint8Array): void {
    let fresh = 0;
    for (let b = 0; b < usable.length; b++) {
      if (usable[b] === 1 && this.isFresh(b)) this.#sorted[fresh++] = this.#octaves[b]!;
    }
    this.#fresh = fresh;
    this.#sorted.subarray(0, fresh).sort();
    if (fresh < 2) return;
    for (let b = 0; b < usable.length; b++) {
      if (this.taken[b] === 1 && usable[b] === 1) this.#observe(b, this.#octaves[b]! - this.#others(b));
    }
  }

  #others(b: number): number {
    if (this.#fresh === 0) return Number.NaN;
    const rank = Math.floor(0.25 * Math.max(0, this.#fresh - (b < 0 ? 1 : 2)));
    const value = this.#sorted[rank]!;
    return b >= 0 && rank + 1 < this.#fresh && this.#octaves[b]! <= value ? this.#sorted[rank + 1]! : value;
  }

  #observe(b: number, ratio: number): void {
    const windows = Math.min(windowsMax, this.#windows[b]! + 1);
    const recent = Math.min(windowsRecent, windows);
    this.#recent[b]! += (ratio - this.#recent[b]!) / recent;
    if (windows > 1 && this.#hasLeft(b, ratio, 1)) this.change(b, ratio);
    else if (windows > 2 * windowsRecent && this.#hasLeft(b, this.#recent[b]!, windowsRecent)) {
      const now = this.#recent[b]!;
      this.change(b, now);
      this.#windows[b] = windowsRecent;
    } else {
      this.#windows[b] = windows;
      this.#averages[b]! += (ratio - this.#averages[b]!) / windows;
    }
    this.#scatter.add(b, ratio);
  }

  #hasLeft(b: number, ratio: number, windows: number): boolean {
    const limit = Math.max(changeMin, changeDeviations * this.#scatter.deviation(b, windows));
    return Math.abs(ratio - this.#averages[b]!) > limit;
  }
}
