import { Ewma } from './ewma.ts';
import type { Meter } from './meter.ts';
import { PeriodicPolicy } from './periodic.ts';
import type { PolicyInput } from './policy.ts';
import { checkSettings, durationSetting, numberSetting, type SettingsOf, withDefaults } from './settings.ts';

export const c3Settings = {
  period: durationSetting('time between two evaluations', 100e6, 1e6, 60e9),
  'half-life': durationSetting('of latency and requests in flight', 200e6, 1e6, 600e9),
  exponent: numberSetting('of requests in flight', 3, 1, 5),
  floor: numberSetting('fraction of its weight that a backend keeps', 0.01, 0, 1),
} as const;

/**
 * C3's replica ranking (Suresh et al., NSDI'15): a server scores R - 1/mu + q^3/mu, with its latency R, service time 1/mu and
 * queue q = 1 + requests in flight; the less the better.
 *
 * Deviations: C3 sends each request to the server of least score; here slots are in proportion to weight over score. Servers
 * do not tell their queue and service time: the queue is what this load balancer has in flight there, and the service
 * time is R/q, that of a server which works on one request at a time.
 * Rate control is left out, since a load balancer that sees packets cannot hold requests back. Every backend keeps a floor,
 * which C3's own requests to its replicas make needless.
 */
export class C3 extends PeriodicPolicy {
  readonly name = 'c3';
  readonly #settings: SettingsOf<typeof c3Settings>;
  #latency!: Ewma;
  #inFlight!: Ewma;
  #known!: Uint8Array;

  /** @throws InbandError `USAGE` for settings out of range */
  constructor(given: Partial<SettingsOf<typeof c3Settings>> = {}) {
    checkSettings('c3', c3Settings, given);
    const settings = withDefaults(c3Settings, given);
    super(settings.period, settings.floor, 50);
    this.#settings = settings;
  }

  protected begin(backends: number): void {
    this.#latency = new Ewma(backends, 0, this.#settings['half-life']);
    this.#inFlight = new Ewma(backends, 0, this.#settings['half-life']);
    this.#known = new Uint8Array(backends);
  }

  protected score({ weights }: PolicyInput, meter: Meter, sinceNs: number, scores: Float64Array): void {
    let best = 0;
    for (let b = 0; b < scores.length; b++) {
      // The first sample is the average: one that began at 0 would make a new server look like the best.
      const dtNs = this.#known[b] === 0 ? Number.POSITIVE_INFINITY : sinceNs;
      if (meter.samples[b]! > 0) {
        this.#latency.add(b, Math.max(1, meter.meanNs[b]!), dtNs);
        this.#known[b] = 1;
      }
      this.#inFlight.add(b, meter.inFlight[b]!, dtNs);
      scores[b] = this.#known[b] === 1 ? 1 / this.#rank(b, weights) : 0;
      best = Math.max(best, scores[b]!);
    }
    for (let b = 0; b < scores.length; b++) if (this.#known[b] === 0) scores[b] = best;
  }

  /** R - 1/mu + q^exponent/mu in ns; requests in flight are per weight, which stands for what a server does at a time. */
  #rank(b: number, weights: Float64Array): number {
    const latencyNs = this.#latency.values[b]!;
    const queue = 1 + this.#inFlight.values[b]! / (weights[b]! * weights.length);
    const serviceNs = latencyNs / queue;
    return latencyNs - serviceNs + queue ** this.#settings.exponent * serviceNs;
  }
}
