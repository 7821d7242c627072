import type { HealthState } from '../admin/answers.ts';
import type { Ns } from '../units.ts';
import type { CheckName } from './settings.ts';

/** What is known of whether a backend lives. */
export interface BackendHealth {
  readonly state: HealthState;
  /** Since when, on the monotonic clock. */
  readonly sinceNs: Ns;
  readonly check: CheckName;
  /** What the last check found, or why there is none; empty when all is well. */
  readonly reason: string;
  /** What its clients' packets tell against it. */
  readonly ejected: null | { readonly untilNs: Ns; readonly reason: string; readonly times: number };
}
