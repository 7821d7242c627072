import { resolve } from 'node:path';
import { evaluate } from '../src/datapath/replay/eval/eval.ts';
import { type EvalOptions, evalEstimators } from '../src/datapath/replay/eval/options.ts';
import type { EvalCapture, EvalResult, EvalRow, EvalTimeline } from '../src/datapath/replay/eval/result.ts';
import { epochDefault, timeoutsDefault } from '../src/latency/ensemble.ts';
import { ns } from '../src/units.ts';
import { estimatorTargets } from './estimator-targets.ts';
import { writeFigure } from './measurement-figure.ts';
import { type BenchResult, type Row, rounded } from './result.ts';
import { type TriggerLimit, triggerLimit } from './trigger.ts';

export const name = 'estimators';

/** Folders with captures, as `inband eval` takes them, separated by commas; without any, those of the tests. */
const folders = (process.env.INBAND_CAPTURES ?? resolve(import.meta.dirname, '../../../test/fixtures')).split(
  ',',
);

/** Estimators with a column of their own where they stand side by side. */
const sideBySide = [
  'auto',
  'pirate',
  'ensemble:smooth:backend',
  'ensemble:damped:backend',
  'ensemble:infinite:flow',
];
/** Captures with fewer turns say little. */
const turnsMin = 20;

const options = (windowMs: number): EvalOptions => ({
  paths: folders,
  vips: [],
  estimators: evalEstimators,
  timeoutsNs: timeoutsDefault,
  epochNs: epochDefault,
  useServer: true,
  assign: 'flows',
  windowNs: ns(windowMs * 1e6),
  flows: 65_536,
});

/** The rows that stand for all that an estimator gives. */
function whole({ rows }: EvalCapture, estimator: string): EvalRow | undefined {
  const own = rows.filter((row) => row.estimator === estimator);
  return own.find(({ kind }) => kind === null) ?? own[0];
}

const percent = (value: number | null | undefined) =>
  value == null ? '-' : `${rounded(value * 100, Math.abs(value) < 1 ? 2 : 3)} %`;
const times = (value: number | null | undefined) => (value == null ? '-' : `${rounded(value)}x`);
const us = (value: number | null | undefined) => (value == null ? '-' : rounded(value / 1e3));

const withTruth = ({ captures }: EvalResult) => captures.filter(({ exchanges }) => !exchanges);
const twoSided = ({ captures }: EvalResult) =>
  captures.filter(({ exchanges }) => exchanges && exchanges.countable >= turnsMin);

/** Every kind of `auto` with samples, per capture. */
function autoRows(result: EvalResult): Row[] {
  return withTruth(result).flatMap((capture) =>
    capture.rows
      .filter(({ estimator, samples }) => estimator === 'auto' && samples > 0)
      .map((row) => ({
        capture: row.kind === null ? capture.name : '',
        kind: row.kind ?? 'as used',
        samples: row.samples,
        median: times(row.median_ratio),
        mean: times(row.mean_ratio),
        median_error: percent(row.median_relative_error),
        p95_error: percent(row.p95_absolute_relative_error),
        windows: `${row.windows} of ${row.truth_windows}`,
        window_p50: percent(row.window_error_p50),
        window_p90: percent(row.window_error_p90),
      })),
  );
}

/** How far the windows of each estimator are from the truth, next to each other. */
function windowRows(result: EvalResult): Row[] {
  return withTruth(result).map((capture) => ({
    window_p90: capture.name,
    ...Object.fromEntries(
      sideBySide.map((estimator) => [estimator, percent(whole(capture, estimator)?.window_error_p90)]),
    ),
  }));
}

/** The same for single samples. */
function sampleRows(result: EvalResult): Row[] {
  return withTruth(result).map((capture) => ({
    median_of_samples: capture.name,
    ...Object.fromEntries(
      sideBySide.map((estimator) => {
        const error = whole(capture, estimator)?.median_relative_error;
        return [estimator, times(error == null ? null : 1 + error)];
      }),
    ),
  }));
}

