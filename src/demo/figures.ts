import { demoSetup } from './plan.ts';
import { type Interval, median, sharesAt, type Timeline } from './timeline.ts';

/** What one run comes down to. Durations are from the injection; null for what did not happen before the removal. */
export interface Figures {
  /** Median over intervals of the client's p95 in us, without the first 300 ms of each phase. */
  readonly p95_us: {
    readonly before: number | null;
    readonly during: number | null;
    readonly after: number | null;
  };
  /** Fraction of slots that the slowed server held. */
  readonly slowed_share: {
    readonly at_injection: number | null;
    /** Over the time of the delay, by time. */
    readonly during_mean: number | null;
    readonly during_min: number | null;
  };
  readonly reaction: {
    readonly first_slot_moved_ms: number | null;
    /** Until the slowed server held at most 10 % of the slots. */
    readonly new_flows_moved_ms: number | null;
    /** Until the client's p95 was within 1.2 times that of before, as was its median over 100 ms from then on. */
    readonly p95_back_ms: number | null;
  };
}

/** New flows count as moved when the slowed server holds no more than this share. */
const movedShare = 0.1;
/** p95 counts as back within this ratio to before, when its median over this long is too: one stall is no relapse. */
const backRatio = 1.2;
const backMs = 100;

/** A run's figures, from its timeline with the delay added and removed. */
export function figuresOf(timeline: Timeline): Figures {
  const { intervals, slowed = 0 } = timeline;
  const end = intervals.at(-1)?.toMs ?? 0;
  const injected = timeline.injectedMs ?? end;
  const removed = timeline.removedMs ?? end;
  const before = p95Between(intervals, 0, injected);
  const during = sharesBetween(timeline, slowed, injected, removed);
  const atInjection = sharesAt(timeline, injected)?.[slowed] ?? null;
  const after = (timeMs: number | undefined) =>
    timeMs === undefined ? null : Math.max(0, timeMs - injected);
  return {
    p95_us: {
      before,
      during: p95Between(intervals, injected, removed),
      after: p95Between(intervals, removed, end),
    },
    slowed_share: {
      at_injection: atInjection,
      during_mean: during.mean,
      during_min: during.min,
    },
    reaction: {
      first_slot_moved_ms: after(firstMove(timeline, slowed, injected, removed)),
      new_flows_moved_ms:
        atInjection !== null && atInjection <= movedShare
          ? 0
          : after(
              timeline.shares.find(
                ({ timeMs, share }) => timeMs >= injected && timeMs < removed && share[slowed]! <= movedShare,
              )?.timeMs,
            ),
      p95_back_ms:
        before === null ? null : after(backSince(intervals, injected, removed, before * backRatio)),
    },
  };
}

const within = (intervals: readonly Interval[], from: number, to: number): Interval[] =>
  intervals.filter((one) => one.fromMs >= from && one.toMs <= to);

function p95Between(intervals: readonly Interval[], from: number, to: number): number | null {
  return median(
    within(intervals, from + demoSetup.settleMs, to).flatMap(({ p95Us }) => (p95Us === null ? [] : [p95Us])),
  );
}

/** Mean over time and minimum of a server's share. */
function sharesBetween(timeline: Timeline, server: number, from: number, to: number) {
  const first = sharesAt(timeline, from)?.[server];
  if (first === undefined || to <= from) return { mean: null, min: null };
  let [min, area, at, current] = [first, 0, from, first];
  for (const { timeMs, share } of timeline.shares) {
    if (timeMs <= from || timeMs >= to) continue;
    area += current * (timeMs - at);
    at = timeMs;
    current = share[server]!;
    min = Math.min(min, current);
  }
  return { mean: (area + current * (to - at)) / (to - from), min };
}

/** When the first slot left a server in a span of time. */
function firstMove(timeline: Timeline, server: number, from: number, to: number): number | undefined {
  let held = sharesAt(timeline, from)?.[server];
  for (const { timeMs, share } of timeline.shares) {
    if (timeMs < from || timeMs >= to) continue;
    if (held !== undefined && share[server]! < held) return timeMs;
    held = share[server]!;
  }
  return undefined;
}

/** Since when p95 has been at most `limitUs`, by its median over `backMs`. */
function backSince(
  intervals: readonly Interval[],
  from: number,
  to: number,
  limitUs: number,
): number | undefined {
  const known = within(intervals, from, to).filter(({ p95Us }) => p95Us !== null);
  return known.find(({ fromMs, p95Us }, index) => {
    if (p95Us! > limitUs || fromMs + backMs > to) return false;
    const next = known.slice(index, index + backMs / demoSetup.intervalMs);
    return median(next.map((one) => one.p95Us!))! <= limitUs;
  })?.fromMs;
}
