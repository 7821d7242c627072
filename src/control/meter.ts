import type { Ns } from '../units.ts';
import type { PolicyInput } from './policy.ts';

/**
 * What the laws made for proxies read of a backend once per period: its latencies, requests per second, requests in flight
 * and how many attempts succeed. Where nothing counts requests, each sample is one, and those in flight are as many as
 * Little's law says: rate times mean latency.
 */
export class Meter {
  /** Per backend, of the last period: samples, requests per second, requests in flight, attempts that succeeded (0 to 1). */
  readonly samples: Float64Array;
  readonly rates: Float64Array;
  readonly inFlight: Float64Array;
  readonly success: Float64Array;
  /** Per backend, in ns and of the last period with samples: median and mean; NaN before the first. */
  readonly medianNs: Float64Array;
  readonly meanNs: Float64Array;
  /** The percentile that `read` was asked for. */
  readonly highNs: Float64Array;
  readonly #requests: Float64Array;
  readonly #attempts: Float64Array;
  readonly #failures: Float64Array;
  #readNs: Ns;

  constructor(backends: number, now: Ns) {
    const none = () => new Float64Array(backends);
    this.samples = none();
    this.rates = none();
    this.inFlight = none();
    this.success = none().fill(1);
    this.medianNs = none().fill(Number.NaN);
    this.meanNs = none().fill(Number.NaN);
    this.highNs = none().fill(Number.NaN);
    this.#requests = none();
    this.#attempts = none();
    this.#failures = none();
    this.#readNs = now;
  }

  /** Time since the last reading in ns. */
  sinceNs(now: Ns): number {
    return now - this.#readNs;
  }

  /**
   * Reads the period that ends now, and starts the next one.
   * @param percent percentile to take, 0 to 100
   */
  read(input: PolicyInput, percent: number): void {
    const seconds = this.sinceNs(input.now) / 1e9;
    this.#readNs = input.now;
    for (let b = 0; b < input.windows.length; b++) {
      this.#readLatency(b, input, percent);
      this.rates[b] = seconds > 0 ? this.samples[b]! / seconds : 0;
      this.inFlight[b] = this.samples[b]! > 0 ? (this.rates[b]! * Math.max(0, this.meanNs[b]!)) / 1e9 : 0;
      if (input.signals.length > 0) this.#readSignals(b, input, seconds);
    }
  }

  #readLatency(b: number, { windows }: PolicyInput, percent: number): void {
    const window = windows[b]!;
    this.samples[b] = window.count;
    if (window.count === 0) return;
    this.medianNs[b] = window.percentileNs(50);
    this.meanNs[b] = window.meanNs;
    this.highNs[b] = window.percentileNs(percent);
    window.reset();
  }

  #readSignals(b: number, { signals }: PolicyInput, seconds: number): void {
    const { requests, flows, synRetransmits, retransmits, resets, inFlight } = signals[b]!;
    const attempts = flows + requests;
    const failures = synRetransmits + retransmits + resets;
    const tried = attempts - this.#attempts[b]!;
    const failed = failures - this.#failures[b]!;
    this.rates[b] = seconds > 0 ? (requests - this.#requests[b]!) / seconds : 0;
    this.inFlight[b] = inFlight;
    // A server that is gone gets nothing but attempts that were made before.
    this.success[b] = tried + failed > 0 ? Math.max(0, tried / (tried + failed)) : 1;
    this.#requests[b] = requests;
    this.#attempts[b] = attempts;
    this.#failures[b] = failures;
  }
}
