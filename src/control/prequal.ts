import type { Meter } from './meter.ts';
import { PeriodicPolicy } from './periodic.ts';
import type { PolicyInput } from './policy.ts';
import { checkSettings, durationSetting, numberSetting, type SettingsOf, withDefaults } from './settings.ts';

export const prequalSettings = {
  period: durationSetting('time between two evaluations', 50e6, 1e6, 60e9),
  quantile: numberSetting('of requests in flight, above which a backend is hot', 0.84, 0, 1),
  probes: numberSetting('backends that a new flow would choose from', 3, 1, 16),
  floor: numberSetting('fraction of its weight that a backend keeps', 0.01, 0, 1),
} as const;

/**
 * Prequal (Wydrowski et al., NSDI'24): servers with more requests in flight than a quantile of all are hot; the best is the
 * cold one of least latency, or if all are hot the one with fewest in flight.
 *
 * Deviations: it probes three random servers per request and takes the best that it knows; here a backend's slots are the
 * probability that it is the best of three that are drawn by weight, with replacement. What probes tell (latency at the present
 * number in flight, of all clients) is the median of the last period and what this load balancer has in flight, per weight.
 * Nothing is reused or removed, as every backend is known in every period; error aversion is left out. Every backend keeps a floor.
 */
export class Prequal extends PeriodicPolicy {
  readonly name = 'prequal';
  readonly #settings: SettingsOf<typeof prequalSettings>;
  #queues = new Float64Array(0);
  #sorted = new Float64Array(0);
  #order: number[] = [];

  /** @throws InbandError `USAGE` for settings out of range */
  constructor(given: Partial<SettingsOf<typeof prequalSettings>> = {}) {
    checkSettings('prequal', prequalSettings, given);
    const settings = withDefaults(prequalSettings, given);
    super(settings.period, settings.floor, 50);
    this.#settings = settings;
  }

  protected begin(backends: number): void {
    this.#queues = new Float64Array(backends);
    this.#sorted = new Float64Array(backends);
    this.#order = Array.from({ length: backends }, (_, b) => b);
  }

  protected score(input: PolicyInput, meter: Meter, _sinceNs: number, scores: Float64Array): void {
    const { weights, usable } = input;
    scores.fill(0);
    if (meter.medianNs.every(Number.isNaN)) return;
    const order = this.#rank(input, meter);
    // Probability that the best of all draws is this one: that none is better, less that all are worse.
    let left = 0;
    for (const b of order) if (usable[b] === 1) left += weights[b]!;
    const total = left;
    for (const b of order) {
      if (usable[b] === 0) continue;
      const chance = (left / total) ** this.#settings.probes;
      left = Math.max(0, left - weights[b]!);
      scores[b] = (chance - (left / total) ** this.#settings.probes) / weights[b]!;
    }
  }

  /** Numbers of the backends from the best to the worst. */
  #rank({ weights, usable }: PolicyInput, { inFlight, medianNs }: Meter): readonly number[] {
    const queues = this.#queues;
    let count = 0;
    for (let b = 0; b < queues.length; b++) {
      queues[b] = inFlight[b]! / (weights[b]! * weights.length);
      if (usable[b] === 1) this.#sorted[count++] = queues[b]!;
    }
    this.#sorted.subarray(0, count).sort();
    const limit = this.#sorted[Math.min(count - 1, Math.floor(this.#settings.quantile * count))] ?? 0;
    // Nobody is hot while all have as many; a backend without a latency yet is as good as any.
    const isHot = (b: number) => queues[b]! >= limit && queues[b]! > this.#sorted[0]!;
    const latency = (b: number) => (Number.isNaN(medianNs[b]!) ? 0 : medianNs[b]!);
    return this.#order.sort((a, b) => {
      const [hotA, hotB] = [isHot(a), isHot(b)];
      if (hotA !== hotB) return hotA ? 1 : -1;
      const by = hotA ? queues[a]! - queues[b]! : latency(a) - latency(b);
      return by || a - b;
    });
  }
}
