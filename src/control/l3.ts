import { Ewma } from './ewma.ts';
import type { Meter } from './meter.ts';
import { PeriodicPolicy } from './periodic.ts';
import type { PolicyInput } from './policy.ts';
import {
  checkSettings,
  choiceSetting,
  durationSetting,
  numberSetting,
  type SettingsOf,
  withDefaults,
} from './settings.ts';

export const l3Settings = {
  period: durationSetting('time between two evaluations', 5e9, 10e6, 60e9),
  'latency-half-life': durationSetting('of latency and requests in flight', 5e9, 10e6, 600e9),
  'rate-half-life': durationSetting('of requests per second and success', 10e9, 10e6, 600e9),
  penalty: durationSetting('what a failed request costs its client', 600e6, 1e6, 60e9),
  percentile: numberSetting('of latency', 99, 50, 99.9),
  ewma: choiceSetting('average of latency', 'plain', 'peak'),
} as const;

/** Where averages begin, and what they move back by per period without samples; latencies in s. */
const latencyBefore = 5;
const latencyStep = 0.1;
const inFlightBefore = 100;
const successStep = 0.01;
/** Weights are at least 1 when those of latencies in seconds are scaled by this: 50 ms has a weight of 2000. */
const weightScale = 100;

/**
 * L3 (Michaelis et al., Middleware'24, Algorithms 1 and 2): weights fall with the square of requests in flight per request
 * per second and with the 99th percentile of latency, to which failures add a penalty; when the rate of requests changes, weights
 * come closer together (more requests) or further apart (fewer).
 *
 * Deviations: measurements are the load balancer's own and of the last period, not Prometheus' of the last 10 s; an attempt
 * succeeds unless a SYN or segment is sent again or the client resets, as a load balancer does not see status codes; weights
 * multiply those that are configured.
 */
export class L3 extends PeriodicPolicy {
  readonly name = 'l3';
  readonly #settings: SettingsOf<typeof l3Settings>;
  #latency!: Ewma;
  #inFlight!: Ewma;
  #success!: Ewma;
  #rates!: Ewma;
  #total!: Ewma;

  /** @throws InbandError `USAGE` for settings out of range */
  constructor(given: Partial<SettingsOf<typeof l3Settings>> = {}) {
    checkSettings('l3', l3Settings, given);
    const settings = withDefaults(l3Settings, given);
    super(settings.period, 0, settings.percentile);
    this.#settings = settings;
  }

  protected begin(backends: number): void {
    const { 'latency-half-life': latency, 'rate-half-life': rate, ewma } = this.#settings;
    this.#latency = new Ewma(backends, latencyBefore, latency, ewma === 'peak');
    this.#inFlight = new Ewma(backends, inFlightBefore, latency);
    this.#success = new Ewma(backends, 1, rate);
    this.#rates = new Ewma(backends, 0, rate);
    this.#total = new Ewma(1, 0, rate);
  }

  protected score(_input: PolicyInput, meter: Meter, sinceNs: number, scores: Float64Array): void {
    let total = 0;
    for (let b = 0; b < scores.length; b++) {
      total += meter.rates[b]!;
      this.#rates.add(b, meter.rates[b]!, sinceNs);
      this.#inFlight.add(b, meter.inFlight[b]!, sinceNs);
      if (meter.samples[b]! > 0) {
        this.#latency.add(b, Math.max(0, meter.highNs[b]!) / 1e9, sinceNs);
        this.#success.add(b, meter.success[b]!, sinceNs);
      } else {
        this.#latency.miss(b, latencyStep);
        this.#success.miss(b, successStep);
      }
      scores[b] = this.#weight(b);
    }
    this.#total.add(0, total, sinceNs);
    const average = this.#total.values[0]!;
    if (total > 0 && average > 0) controlRate(scores, (total - average) / average);
  }

  /** Algorithm 1. */
  #weight(b: number): number {
    const rate = this.#rates.values[b]!;
    const success = this.#success.values[b]!;
    const queued = rate > 0 ? this.#inFlight.values[b]! / rate : 0;
    const failing = success > 0 ? (this.#settings.penalty / 1e9) * (1 / success - 1) : 0;
    return Math.max(1, weightScale / ((queued + 1) ** 2 * (this.#latency.values[b]! + failing)));
  }
}

/** Algorithm 2, for a relative change `c` of the rate of all requests; its Figure 4 tells that 2 and 3 are squared too. */
export function controlRate(weights: Float64Array, c: number): void {
  const mean = weights.reduce((sum, weight) => sum + weight, 0) / weights.length;
  for (let b = 0; b < weights.length; b++) {
    const weight = weights[b]!;
    let controlled: number;
    if (c > 0) controlled = mean - (mean - weight) / (1 + c * c) ** 1.5;
    else if (weight <= mean) controlled = weight / (1 + (2 * c) ** 2) ** 1.5;
    else controlled = 2 * weight - mean - (weight - mean) / (1 + (3 * c) ** 2) ** 1.5;
    weights[b] = Math.max(1, controlled);
  }
}
