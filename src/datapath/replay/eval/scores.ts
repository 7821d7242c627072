import { KindChooser } from '../../../control/kinds.ts';
import type { LatencyWindow } from '../../../latency/window.ts';
import { ns } from '../../../units.ts';
import type { EvalRow } from './result.ts';
import { type Latencies, mean, median, quantile, Samples, sorted, upsert, windowLines } from './samples.ts';

/** A sample may begin this long after the last request that the truth tells of: the way to the load balancer. */
const truthLagNsMax = 100e6;

/** A window is right within this part of the truth, or this many ns. */
const rightWithin = 0.1;
const rightWithinNs = 60e3;

/** A row of results before it is counted: samples of one kind, or of several that take turns. */
export interface Candidate {
  readonly estimator: string;
  readonly kind: string | null;
  readonly parts: readonly Samples[];
}

/** What samples of a kind are compared with. */
export type TruthOf = (kind: string) => Latencies;

/** How accurate samples are. @param spanS capture time in s */
export function scoreOf(
  { estimator, kind, parts }: Candidate,
  truthOf: TruthOf,
  windowNs: number,
  spanS: number,
): EvalRow {
  const truth = truthOf(mainPart(parts).kind);
  const within = parts.map((part) => ({ part, values: withinTruth(part, truthOf(part.kind)) }));
  const single = within.filter(({ part }) => part.typical === 'median').flatMap(({ values }) => values);
  const { relative, absolute, nanoseconds } = errorsOf(parts);
  const windows = windowErrors(parts, truthOf, windowNs);
  const samples = parts.reduce((sum, { total }) => sum + total, 0);
  return {
    estimator,
    kind,
    samples,
    samples_per_s: spanS > 0 ? samples / spanS : null,
    matched: relative.length,
    median_ratio: ratio(median(single), median(truth.latencyNs)),
    mean_ratio: ratio(mean(within.flatMap(({ values }) => values)), mean(truth.latencyNs)),
    within_20_percent:
      absolute.length === 0 ? null : absolute.filter((error) => error <= 0.2).length / absolute.length,
    median_relative_error: quantile(relative, 0.5),
    p95_absolute_relative_error: quantile(absolute, 0.95),
    error_ns: {
      p25: quantile(nanoseconds, 0.25),
      p50: quantile(nanoseconds, 0.5),
      p75: quantile(nanoseconds, 0.75),
      p90: quantile(nanoseconds, 0.9),
    },
    windows: windows.relative.length,
    truth_windows: [...windowLines(truth, windowNs, 'median').values()].reduce((n, { size }) => n + size, 0),
    window_error_p50: quantile(windows.relative, 0.5),
    window_error_p90: quantile(windows.relative, 0.9),
    window_error_p90_ns: quantile(windows.nanoseconds, 0.9),
    windows_right: windows.relative.length === 0 ? null : windows.right / windows.relative.length,
  };
}

/** The part with most samples. */
export function mainPart(parts: readonly Samples[]): Samples {
  return parts.reduce((most, part) => (part.total > most.total ? part : most));
}

function ratio(value: number | null, to: number | null): number | null {
  return value === null || to === null || to <= 0 ? null : value / to;
}

/** Samples that begin in the time that the truth is known of, which may be a part of the capture. */
function withinTruth(samples: Latencies, truth: Latencies): number[] {
  let [first, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const start of truth.startNs) {
    if (start < first) first = start;
    if (start > last) last = start;
  }
  return samples.between(first, last + truthLagNsMax);
}

/** Errors of single samples; none of kinds of which only means tell something. */
function errorsOf(parts: readonly Samples[]) {
  const relative: number[] = [];
  const nanoseconds: number[] = [];
  for (const { latencyNs, truthNs, typical } of parts) {
    if (typical === 'mean') continue;
    for (let i = 0; i < latencyNs.length; i++) {
      if (!(truthNs[i]! > 0)) continue;
      nanoseconds.push(latencyNs[i]! - truthNs[i]!);
      relative.push((latencyNs[i]! - truthNs[i]!) / truthNs[i]!);
    }
  }
  return {
    relative: sorted(relative),
    absolute: sorted(relative.map(Math.abs)),
    nanoseconds: sorted(nanoseconds),
  };
}

function windowErrors(parts: readonly Samples[], truthOf: TruthOf, windowNs: number) {
  const relative: number[] = [];
  const nanoseconds: number[] = [];
  let right = 0;
  for (const part of parts) {
    const truths = windowLines(truthOf(part.kind), windowNs, part.typical);
    for (const [backend, line] of windowLines(part, windowNs, part.typical)) {
      for (const [at, estimate] of line) {
        const actual = truths.get(backend)?.get(at);
        if (actual === undefined || actual <= 0) continue;
        const error = Math.abs(estimate - actual);
        relative.push(error / actual);
        nanoseconds.push(error);
        if (error <= Math.max(rightWithin * actual, rightWithinNs)) right++;
      }
    }
  }
  return { relative: sorted(relative), nanoseconds: sorted(nanoseconds), right };
}

/**
 * What a controller would use of an estimator with several kinds: in each window the samples of the kind that the pool's
 * chooser takes, by the samples until then.
 */
export function chosenOf(kinds: readonly Samples[], backends: number, windowNs: number): Samples[] {
  const counts = kinds.map(() => new Float64Array(backends));
  const windows = counts.map((row) => [...row].map((_, b) => countOnly(() => row[b]!)));
  const chooser = new KindChooser(
    kinds.map(({ kind }) => kind),
    windows,
  );
  const usable = new Uint8Array(backends).fill(1);
  const chosen = kinds.map(({ kind }) => new Samples(kind));
  for (const [at, members] of membersByWindow(kinds, windowNs)) {
    for (const [kind, indices] of members.entries())
      for (const i of indices) counts[kind]![kinds[kind]!.backend[i]!]!++;
    chooser.look(ns(at * windowNs), usable);
    const from = kinds[chooser.chosen]!;
    for (const i of members[chooser.chosen]!) {
      const into = chosen[chooser.chosen]!;
      into.add(from.startNs[i]!, from.latencyNs[i]!, from.backend[i]!);
      into.port.push(from.port[i]!);
      into.truthNs.push(from.truthNs[i]!);
    }
  }
  return chosen;
}

/** Windows in order of time, with the indices of each kind's samples. */
function membersByWindow(kinds: readonly Samples[], windowNs: number): [number, number[][]][] {
  const windows = new Map<number, number[][]>();
  for (const [kind, { startNs }] of kinds.entries()) {
    for (let i = 0; i < startNs.length; i++) {
      const at = Math.floor(startNs[i]! / windowNs);
      const members = upsert(windows, at, () => kinds.map(() => []));
      members[kind]!.push(i);
    }
  }
  return [...windows].sort(([a], [b]) => a - b);
}

/** A window of which only the count is asked. */
function countOnly(count: () => number): LatencyWindow {
  return {
    lastNs: Number.NaN,
    get count() {
      return count();
    },
    meanNs: 0,
    percentileNs: () => 0,
    reset: () => {},
  };
}
