import type { LatencyWindow } from '../latency/window.ts';
import type { Ns } from '../units.ts';

/** What a policy sees: the backends of one pool in order, and windows of the one kind of sample that it controls on. */
export interface PolicyInput {
  readonly now: Ns;
  /**
   * Window of each backend; all of the same kind, since kinds cannot be compared. The policy may reset one: when a window
   * begins and ends is its own affair.
   */
  readonly windows: readonly LatencyWindow[];
  /** Configured weights, each >= 0, sum 1. */
  readonly weights: Float64Array;
  /** Fraction of slots each backend holds, sum 1. The policy changes it in place. */
  readonly shares: Float64Array;
}

/**
 * Turns windows and time into shares. Pure: the same input gives the same shares, whether live, in replay or simulated.
 * A policy must keep the sum of shares, and no share may become negative.
 */
export interface Policy {
  readonly name: string;
  /** Whether it wants to be asked at every sample or on the control loop's tick. */
  readonly trigger: 'sample' | 'tick';
  /** Changes `input.shares`; false if it left them as they were. */
  decide(input: PolicyInput): boolean;
}
