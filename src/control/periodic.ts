import { Meter } from './meter.ts';
import type { Policy, PolicyInput } from './policy.ts';
import type { Reason } from './reason.ts';
import { assignShares, weightReason } from './weights.ts';

/**
 * A law that computes a score for each backend once per period and gives slots in proportion to weight times score: how
 * laws that choose a server for each request become laws for slots.
 */
export abstract class PeriodicPolicy implements Policy {
  abstract readonly name: string;
  readonly trigger = 'tick';
  reasons: readonly Reason[] = [];
  readonly #periodNs: number;
  readonly #floor: number;
  readonly #percent: number;
  #kind: string | undefined;
  #meter: Meter | undefined;
  #scores = new Float64Array(0);

  /**
   * @param floor fraction of its weight that each backend keeps
   * @param percent percentile of latency that `score` finds in `meter.highNs`
   */
  protected constructor(periodNs: number, floor: number, percent: number) {
    this.#periodNs = periodNs;
    this.#floor = floor;
    this.#percent = percent;
  }

  decide(input: PolicyInput): boolean {
    const meter = this.#meterFor(input);
    const sinceNs = meter.sinceNs(input.now);
    if (sinceNs < this.#periodNs) return false;
    meter.read(input, this.#percent);
    this.score(input, meter, sinceNs, this.#scores);
    const before = input.shares.slice();
    const most = assignShares(input, this.#scores, this.#floor);
    if (most < 0) return false;
    this.reasons = [weightReason(input, most, before[most]!, meter.medianNs, sinceNs, meter.samples)];
    return true;
  }

  /** Forgets everything: there are other backends, or other kinds of samples. */
  protected abstract begin(backends: number): void;

  /** Writes the score of each backend, at least 0, from what the period of `sinceNs` measured. */
  protected abstract score(input: PolicyInput, meter: Meter, sinceNs: number, scores: Float64Array): void;

  #meterFor({ windows, kind, now }: PolicyInput): Meter {
    if (this.#meter && this.#kind === kind && this.#scores.length === windows.length) return this.#meter;
    this.#kind = kind;
    this.#scores = new Float64Array(windows.length);
    this.#meter = new Meter(windows.length, now);
    this.begin(windows.length);
    return this.#meter;
  }
}
