import { figuresOf } from '../../src/demo/figures.ts';
import type { DemoResult, DemoRun, RunName } from '../../src/demo/result.ts';
import {
  type Interval,
  p95OnGrid,
  type Shares,
  shareOnGrid,
  type Timeline,
} from '../../src/demo/timeline.ts';

/** A run of 6 s with the delay from 2 s to 4 s, in intervals of 10 ms. */
export const injectedMs = 2000;
export const removedMs = 4000;
const endMs = 6000;
const grid = { stepMs: 10, count: 600 };

/** The client's p95: 500 us, and 1500 us from the injection on for `slowMs`. */
export function someIntervals(slowMs: number): Interval[] {
  return Array.from({ length: endMs / 10 }, (_, index) => {
    const fromMs = index * 10;
    const isSlow = fromMs >= injectedMs && fromMs < injectedMs + slowMs;
    return { fromMs, toMs: fromMs + 10, requests: 300, p95Us: isSlow ? 1500 : 500 };
  });
}

export function aTimeline(slowMs: number, shares: Shares[], slowed: number): Timeline {
  return { intervals: someIntervals(slowMs), shares, slowed, injectedMs, removedMs };
}

/** The second server keeps its half, and the client suffers all the time. */
export const staticTimeline = (): Timeline => aTimeline(2000, [{ timeMs: -900, share: [0.5, 0.5] }], 1);

/** The first server loses everything in steps of 20 % a ms, from 2 ms after the injection on. */
export const inBandTimeline = (): Timeline =>
  aTimeline(
    60,
    [
      { timeMs: -900, share: [0.5, 0.5] },
      { timeMs: 100, share: [1, 0] },
      ...[0.8, 0.6, 0.4, 0.2, 0].map((share, step) => ({
        timeMs: injectedMs + 2 + step,
        share: [share, 1 - share],
      })),
    ],
    0,
  );

function aRun(name: RunName, policy: string, timeline: Timeline): DemoRun {
  return {
    name,
    policy,
    datapath: 'xdp native',
    slowed: `s${timeline.slowed! + 1}`,
    requests: 123_456,
    errors: 0,
    ...figuresOf(timeline),
    packets: { tx: 234_567, not_ip: 3 },
    packets_forwarded: 234_567,
    packets_lost: 0,
    retransmissions: 0,
    timeline: {
      step_ms: grid.stepMs,
      p95_us: p95OnGrid(timeline, grid),
      slowed_share: shareOnGrid(timeline, timeline.slowed!, grid, endMs),
    },
  };
}

export function aDemo(overrides: Partial<DemoResult> = {}): DemoResult {
  return {
    schema: 'inband.demo/1',
    servers: { count: 2, application: 'memcached' },
    load: { connections: 8, requests_per_connection: 50, set_ratio: 0.5, value_bytes: 64 },
    base_delay_us: 250,
    added_delay_us: 1000,
    injected_at_s: injectedMs / 1e3,
    removed_at_s: removedMs / 1e3,
    run_s: endMs / 1e3,
    runs: [aRun('static', 'static', staticTimeline()), aRun('in-band', 'shift', inBandTimeline())],
    ...overrides,
  };
}
