import type { PolicySummary } from '../datapath/replay/result.ts';

/** Share of one backend, or of several together, over time. */
export interface ShareSeries {
  /** Name of the backend; `12 others` for what was put together. */
  name: string;
  /** How many backends this stands for. */
  members: number;
  /** Fraction of the slots at each step of PolicySummary.time_s, 0 to 1. */
  share: number[];
}

/**
 * At most `limit` series that together make up the whole: with more backends than that, those whose share moved most
 * are kept, in their order, and the last series is the sum of all others.
 */
export function shareSeries(policy: PolicySummary, limit: number): ShareSeries[] {
  const all = policy.backends.map((name, backend) => ({
    name,
    members: 1,
    share: policy.share.map((step) => step[backend] ?? 0),
  }));
  if (all.length <= limit) return all;
  const movedMost = new Set([...all].sort((a, b) => range(b.share) - range(a.share)).slice(0, limit - 1));
  const others = all.filter((series) => !movedMost.has(series));
  const sum = policy.share.map((_, step) => others.reduce((sum, { share }) => sum + share[step]!, 0));
  return [
    ...all.filter((series) => movedMost.has(series)),
    { name: `${others.length} others`, members: others.length, share: sum },
  ];
}

function range(values: number[]): number {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return high - low;
}
