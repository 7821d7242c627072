import type { BackendSignals } from '../latency/signals.ts';
import type { LatencyWindow } from '../latency/window.ts';
import type { Ns } from '../units.ts';
import type { Reason } from './reason.ts';

/** What a policy sees: the backends of one pool in order, and windows of the one kind of sample that it controls on. */
export interface PolicyInput {
  /** Never earlier than at the call before. */
  readonly now: Ns;
  /** Kind of the samples in `windows`. When it changes, nothing that was measured before compares with them. */
  readonly kind: string;
  /**
   * Window of each backend; all of the same kind, since kinds cannot be compared. The policy may reset one: when a window
   * begins and ends is its own affair.
   */
  readonly windows: readonly LatencyWindow[];
  /** What else the packets tell of each backend; empty where nothing counts it. */
  readonly signals: readonly BackendSignals[];
  /** 1 where a backend may hold slots now, else 0. Such a backend keeps a share, of which others hold the slots. */
  readonly usable: Uint8Array;
  /** 1 where a backend, when it can be used again, is to get its share step by step; all of them unless it is given. */
  readonly gentle?: Uint8Array;
  /** Configured weights, each > 0, sum 1. */
  readonly weights: Float64Array;
  /** Fraction of slots each backend holds, sum 1. The policy changes it in place. */
  readonly shares: Float64Array;
}

/**
 * Turns windows, signals and time into shares. Pure: the same input gives the same shares, whether live, in replay or
 * simulated. A policy must keep the sum of shares, and no share may become negative. It belongs to one pool.
 */
export interface Policy {
  readonly name: string;
  /** Whether it wants to be asked at every sample or on the control loop's tick. */
  readonly trigger: 'sample' | 'tick';
  /** Whether it gives a backend that can be used again its share step by step; otherwise its pool does. */
  readonly startsGently?: boolean;
  /** Why the last call changed shares, about one backend each; absent with a policy that gives no reasons. */
  readonly reasons?: readonly Reason[];
  /** Changes `input.shares`; false if it left them as they were. */
  decide(input: PolicyInput): boolean;
}
