import { ns } from '../units.ts';
import { least } from './moves.ts';
import type { PolicyInput } from './policy.ts';
import type { Reason } from './reason.ts';

/**
 * Gives each backend a share in proportion to its configured weight times its score (at least 0), and at least `floor` of
 * its weight, so that it is measured. Returns the backend whose share changed most; -1 if none did, or no score is above 0.
 */
export function assignShares(
  { shares, weights, usable }: PolicyInput,
  scores: Float64Array,
  floor: number,
): number {
  let total = 0;
  for (let b = 0; b < shares.length; b++) if (usable[b] === 1) total += weights[b]! * scores[b]!;
  if (!(total > 0 && total < Number.POSITIVE_INFINITY)) return -1;
  // Backends that cannot be used keep their share; the others divide the rest.
  let free = 0;
  let lifted = 0;
  for (let b = 0; b < shares.length; b++) {
    if (usable[b] === 0) continue;
    free += shares[b]!;
    lifted += Math.max((weights[b]! * scores[b]!) / total, floor * weights[b]!);
  }
  let most = -1;
  let mostMoved = least;
  for (let b = 0; b < shares.length; b++) {
    if (usable[b] === 0) continue;
    const share = (free * Math.max((weights[b]! * scores[b]!) / total, floor * weights[b]!)) / lifted;
    const moved = Math.abs(share - shares[b]!);
    if (moved > mostMoved) {
      most = b;
      mostMoved = moved;
    }
    shares[b] = share;
  }
  return most;
}

/** The figures of a change by `assignShares`. */
export function weightReason(
  { kind, shares }: PolicyInput,
  b: number,
  shareBefore: number,
  latenciesNs: Float64Array,
  spanNs: number,
  samples: Float64Array,
): Reason {
  let sum = 0;
  let known = 0;
  for (let i = 0; i < latenciesNs.length; i++) {
    if (i === b || Number.isNaN(latenciesNs[i]!)) continue;
    sum += latenciesNs[i]!;
    known++;
  }
  return {
    backend: b,
    cause: 'weight',
    kind,
    latencyNs: latenciesNs[b]!,
    poolNs: sum / known,
    spanNs: ns(spanNs),
    samples: samples[b]!,
    shareBefore,
    shareAfter: shares[b]!,
  };
}
