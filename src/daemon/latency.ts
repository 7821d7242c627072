import type { LiveWindow } from '../datapath/datapath.ts';

/** Latencies of a backend and kind, in ns; null without a sample. */
export interface Latency {
  readonly samples: number;
  readonly p50_ns: number | null;
  readonly p95_ns: number | null;
  readonly p99_ns: number | null;
  readonly mean_ns: number | null;
}

/** Figures of the longer of two windows; null without a sample. */
export function latencyOf(pair: readonly [LiveWindow, LiveWindow]): Latency {
  for (const window of pair) window.update();
  const window = pair[0].count >= pair[1].count ? pair[0] : pair[1];
  if (window.count === 0) return none;
  return {
    samples: window.count,
    p50_ns: window.percentileNs(50),
    p95_ns: window.percentileNs(95),
    p99_ns: window.percentileNs(99),
    mean_ns: Math.round(window.meanNs),
  };
}

const none: Latency = { samples: 0, p50_ns: null, p95_ns: null, p99_ns: null, mean_ns: null };
