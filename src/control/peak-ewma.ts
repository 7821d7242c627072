import { Ewma } from './ewma.ts';
import type { Meter } from './meter.ts';
import { PeriodicPolicy } from './periodic.ts';
import type { PolicyInput } from './policy.ts';
import { checkSettings, durationSetting, numberSetting, type SettingsOf, withDefaults } from './settings.ts';

export const peakEwmaSettings = {
  period: durationSetting('time between two evaluations', 50e6, 1e6, 60e9),
  decay: durationSetting('time in which a peak falls to 1/e', 10e9, 1e6, 600e9),
  floor: numberSetting('fraction of its weight that a backend keeps', 0.01, 0, 1),
} as const;

/**
 * Peak EWMA (Finagle, and Linkerd's default): a server's load is its cost times requests in flight plus one; cost follows
 * a higher latency at once and falls back within the decay time.
 *
 * Deviations: it takes the less loaded of two random servers for each request; here slots are in proportion to weight over
 * load. Latencies come once per period, as the maximum and the mean of what was sampled: the one moves the cost up, the
 * other down. A server without history costs what the dearest does, not 2^47 ns. Every backend keeps a floor.
 */
export class PeakEwma extends PeriodicPolicy {
  readonly name = 'peak-ewma';
  readonly #settings: SettingsOf<typeof peakEwmaSettings>;
  #cost!: Ewma;

  /** @throws InbandError `USAGE` for settings out of range */
  constructor(given: Partial<SettingsOf<typeof peakEwmaSettings>> = {}) {
    checkSettings('peak-ewma', peakEwmaSettings, given);
    const settings = withDefaults(peakEwmaSettings, given);
    super(settings.period, settings.floor, 100);
    this.#settings = settings;
  }

  protected begin(backends: number): void {
    this.#cost = new Ewma(backends, 0, this.#settings.decay * Math.LN2, true);
  }

  protected score({ weights }: PolicyInput, meter: Meter, sinceNs: number, scores: Float64Array): void {
    let dearest = 0;
    for (let b = 0; b < scores.length; b++) {
      // Without samples the cost decays, as it does there when nothing completes.
      const hasSamples = meter.samples[b]! > 0;
      this.#cost.add(b, hasSamples ? Math.max(0, meter.meanNs[b]!) : 0, sinceNs);
      if (hasSamples) this.#cost.add(b, Math.max(this.#cost.values[b]!, meter.highNs[b]!), 0);
      dearest = Math.max(dearest, this.#cost.values[b]!);
    }
    for (let b = 0; b < scores.length; b++) {
      const cost = this.#cost.values[b]! || dearest;
      const pending = meter.inFlight[b]! / (weights[b]! * weights.length);
      scores[b] = cost > 0 ? 1 / (cost * (pending + 1)) : 0;
    }
  }
}
