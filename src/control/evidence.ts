import type { LatencyWindow } from '../latency/window.ts';
import type { Ns } from '../units.ts';
import { Comparison } from './comparison.ts';
import type { PolicyInput } from './policy.ts';

/** A typical latency is that of at least this long a time and as many samples: shorter ones differ between equals. */
const windowNs = 10e6;
const samplesMin = 16;
/** Histograms read in one call: reading one takes microseconds, and a step with 1,000 backends may take a thousand. */
const windowsPerCall = 32;
/** An estimate older than this says nothing of now; nor one older than this many windows, where samples are rare. */
const staleNs = 1e9;
const staleWindows = 32;
/** How often it is looked how much windows scatter in the pool as a whole. */
const settleNs = 50e6;

/** What a controller compares of a window: the median, and where only means are meaningful the mean. */
export function typicalNs(window: LatencyWindow, kind: string): number {
  return kind === 'server' ? window.meanNs : window.percentileNs(50);
}

/**
 * Takes each backend's windows as they become full, and compares typical latencies and means: a server may be slow with
 * most requests, or with some that only its mean tells of.
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
  readonly #typical: Comparison;
  readonly #mean: Comparison;
  readonly #startedNs: Float64Array;
  /** Windows that end before are of requests that were sent before the share changed. */
  readonly #ignoredNs: Float64Array;
  readonly #counts: Uint8Array;
  #fresh = 0;
  #next = 0;
  #settledNs = Number.NEGATIVE_INFINITY;
  #now: Ns;

  constructor(backends: number, kind: string, now: Ns) {
    const none = () => new Float64Array(backends);
    this.latencyNs = none();
    this.spanNs = none().fill(windowNs);
    this.samples = none();
    this.takenNs = none().fill(Number.NEGATIVE_INFINITY);
    this.rates = none();
    this.taken = new Uint8Array(backends);
    this.#typical = new Comparison(backends, kind);
    this.#mean = new Comparison(backends, kind);
    this.#startedNs = none().fill(now);
    this.#ignoredNs = none();
    this.#counts = new Uint8Array(backends);
    this.#now = now;
  }

  /** Takes the windows that are full, and starts the next ones. */
  measure(input: PolicyInput): void {
    const { windows, now, usable } = input;
    this.#now = now;
    this.taken.fill(0);
    let taken = 0;
    for (let i = 0; i < windows.length && taken < windowsPerCall; i++) {
      const b = this.#next;
      this.#next = b + 1 === windows.length ? 0 : b + 1;
      if (this.#take(b, input)) taken++;
    }
    if (taken > 0) this.#compare(usable);
    if (now - this.#settledNs < settleNs) return;
    this.#settledNs = now;
    this.#typical.settle();
    this.#mean.settle();
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
    this.rates[b] = 0;
    this.#typical.forget(b);
    this.#mean.forget(b);
  }

  /** Lets the comparison of a backend begin anew with its first window from `fromNs` on: its share changed. */
  renew(b: number, fromNs: number): void {
    this.#ignoredNs[b] = fromNs;
    this.#typical.renew(b);
    this.#mean.renew(b);
  }

  /** Takes a ratio for a backend's own from now on: a change that was seen before a window was full. */
  change(b: number, ratio: number): void {
    this.#typical.change(b, ratio);
    this.#mean.change(b, ratio);
  }

  /** Whether a backend's ratio is not known, since its share changed. */
  isOpen(b: number): boolean {
    return this.#typical.isOpen(b);
  }

  /** Whether a backend was measured often enough to know what is chance. */
  isSettled(b: number): boolean {
    return this.#typical.isSettled(b);
  }

  /** Whether a backend has been measured lately. */
  isFresh(b: number): boolean {
    return this.#now - this.takenNs[b]! <= Math.max(staleNs, staleWindows * this.spanNs[b]!);
  }

  /** Backends that have been measured lately. */
  get freshCount(): number {
    return this.#fresh;
  }

  /** Ratio of a fresh backend's latency to the others' in octaves, on average; of typical latency or mean, the higher. */
  ratio(b: number): number {
    return Math.max(this.#typical.ratio(b), this.#mean.ratio(b));
  }

  /** Ratio that a backend's latency surely has to the others'. */
  sureRatio(b: number): number {
    return Math.max(this.#typical.sureRatio(b), this.#mean.sureRatio(b));
  }

  /** Standard deviation by chance of a single window's ratio, in octaves. */
  deviation(b: number): number {
    return this.#typical.deviation(b);
  }

  /** Average of the typical latencies of all fresh backends but one, in ns; that of all with -1, NaN without any. */
  othersNs(b: number): number {
    return this.#typical.othersNs(b);
  }

  /** Takes a backend's window if it is full. */
  #take(b: number, { windows, kind, now }: PolicyInput): boolean {
    const window = windows[b]!;
    if (now < this.#ignoredNs[b]!) {
      if (window.count >= samplesMin) this.restart(b, window, now);
      return false;
    }
    const { count } = window;
    const spanNs = now - this.#startedNs[b]!;
    if (count < samplesMin || spanNs < windowNs) return false;
    this.latencyNs[b] = typicalNs(window, kind);
    this.samples[b] = count;
    this.spanNs[b] = spanNs;
    this.rates[b] = (count * 1e9) / spanNs;
    this.takenNs[b] = now;
    this.taken[b] = 1;
    this.#typical.take(b, this.latencyNs[b]!);
    this.#mean.take(b, window.meanNs);
    this.restart(b, window, now);
    return true;
  }

  #compare(usable: Uint8Array): void {
    this.#fresh = 0;
    for (let b = 0; b < usable.length; b++) {
      this.#counts[b] = usable[b] === 1 && this.isFresh(b) ? 1 : 0;
      this.#fresh += this.#counts[b]!;
    }
    this.#typical.compare(this.#counts, this.taken, this.#now);
    this.#mean.compare(this.#counts, this.taken, this.#now);
  }
}