function stepRows(result: EvalResult): Row[] {
  return withTruth(result).flatMap(({ name, steps }) =>
    steps.flatMap(({ backend, rows }) =>
      rows
        .filter(
          ({ estimator, kind }) => sideBySide.includes(estimator) && (kind === null || estimator !== 'auto'),
        )
        .map((row) => ({
          step: `${name}, ${backend}`,
          estimator: row.estimator,
          before_us: us(row.before_ns),
          after_us: us(row.after_ns),
          true_before_us: us(row.truth_before_ns),
          true_after_us: us(row.truth_after_ns),
          seen_in_window: row.seen_after_windows ?? '-',
        })),
    ),
  );
}

function wildRows(result: EvalResult): Row[] {
  return twoSided(result).map((capture) => {
    const row = whole(capture, 'auto');
    return {
      both_directions: capture.name,
      countable_turns: capture.exchanges!.countable,
      sampled: percent(row?.exchanges_matched),
      told: percent(row?.exchanges_told),
      true_p50_us: us(capture.truth.p50_ns),
      error_us_p25: us(row?.error_ns.p25),
      error_us_p50: us(row?.error_ns.p50),
      error_us_p75: us(row?.error_ns.p75),
      error_us_p90: us(row?.error_ns.p90),
    };
  });
}

function costRows({ estimators }: EvalResult): Row[] {
  return estimators.map(({ estimator, ns_per_packet, bytes_per_flow }) => ({
    cost: estimator,
    ns_per_packet: rounded(ns_per_packet ?? Number.NaN),
    bytes_per_flow,
  }));
}

/** What docs/measurement.md is made of, beside what every bench returns. */
export interface EstimatorsResult extends BenchResult {
  readonly tables: Readonly<Record<string, readonly Row[]>>;
}

/** Runs every estimator over captures with truth. Takes about a minute. */
export async function run(): Promise<EstimatorsResult> {
  const { result, timelines } = await evaluate(options(100));
  const { result: longer } = await evaluate(options(250), 'none');
  const limits = await triggerLimits(result);
  const tables = {
    auto: autoRows(result),
    windows: windowRows(result),
    samples: sampleRows(result),
    steps: stepRows(result),
    wild: wildRows(result),
    cost: costRows(result),
    trigger: [...limits].map(([closed_loop, limit]) => ({
      closed_loop,
      client_us_p50: rounded(limit.triggerUsP50),
      client_us_p90: rounded(limit.triggerUsP90),
      p95_error: percent(limit.p95Error),
      auto_p95_error: percent(wholeOf(result, closed_loop)?.p95_absolute_relative_error),
      window_p90: percent(limit.windowP90),
      auto_window_p90: percent(wholeOf(result, closed_loop)?.window_error_p90),
    })),
  };
  writeFigure(timelines.filter(hasTruth(result)));
  return {
    name,
    rows: Object.values(tables).flat(),
    tables,
    targets: estimatorTargets(result, longer, limits),
    notes: [
      'inband eval over captures with truth: synth (two Linux stacks and a link with set delays), real (memtier, iperf3 and UDP clients of a DSR load balancer), wild (of other projects, both directions).',
      'median, mean: of all samples to those of all truths; median_error, p95_error: of (sample - truth) / truth per sample; window_p50, window_p90: |typical estimate / typical truth - 1| over windows of 100 ms of one backend.',
      'as used: in each window the samples of the kind that the pool controls on. server: compared by means, since single stamps tell nothing.',
      'Cost: time per packet that an estimator adds to the engine, on decoded packets in memory, shortest of 15 rounds; state per flow as arrays in TypeScript.',
    ],
  };
}

/** Closed loops with the truth of every request, to one backend. */
const closedLoops = ['memtier_closed_loop', 'w01_cl1', 'w02_cl1exp'];

async function triggerLimits({ captures }: EvalResult): Promise<Map<string, TriggerLimit>> {
  const limits = new Map<string, TriggerLimit>();
  for (const { name, truth } of captures) {
    if (closedLoops.includes(name)) limits.set(name, await triggerLimit(truth.source));
  }
  return limits;
}

function wholeOf({ captures }: EvalResult, name: string): EvalRow | undefined {
  const capture = captures.find((one) => one.name === name);
  return capture && whole(capture, 'auto');
}

const hasTruth =
  ({ captures }: EvalResult) =>
  ({ capture }: EvalTimeline) =>
    captures.some(({ name, exchanges }) => name === capture && !exchanges);
