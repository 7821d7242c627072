import type { Ns } from '../units.ts';
import type { CheckName } from './settings.ts';
import type { HealthState } from './standing.ts';

/** What is known of whether a backend lives. */
export interface BackendHealth {
  readonly state: HealthState;
  /** Since when, on the monotonic clock. */
  readonly sinceNs: Ns;
  readonly check: CheckName;
  /** What the last check found, or why there is none. */
  readonly reason: string;
  /** Out by what its clients' packets tell, whatever checks say; null if it is not. */
  readonly ejected: null | { readonly untilNs: Ns; readonly reason: string; readonly times: number };
}

/** What happened to a backend since it was configured; counts never fall. */
export interface HealthCounts {
  /** Checks that had a verdict, by it. */
  readonly passed: number;
  readonly failed: number;
  readonly ejections: number;
  /** Ejections that a check ended at once. */
  readonly refuted: number;
}
