import { type Ns, ns } from '../units.ts';
import type { Accusation } from './evidence.ts';
import type { PassiveSettings } from './settings.ts';

/** After an ejection that a check refuted so much more is wanted, up to so many times as much; */
const refutedFactor = 2;
const factorMax = 64;
/** ... and half of that again after this time. A check is not believed again in it unless a client was served meanwhile. */
const memoryNs = 60e9;

/** A backend taken out by what clients' packets tell. */
export interface Ejected {
  readonly sinceNs: Ns;
  readonly untilNs: Ns;
  readonly reason: string;
  readonly level: Accusation['level'];
  /** How often lately, this time included: it doubles the time. */
  readonly times: number;
}

/**
 * When one backend is out and comes back. The time out doubles with each further ejection, and each time as long as the last one
 * that it is well takes one back. Clients' packets may be forged, so a check that passes may end an ejection at once.
 */
export class Ejection {
  ejected: Ejected | undefined;
  #times = 0;
  #lastNs = 0;
  #endedNs = Number.NEGATIVE_INFINITY;
  #factor = 1;
  #refutedNs = Number.NEGATIVE_INFINITY;
  /** Signs of life when it was refuted. */
  #refutedLife = -1;

  /** How many times as much evidence as configured is wanted. */
  factor(now: Ns): number {
    if (this.#factor === 1) return 1;
    const halvings = Math.floor((now - this.#refutedNs) / memoryNs);
    return Math.max(1, this.#factor / 2 ** Math.min(halvings, 30));
  }

  begin({ reason, level }: Accusation, { ejectionNs, ejectionNsMax }: PassiveSettings, now: Ns): Ejected {
    const forgiven = this.#lastNs === 0 ? 0 : Math.floor((now - this.#endedNs) / this.#lastNs);
    this.#times = Math.max(0, this.#times - forgiven) + 1;
    // Beyond 2^30 times there is nothing but the maximum.
    this.#lastNs = Math.min(ejectionNsMax, ejectionNs * 2 ** Math.min(30, this.#times - 1));
    this.ejected = { sinceNs: now, untilNs: ns(now + this.#lastNs), reason, level, times: this.#times };
    return this.ejected;
  }

  /** Whether the time is over; it is then back. */
  endIfOver(now: Ns): boolean {
    if (!this.ejected || now < this.ejected.untilNs) return false;
    this.end(now);
    return true;
  }

  end(now: Ns): void {
    this.ejected = undefined;
    this.#endedNs = now;
  }

  /**
   * A check passed that began at `beganNs`; true if that ends the ejection. It does if the check tries what is said to be dead, and
   * is not believed again so soon unless a client was served since: then it is not what clients see.
   * @param triesApplication whether the check needs an answer of the application
   * @param life signs of life of the backend since the start
   */
  refute(beganNs: Ns, triesApplication: boolean, life: number, now: Ns): boolean {
    const { ejected } = this;
    if (!ejected || beganNs < ejected.sinceNs) return false;
    if (ejected.level === 'application' && !triesApplication) return false;
    if (now - this.#refutedNs < memoryNs && life <= this.#refutedLife) return false;
    this.#factor = Math.min(factorMax, this.factor(now) * refutedFactor);
    this.#refutedNs = now;
    this.#refutedLife = life;
    this.#times--;
    this.end(now);
    return true;
  }
}

/**
 * Whether one more backend of a pool may be ejected: not beyond the configured part, but one in any case, and never the last that
 * takes flows.
 * @param backends of the pool; `ejected` of them are out by this, and `usable` take flows, the one in question included
 */
export function mayEject(
  { ejectedMax }: PassiveSettings,
  pool: { backends: number; ejected: number; usable: number },
): boolean {
  return pool.usable > 1 && pool.ejected < Math.max(1, Math.floor(ejectedMax * pool.backends));
}
