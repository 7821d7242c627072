import type { BackendSignals } from '../latency/signals.ts';
import type { Ns } from '../units.ts';
import type { PolicyInput } from './policy.ts';

/** A backend is silent when so many responses were due and did not come, if they come at random moments, */
const dueMin = 12;
/** ... and requests have waited together for so many of the pool's typical latencies: one for 16, eight for two each. */
const latenciesMin = 16;
/** Requests sent this many typical latencies before it was last heard of may have been answered with others. */
const shortlyLatencies = 8;
/** Ages of requests are coarse. */
const silenceNsMin = 1e6;
/** ... and for longer than its silences usually last: garbage collection is not worth moving for. */
const usualRatio = 1.5;
/** What is usual is forgotten with this half-life, and is at most this much or so many typical latencies. */
const usualHalfNs = 10e9;
const usualNsMax = 20e6;
const usualLatenciesMax = 10;
/** Half-life of the rate of responses. */
const rateHalfNs = 100e6;
/** Responses of the others within a silence that show that the pool as a whole is not silent. */
const othersMin = 8;

/**
 * Which backends have requests waiting and answer none, while the others answer theirs: a stalled server gives no samples
 * of how slow it is. What clients with time to think hold back looks alike on all backends, and never makes one silent that
 * is heard of as often as before.
 */
export class Silence {
  /** Per backend: 1 while it is silent. */
  readonly silent: Uint8Array;
  /** Per backend: when it was last heard of, and for how long silences usually last, in ns. */
  readonly heardNs: Float64Array;
  readonly #usualNs: Float64Array;
  readonly #responses: Float64Array;
  /** Responses per ns, decaying, and those of the pool until the backend was last heard of. */
  readonly #rates: Float64Array;
  readonly #poolThen: Float64Array;
  readonly #news: Float64Array;
  #pool = 0;
  #poolHeardNs = Number.NEGATIVE_INFINITY;
  #now: Ns;

  constructor(backends: number, now: Ns) {
    this.silent = new Uint8Array(backends);
    this.heardNs = new Float64Array(backends).fill(now);
    this.#usualNs = new Float64Array(backends);
    this.#responses = new Float64Array(backends).fill(Number.NaN);
    this.#rates = new Float64Array(backends);
    this.#poolThen = new Float64Array(backends);
    this.#news = new Float64Array(backends);
    this.#now = now;
  }

  /** Looks at each backend; `typicalNs` is the pool's latency, NaN if it is not known. */
  look({ signals, usable, now }: PolicyInput, typicalNs: number): void {
    const sinceNs = now - this.#now;
    this.#now = now;
    if (sinceNs <= 0) return;
    const keep = 0.5 ** (sinceNs / rateHalfNs);
    const keepUsual = 0.5 ** (sinceNs / usualHalfNs);
    const before = this.#pool;
    for (let b = 0; b < signals.length; b++) {
      const { responses } = signals[b]!;
      // What was answered before the first look is none of now.
      this.#news[b] = Number.isNaN(this.#responses[b]!) ? 0 : responses - this.#responses[b]!;
      this.#responses[b] = responses;
      this.#pool += this.#news[b]!;
    }
    if (this.#pool > before) this.#poolHeardNs = now;
    for (let b = 0; b < signals.length; b++) {
      const news = this.#news[b]!;
      this.#usualNs[b]! *= keepUsual;
      // What it answered before its silence is no measure of what it answers after.
      if (this.silent[b] === 1) this.#rates[b] = news > 0 ? 0 : this.#rates[b]!;
      else this.#rates[b] = keep * this.#rates[b]! + ((1 - keep) * news) / sinceNs;
      if (news > 0 || signals[b]!.inFlight === 0) this.#heard(b, now - sinceNs, typicalNs);
      this.silent[b] = usable[b] === 1 && this.#isSilent(b, signals[b]!, typicalNs) ? 1 : 0;
    }
  }

  /** @param untilNs the last moment at which it may have been silent */
  #heard(b: number, untilNs: number, typicalNs: number): void {
    const maxNs = Math.max(usualNsMax, usualLatenciesMax * (typicalNs || 0));
    const silenceNs = Math.min(maxNs, untilNs - this.heardNs[b]!);
    if (silenceNs > this.#usualNs[b]!) this.#usualNs[b] = silenceNs;
    this.heardNs[b] = this.#now;
    this.#poolThen[b] = this.#pool;
  }

  #isSilent(b: number, signals: BackendSignals, typicalNs: number): boolean {
    const silenceNs = this.#now - this.heardNs[b]!;
    if (signals.inFlight === 0 || silenceNs < silenceNsMin || Number.isNaN(typicalNs)) return false;
    if (silenceNs * this.#rates[b]! < dueMin || silenceNs < usualRatio * this.#usualNs[b]!) return false;
    // The others answer, and still do.
    if (this.#pool - this.#poolThen[b]! < othersMin) return false;
    if (this.#now - this.#poolHeardNs > silenceNs / 4) return false;
    return this.#waitedNs(signals, silenceNs, typicalNs) >= latenciesMin * typicalNs;
  }

  /**
   * At least what requests that were sent in this silence or shortly before have waited for together. Older ones were
   * waiting when others were answered, as they do when their client is gone or has its answer and says nothing.
   */
  #waitedNs(signals: BackendSignals, silenceNs: number, typicalNs: number): number {
    const older = signals.waiting(silenceNs + Math.max(silenceNs, shortlyLatencies * typicalNs));
    const whole = signals.waiting(silenceNs) - older;
    const half = signals.waiting(silenceNs / 2) - older;
    return ((whole + half) * silenceNs) / 2;
  }
}
