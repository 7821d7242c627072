/** What a client saw in one interval of the load. Times in ms from the start of the load. */
export interface Interval {
  readonly fromMs: number;
  readonly toMs: number;
  readonly requests: number;
  /** null when no request was answered. */
  readonly p95Us: number | null;
}

/** Shares of the backends from a moment on. */
export interface Shares {
  readonly timeMs: number;
  /** Fraction of slots by backend, sum 1. */
  readonly share: readonly number[];
}

/**
 * What happened in a run, in order of time, as far as it has come. All times are in ms from the start of the load, and
 * may be negative for what was before.
 */
export interface Timeline {
  readonly intervals: readonly Interval[];
  readonly shares: readonly Shares[];
  /** The server whose path becomes slower, as an index; undefined before that. */
  readonly slowed: number | undefined;
  /** When the delay was added and when it was removed again; undefined before that. */
  readonly injectedMs: number | undefined;
  readonly removedMs: number | undefined;
}

/** The shares that hold at a moment; undefined before the first. */
export function sharesAt({ shares }: Timeline, timeMs: number): readonly number[] | undefined {
  return shares.findLast((one) => one.timeMs <= timeMs)?.share;
}

/**
 * The server to look at: the slowed one, else the one with the largest share last known, which would be it now; of equal
 * ones the last.
 */
export function serverInFocus({ slowed, shares }: Timeline): number {
  if (slowed !== undefined) return slowed;
  const last = shares.at(-1)?.share ?? [];
  return Math.max(0, last.lastIndexOf(Math.max(...last)));
}

/** Median of numbers; null of none. The upper one of two in the middle. */
export function median(values: readonly number[]): number | null {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? null;
}

/** A time grid for charts: equal steps from 0, on which every run has one value each. */
export interface Grid {
  readonly stepMs: number;
  readonly count: number;
}

/** The client's p95 in us at each step: the median of its intervals' p95; null where there is none. */
export function p95OnGrid({ intervals }: Timeline, { stepMs, count }: Grid): (number | null)[] {
  const parts: number[][] = Array.from({ length: count }, () => []);
  for (const { fromMs, p95Us } of intervals) {
    if (p95Us !== null) parts[Math.floor(fromMs / stepMs)]?.push(p95Us);
  }
  return parts.map(median);
}

/** A server's share at each step: the mean over the step; null before the first is known, and from `untilMs` on. */
export function shareOnGrid(
  timeline: Timeline,
  server: number,
  grid: Grid,
  untilMs: number,
): (number | null)[] {
  const { shares } = timeline;
  let next = 0;
  let current: number | null = null;
  return Array.from({ length: grid.count }, (_, step) => {
    const fromMs = step * grid.stepMs;
    const toMs = fromMs + grid.stepMs;
    if (fromMs >= untilMs) return null;
    let area = 0;
    let at = fromMs;
    for (; next < shares.length && shares[next]!.timeMs < toMs; next++) {
      const timeMs = Math.max(at, shares[next]!.timeMs);
      area += (current ?? shares[next]!.share[server]!) * (timeMs - at);
      at = timeMs;
      current = shares[next]!.share[server]!;
    }
    return current === null ? null : (area + current * (toMs - at)) / grid.stepMs;
  });
}
