import type { Decision } from './decisions.ts';
import type { Pool } from './pool.ts';
import { type Cause, reasonText } from './reason.ts';

/** One decision about a backend, for people and programs. */
export interface ExplainedDecision {
  /** Times of its first and last step, ISO 8601 in UTC. */
  readonly from: string;
  readonly until: string;
  readonly steps: number;
  readonly cause: Cause;
  readonly kind: string;
  /** What was compared, in ns; null where nothing was. */
  readonly latency_ns: number | null;
  readonly pool_ns: number | null;
  readonly span_ns: number;
  readonly samples: number;
  readonly share_before: number;
  readonly share_after: number;
  /** The same in words. */
  readonly text: string;
}

/** What a backend holds and why. */
export interface ExplainedBackend {
  readonly backend: string;
  /** Fraction of the configured weight, and of the slots. */
  readonly weight: number;
  readonly share: number;
  readonly usable: boolean;
  /** The last decisions about it, the earliest first. */
  readonly decisions: readonly ExplainedDecision[];
}

/** Why a pool's shares are what they are. */
export interface ExplainedPool {
  readonly policy: string;
  /** Kind of samples that the policy acts on. */
  readonly kind: string;
  readonly backends: readonly ExplainedBackend[];
}

/** @param timeOf the time of day, ISO 8601, of a moment on the pool's clock in ns */
export function explainPool(pool: Pool, timeOf: (ns: number) => string): ExplainedPool {
  return {
    policy: pool.policy.name,
    kind: pool.kind,
    backends: pool.backends.map(({ name }, b) => ({
      backend: name,
      weight: pool.weights[b]!,
      share: pool.shares[b]!,
      usable: pool.isUsable(b),
      decisions: pool.decisions.of(b).map((decision) => explainDecision(decision, timeOf)),
    })),
  };
}

function explainDecision(decision: Decision, timeOf: (ns: number) => string): ExplainedDecision {
  const { fromNs, untilNs, steps, reason } = decision;
  const known = (value: number) => (Number.isFinite(value) ? Math.round(value) : null);
  return {
    from: timeOf(fromNs),
    until: timeOf(untilNs),
    steps,
    cause: reason.cause,
    kind: reason.kind,
    latency_ns: known(reason.latencyNs),
    pool_ns: known(reason.poolNs),
    span_ns: Math.round(reason.spanNs),
    samples: reason.samples,
    share_before: reason.shareBefore,
    share_after: reason.shareAfter,
    text: reasonText(reason),
  };
}
