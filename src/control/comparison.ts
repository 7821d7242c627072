import type { Ns } from '../units.ts';
import { Scatter } from './scatter.ts';

/** Windows that an average covers at most, and a recent one. */
const windowsMax = 128;
const windowsRecent = 8;
/** Windows of a backend from which it is learnt what is chance. */
const settledWindows = 24;
/** Deviations of chance by which a ratio must exceed another to be sure of it; a single window needs more of them. */
const sureDeviations = 3.3;
const sureDeviationsFirst = 1;
/** Deviations by which a window, or the recent ones, must leave the average to begin a new one. */
const changeDeviations = 4;
/** A change by less than this (in octaves) is not looked for. */
const changeMin = 0.1;
/**
 * While the whole pool is slower than before, as with more load, windows scatter more than they did, and there must be so many
 * more deviations for each octave. Time constants of now and before.
 */
const risenDeviations = 8;
const levelNs = 50e6;
const levelBeforeNs = 3e9;
/** Octaves from the middle of the pool at which a backend counts at most for others. */
const outlierOctaves = 2;
/**
 * Latencies are compared as ratios, except that this much is added: a few microseconds more are no slower server. Of stamps
 * half a tick of the clock that most servers have, 1 ms: what a flow's stamps are off by does not average out over its
 * samples, and differs between backends with few flows.
 */
const softNsDefault = 5e3;
const softNsServer = 500e3;

/** What is added to latencies of a kind before they are compared, in ns. */
export function softNsOf(kind: string): number {
  return kind === 'server' ? softNsServer : softNsDefault;
}

/** Octaves above 1 ns of a latency to which `softNs` is added. */
export function octaves(latencyNs: number, softNs: number): number {
  return Math.log2(Math.max(0, latencyNs) + softNs);
}

/**
 * How one figure of each backend's latency compares with the others', and how sure that is: averages over windows of its
 * ratio to the geometric mean of the others, which begin anew when they change, and whose error is judged by how windows
 * scattered before. Ratios are in octaves: 1 is twice the others' latency.
 */
export class Comparison {
  readonly #softNs: number;
  readonly #octaves: Float64Array;
  readonly #latest: Float64Array;
  readonly #recent: Float64Array;
  readonly #averages: Float64Array;
  /** Windows in the average, and all there were as far as that matters. */
  readonly #windows: Uint8Array;
  readonly #observed: Uint8Array;
  readonly #scatter: Scatter;
  readonly #sorted: Float64Array;
  /** 1 for the backends that the sum of octaves is of. */
  readonly #counts: Uint8Array;
  #counted = 0;
  #sum = 0;
  #middle = 0;
  /** Level of the pool lately and before, in octaves, and when they were updated. */
  #level = Number.NaN;
  #levelBefore = Number.NaN;
  #comparedNs = 0;

  constructor(backends: number, kind: string) {
    const none = () => new Float64Array(backends);
    this.#softNs = softNsOf(kind);
    this.#octaves = none();
    this.#latest = none();
    this.#recent = none();
    this.#averages = none();
    this.#windows = new Uint8Array(backends);
    this.#observed = new Uint8Array(backends);
    this.#scatter = new Scatter(backends);
    this.#sorted = none();
    this.#counts = new Uint8Array(backends);
  }

  /** Takes a backend's latency over its latest window. */
  take(b: number, latencyNs: number): void {
    this.#octaves[b] = octaves(latencyNs, this.#softNs);
  }

