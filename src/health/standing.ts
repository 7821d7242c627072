import type { Ns } from '../units.ts';
import type { Verdict } from './check.ts';

/** `starting`: has passed no check yet; `unchecked`: nobody asks. */
export type HealthState = 'up' | 'down' | 'starting' | 'unchecked';

/** What checks say of a backend: verdicts in a row move it, and a single other one starts the count anew. */
export class Standing {
  state: HealthState;
  /** When it came to be so. */
  sinceNs: Ns;
  /** Of the latest verdict, or why there is none. */
  reason: string;
  /** Verdicts of one kind in a row: passed above 0, failed below. */
  #row = 0;

  constructor(state: HealthState, reason: string, now: Ns) {
    this.state = state;
    this.reason = reason;
    this.sinceNs = now;
  }

  /** Whether the latest check failed and the state says something better, so that the next is wanted soon. */
  get isInDoubt(): boolean {
    return this.#row < 0 && this.state !== 'down';
  }

  /** Takes a verdict in; true if the state changed. The first one that is passed ends all but `down`. */
  take({ passed, reason }: Verdict, now: Ns, { rise, fall }: { rise: number; fall: number }): boolean {
    this.#row = passed ? Math.max(0, this.#row) + 1 : Math.min(0, this.#row) - 1;
    this.reason = reason;
    if (passed && this.state !== 'up' && (this.state !== 'down' || this.#row >= rise)) {
      return this.set('up', reason, now);
    }
    return !passed && this.state !== 'down' && -this.#row >= fall && this.set('down', reason, now);
  }

  /** Puts it into a state whatever checks said; true if that is another one. */
  set(state: HealthState, reason: string, now: Ns): boolean {
    this.reason = reason;
    this.#row = 0;
    if (state === this.state) return false;
    this.state = state;
    this.sinceNs = now;
    return true;
  }
}
