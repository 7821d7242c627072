import { InbandError } from '../errors.ts';
import type { Policy, PolicyInput } from './policy.ts';
import { numberSetting } from './settings.ts';

/** The paper's alpha: 10 % of total traffic per decision. */
export const alphaDefault = 0.1;

export const shiftSettings = {
  alpha: numberSetting('fraction of all traffic that one sample moves', alphaDefault, 1e-6, 1),
} as const;

/**
 * The paper's strategy (HotNets'22, section 3): at every sample, take alpha of the *total* traffic from the backend
 * with the highest latency, and give it equally to all others. A backend with less than alpha left gives all it has.
 *
 * Readings: a backend's latency is its latest sample; backends without one yet are not judged, but receive; nothing
 * moves while all known latencies are equal. It has no floor: a starved backend gives no sample and stays starved.
 */
export class Shift implements Policy {
  readonly name = 'shift';
  readonly trigger = 'sample';
  readonly #alpha: number;

  /**
   * @param alpha fraction of total traffic, above 0 and at most 1
   * @throws InbandError `USAGE` outside that range
   */
  constructor(alpha: number = alphaDefault) {
    if (!(alpha > 0 && alpha <= 1)) {
      throw new InbandError('USAGE', `alpha: ${alpha} is not a fraction above 0 and at most 1`, {
        hint: 'the paper uses 0.1: 10 % of total traffic per sample',
      });
    }
    this.#alpha = alpha;
  }

  decide({ windows, shares }: PolicyInput): boolean {
    let slowest = -1;
    let highest = Number.NEGATIVE_INFINITY;
    let lowest = Number.POSITIVE_INFINITY;
    for (let b = 0; b < windows.length; b++) {
      const latency = windows[b]!.lastNs;
      if (latency > highest) {
        highest = latency;
        slowest = b;
      }
      if (latency < lowest) lowest = latency;
    }
    if (!(highest > lowest)) return false;
    const moved = Math.min(this.#alpha, shares[slowest]!);
    if (moved === 0) return false;
    for (let b = 0; b < shares.length; b++) {
      if (b !== slowest) shares[b]! += moved / (shares.length - 1);
    }
    shares[slowest]! -= moved;
    return true;
  }
}