  /** Compares all that count, and observes the ratios of those that were taken. */
  compare(counts: Uint8Array, taken: Uint8Array, now: Ns): void {
    this.#counts.set(counts);
    this.#counted = 0;
    for (let b = 0; b < counts.length; b++) {
      if (counts[b] === 1) this.#sorted[this.#counted++] = this.#octaves[b]!;
    }
    this.#sorted.subarray(0, this.#counted).sort();
    this.#middle = this.#sorted[Math.max(0, this.#counted - 1) >> 1]!;
    this.#follow(now);
    this.#sum = 0;
    for (let b = 0; b < counts.length; b++) if (counts[b] === 1) this.#sum += this.#bounded(b);
    if (this.#counted < 2) return;
    for (let b = 0; b < counts.length; b++) {
      if (taken[b] === 1 && counts[b] === 1) this.#observe(b, this.#octaves[b]! - this.#others(b));
    }
  }

  /** Takes note of how windows scatter in the pool as a whole. */
  settle(): void {
    this.#scatter.compare();
  }

  /** Average of all backends that count but one, in ns; that of all with -1, NaN without any. */
  othersNs(b: number): number {
    return 2 ** this.#others(b) - this.#softNs;
  }

  /** A backend's ratio on average, in octaves. */
  ratio(b: number): number {
    return this.#averages[b]!;
  }

  /** Ratio that a backend surely has: by its average, its recent windows, or the latest one. */
  sureRatio(b: number): number {
    const windows = Math.max(1, this.#windows[b]!);
    const recent = Math.min(windowsRecent, windows);
    return Math.max(
      this.#averages[b]! - this.#margin(b, windows),
      this.#recent[b]! - this.#margin(b, recent),
      this.#latest[b]! - this.#margin(b, 1),
    );
  }

  /** Standard deviation by chance of a single window's ratio, in octaves. */
  deviation(b: number): number {
    return this.#scatter.deviation(b, 1);
  }

  /** Whether a backend's ratio is not known, since it was renewed. */
  isOpen(b: number): boolean {
    return this.#windows[b] === 0 && this.#observed[b]! > 0;
  }

  /** Whether a backend was observed often enough to know what is chance. */
  isSettled(b: number): boolean {
    return this.#observed[b]! >= settledWindows;
  }

  /** Lets the average of a backend begin anew with its next window. */
  renew(b: number): void {
    this.#windows[b] = 0;
    this.#latest[b] = this.#recent[b] = this.#averages[b] = 0;
    this.#scatter.interrupt(b);
  }

  /** Begins a backend anew, as if it had never been observed. */
  forget(b: number): void {
    this.renew(b);
    this.#observed[b] = 0;
  }

  /** Takes a ratio for a backend's own from now on. */
  change(b: number, ratio: number, windows = 1): void {
    this.#averages[b] = this.#recent[b] = ratio;
    if (windows === 1) this.#latest[b] = ratio;
    this.#windows[b] = windows;
  }

  /** A backend that is far from the middle does not hide from the others' average that another one is slow too. */
  #bounded(b: number): number {
    const value = this.#octaves[b]!;
    return Math.min(this.#middle + outlierOctaves, Math.max(this.#middle - outlierOctaves, value));
  }

  #others(b: number): number {
    if (b < 0 || this.#counts[b] === 0) return this.#sum / this.#counted;
    return this.#counted === 1 ? Number.NaN : (this.#sum - this.#bounded(b)) / (this.#counted - 1);
  }

  #observe(b: number, ratio: number): void {
    this.#observed[b] = Math.min(settledWindows, this.#observed[b]! + 1);
    const windows = Math.min(windowsMax, this.#windows[b]! + 1);
    this.#latest[b] = ratio;
    this.#recent[b]! += (ratio - this.#recent[b]!) / Math.min(windowsRecent, windows);
    if (windows > 1 && this.#hasLeft(b, ratio, 1)) this.change(b, ratio);
    else if (windows > 2 * windowsRecent && this.#hasLeft(b, this.#recent[b]!, windowsRecent)) {
      this.change(b, this.#recent[b]!, windowsRecent);
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

  /** Follows the level of the pool. */
  #follow(now: Ns): void {
    const sinceNs = now - this.#comparedNs;
    this.#comparedNs = now;
    if (this.#counted === 0) return;
    if (Number.isNaN(this.#level)) this.#level = this.#levelBefore = this.#middle;
    this.#level += (this.#middle - this.#level) * (1 - Math.exp(-sinceNs / levelNs));
    this.#levelBefore += (this.#middle - this.#levelBefore) * (1 - Math.exp(-sinceNs / levelBeforeNs));
  }

  #margin(b: number, windows: number): number {
    const risen = Math.max(0, this.#level - this.#levelBefore);
    const deviations = sureDeviations + sureDeviationsFirst / windows + risenDeviations * risen;
    return deviations * this.#scatter.deviation(b, windows);
  }
}
