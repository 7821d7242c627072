import type { EvalStep, EvalStepRow } from './result.ts';
import { type Latencies, median, type Samples, type Typical, typicalValue, windowLines } from './samples.ts';
import { type Candidate, mainPart } from './scores.ts';
import type { Switch } from './switches.ts';

/** A change of a backend's latency: between `fromNs` and `toNs`, and lasting until `endNs`. */
export interface Step {
  readonly backend: number;
  readonly fromNs: number;
  readonly toNs: number;
  readonly endNs: number;
  readonly source: EvalStep['source'];
}

/** Windows on either side of a step that is found in the truth. */
const sideMin = 5;
/** Part of the spread of the windows that a step must explain, and its least size to what was before. */
const explainedMin = 0.5;
const sizeMin = 0.05;
/** More windows than this are thinned before a step is looked for, which takes the square of their number. */
const windowsMax = 600;

/** The first step of each backend that the list of switches has; one of a server that no backend is named after is everybody's. */
export function listedSteps(switches: readonly Switch[], backends: readonly string[]): Step[] {
  const isNamed = switches.some(({ server }) => backends.includes(server));
  return backends.flatMap((name, backend) => {
    const own = switches.filter(({ server }) => !isNamed || server === name).map(({ timeNs }) => timeNs);
    if (own.length === 0) return [];
    const fromNs = Math.min(...own);
    // Servers that are switched together are so within moments.
    const toNs = isNamed ? fromNs : Math.max(...own.filter((time) => time < fromNs + 1e9));
    const later = own.filter((time) => time > toNs);
    return [{ backend, fromNs, toNs, endNs: Math.min(Number.POSITIVE_INFINITY, ...later), source: 'switch' }];
  });
}

/**
 * The step of each backend that is evident in the truth: the split of its windows into before and after whose medians
 * explain most of the absolute deviation from the median of all, if they explain enough of it.
 */
export function evidentSteps(truth: Latencies, windowNs: number): Step[] {
  return [...windowLines(truth, windowNs, 'median')].flatMap(([backend, line]) => {
    const windows = [...line].sort(([a], [b]) => a - b);
    const stride = Math.ceil(windows.length / windowsMax);
    const kept = windows.filter((_, i) => i % stride === 0);
    const at = splitOf(kept.map(([, latency]) => latency));
    if (at < 0) return [];
    const timeNs = kept[at]![0] * windowNs;
    const endNs = Number.POSITIVE_INFINITY;
    return [{ backend, fromNs: timeNs, toNs: timeNs, endNs, source: 'truth' }];
  });
}

/** Index of the first value after the step; -1 without one. */
function splitOf(values: readonly number[]): number {
  let best = -1;
  let least = deviation(values) * (1 - explainedMin);
  for (let at = sideMin; at <= values.length - sideMin; at++) {
    const rest = deviation(values.slice(0, at)) + deviation(values.slice(at));
    if (rest < least) [best, least] = [at, rest];
  }
  if (best < 0) return -1;
  const [before, after] = [median(values.slice(0, best))!, median(values.slice(best))!];
  return Math.abs(after - before) >= sizeMin * before ? best : -1;
}

function deviation(values: readonly number[]): number {
  const middle = median(values)!;
  return values.reduce((sum, value) => sum + Math.abs(value - middle), 0);
}

/** What a set of samples made of a step, beside what the truth was. */
export function stepRow(
  step: Step,
  truth: Latencies,
  { estimator, kind, parts }: Candidate,
  windowNs: number,
): EvalStepRow {
  const samples = mainPart(parts);
  const { typical } = samples;
  const [truthBefore, truthAfter] = around(step, truth, windowNs, typical);
  const [before, after] = around(step, samples, windowNs, typical);
  return {
    estimator,
    kind,
    truth_before_ns: truthBefore,
    truth_after_ns: truthAfter,
    before_ns: before,
    after_ns: after,
    seen_after_windows: isSeen(truthBefore, truthAfter, before, after)
      ? seenAfter(step, before!, after!, samples, windowNs)
      : null,
  };
}

/** Typical latency before and after a step; the window around it belongs to neither. */
function around(
  { backend, fromNs, toNs, endNs }: Step,
  latencies: Latencies,
  windowNs: number,
  typical: Typical,
): [before: number | null, after: number | null] {
  return [
    typicalValue(latencies.between(Number.NEGATIVE_INFINITY, fromNs - windowNs, backend), typical),
    typicalValue(latencies.between(toNs + windowNs, endNs, backend), typical),
  ];
}

/** Whether estimates moved the way the truth did, and at least half as far. */
function isSeen(
  truthBefore: number | null,
  truthAfter: number | null,
  before: number | null,
  after: number | null,
): boolean {
  if (truthBefore === null || truthAfter === null || before === null || after === null) return false;
  const change = truthAfter - truthBefore;
  return change !== 0 && (after - before) / change >= 0.5;
}

/** Windows counted from the step, rather than by the clock, until the typical estimate of one is beyond the middle. */
function seenAfter(
  { backend, fromNs, toNs, endNs }: Step,
  before: number,
  after: number,
  samples: Samples,
  windowNs: number,
): number | null {
  const middle = (before + after) / 2;
  const last = Math.min(toNs + seenWithinMax * windowNs, endNs);
  for (let at = 0; fromNs + at * windowNs < last; at++) {
    const start = fromNs + at * windowNs;
    const value = typicalValue(samples.between(start, start + windowNs, backend), samples.typical);
    if (value !== null && value > middle === after > before) return at + 1;
  }
  return null;
}

/** A step not seen after so many windows was not seen. */
const seenWithinMax = 20;
