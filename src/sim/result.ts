import { type Phase, phaseNames, type Recorder } from './recorder.ts';
import type { Scenario } from './scenario.ts';
import type { Simulation } from './simulation.ts';
import { Sketch } from './sketch.ts';

/** Latencies as the clients see them, in ns; null without a request. */
export interface Latencies {
  readonly p50_ns: number | null;
  readonly p95_ns: number | null;
  readonly p99_ns: number | null;
  readonly mean_ns: number | null;
}

export interface PhaseResult extends Latencies {
  readonly phase: (typeof phaseNames)[number];
  readonly from_s: number;
  readonly until_s: number;
  readonly requests: number;
  readonly failed: number;
  readonly slots_moved: number;
  /** Largest distance of any share from the configured one at any load balancer, as a fraction of the configured one. */
  readonly share_deviation: number;
  readonly backends: readonly {
    readonly name: string;
    readonly requests: number;
    /** Over time and load balancers. */
    readonly share_mean: number;
    readonly share_sd: number;
  }[];
}

/** What one policy made of a scenario, in all runs together. */
export interface PolicyResult {
  readonly policy: string;
  readonly requests: number;
  readonly flows: number;
  readonly flows_broken: number;
  readonly flows_crashed: number;
  readonly failed: number;
  /** Of all phases together. */
  readonly overall: Latencies;
  readonly phases: readonly PhaseResult[];
  /** Median of the runs: from the beginning of `during` until the focus had gone 90 % of the way to its share of then; null for never. */
  readonly react_ms: number | null;
  /** Median of the runs: from the end of `during` until the focus was back within 5 % of its configured share for good; null for never. */
  readonly recover_ms: number | null;
  /** Focus' share, over all its servers: configured, and mean of the second half of `during`. */
  readonly focus_share: { readonly configured: number; readonly settled: number } | null;
  /** Of the first run. */
  readonly timeline: {
    readonly step_s: number;
    readonly requests: readonly number[];
    readonly failed: readonly number[];
    readonly p50_ns: readonly (number | null)[];
    readonly p99_ns: readonly (number | null)[];
    /** By backend, mean over the load balancers. */
    readonly shares: readonly (readonly number[])[];
  };
}

/** What `inband simulate --json` prints. */
export interface SimulationResult {
  readonly schema: 'inband.simulation/1';
  readonly scenario: string;
  readonly title: string;
  /** Of the first run; those of further ones follow. */
  readonly seed: number;
  readonly runs: number;
  readonly duration_s: number;
  readonly during_s: readonly [from: number, until: number] | null;
  readonly load_balancers: number;
  readonly backends: readonly string[];
  /** Names of the backends whose share should change. */
  readonly focus: readonly string[];
  readonly policies: readonly PolicyResult[];
}

/** A focus whose share changes by less than this part has nothing to react to. */
const reactionMin = 0.05;
const reachedPart = 0.9;
const recoveredPart = 0.05;

/** What one policy made of a scenario in one or several runs, which may not be used afterwards. */
export function policyResult(scenario: Scenario, policy: string, runs: readonly Simulation[]): PolicyResult {
  const reactions = runs.map(({ recorder }) => reaction(scenario, recorder));
  const timeline = timelineOf(scenario, runs[0]!.recorder);
  const phases = runs[0]!.recorder.phases;
  for (const { recorder } of runs.slice(1)) {
    for (let i = 0; i < phases.length; i++) phases[i]!.merge(recorder.phases[i]!);
  }
  const sum = (count: (run: Simulation) => number) => runs.reduce((all, run) => all + count(run), 0);
  return {
    policy,
    requests: sum(({ requests }) => requests),
    flows: sum(({ flows }) => flows),
    flows_broken: sum(({ flowsBroken }) => flowsBroken),
    flows_crashed: sum(({ flowsCrashed }) => flowsCrashed),
    failed: phases.reduce((all, { failed }) => all + failed, 0) + sum(({ overflowed }) => overflowed),
    overall: latenciesOf(overallOf(phases)),
    phases: phasesOf(scenario, phases),
    react_ms: medianOf(reactions.map(({ react_ms }) => react_ms)),
    recover_ms: medianOf(reactions.map(({ recover_ms }) => recover_ms)),
    focus_share: reactions[0]!.focus_share && {
      configured: reactions[0]!.focus_share.configured,
      settled: reactions.reduce((all, { focus_share }) => all + focus_share!.settled, 0) / runs.length,
    },
    timeline,
  };
}

/** Median of times of which null is never, and so the longest; of an even number the longer one of the middle. */
function medianOf(times: readonly (number | null)[]): number | null {
  const sorted = times.map((time) => time ?? Number.POSITIVE_INFINITY).sort((a, b) => a - b);
  const median = sorted[sorted.length >> 1]!;
  return Number.isFinite(median) ? median : null;
}

function phasesOf(scenario: Scenario, phases: readonly Phase[]): PhaseResult[] {
  const { warmupNs, duringFromNs, duringUntilNs, durationNs } = scenario;
  const bounds = [warmupNs, duringFromNs, duringUntilNs, durationNs];
  return phases.flatMap((phase, i) => {
    const [fromNs, untilNs] = [bounds[i]!, bounds[i + 1]!];
    if (untilNs <= fromNs) return [];
    return {
      phase: phaseNames[i]!,
      from_s: fromNs / 1e9,
      until_s: untilNs / 1e9,
      requests: phase.latency.count,
      failed: phase.failed,
      ...latenciesOf(phase.latency),
      slots_moved: phase.slotsMoved,
      share_deviation: phase.deviation,
      backends: scenario.servers.map(({ name }, b) => sharesOf(phase, name, b)),
    };
  });
}

function overallOf(phases: readonly Phase[]): Sketch {
  const all = new Sketch();
  for (const { latency } of phases) all.merge(latency);
  return all;
}

function latenciesOf(latency: Sketch): Latencies {
  const known = (value: number) => (latency.count === 0 ? null : Math.round(value));
  return {
    p50_ns: known(latency.percentileNs(50)),
    p95_ns: known(latency.percentileNs(95)),
    p99_ns: known(latency.percentileNs(99)),
    mean_ns: known(latency.meanNs),
  };
}

function sharesOf(phase: Phase, name: string, b: number) {
  const mean = phase.shareNs[b]! / phase.spanNs;
  const square = phase.squareNs[b]! / phase.spanNs;
  return {
    name,
    requests: phase.requestsOf[b]!,
    share_mean: mean,
    share_sd: Math.sqrt(Math.max(0, square - mean * mean)),
  };
}

/** Times from a step to what the policy makes of it, from the record of the focus' share. */
function reaction(
  { focus, servers, duringFromNs, duringUntilNs, durationNs }: Scenario,
  recorder: Recorder,
): Pick<PolicyResult, 'react_ms' | 'recover_ms' | 'focus_share'> {
  const { focusNs: times, focusShare: values } = recorder;
  if (focus.length === 0 || duringFromNs >= durationNs) {
    return { react_ms: null, recover_ms: null, focus_share: null };
  }
  const total = servers.reduce((sum, { weight }) => sum + weight, 0);
  const configured = focus.reduce((sum, b) => sum + servers[b]!.weight, 0) / total;
  const settled = meanBetween(times, values, (duringFromNs + duringUntilNs) / 2, duringUntilNs);
  const before = valueAt(times, values, duringFromNs);
  const isReaction = Math.abs(settled - before) >= reactionMin * configured;
  const reachedNs = isReaction
    ? firstAfter(times, values, duringFromNs, duringUntilNs, (value) => {
        const part = (value - before) / (settled - before);
        return part >= reachedPart;
      })
    : null;
  const backNs = backFor(times, values, duringUntilNs, durationNs, configured);
  return {
    react_ms: reachedNs === null ? null : (reachedNs - duringFromNs) / 1e6,
    recover_ms: backNs === null ? null : (backNs - duringUntilNs) / 1e6,
    focus_share: { configured, settled },
  };
}

/** The value that holds at a time; the record begins at 0. */
function valueAt(times: readonly number[], values: readonly number[], atNs: number): number {
  let i = 0;
  while (i + 1 < times.length && times[i + 1]! <= atNs) i++;
  return values[i]!;
}

function meanBetween(
  times: readonly number[],
  values: readonly number[],
  fromNs: number,
  untilNs: number,
): number {
  let sum = 0;
  for (let i = 0; i < times.length; i++) {
    const from = Math.max(fromNs, times[i]!);
    const until = Math.min(untilNs, times[i + 1] ?? untilNs);
    if (until > from) sum += values[i]! * (until - from);
  }
  return sum / (untilNs - fromNs);
}

function firstAfter(
  times: readonly number[],
  values: readonly number[],
  fromNs: number,
  untilNs: number,
  isReached: (value: number) => boolean,
): number | null {
  for (let i = 0; i < times.length; i++) {
    if (times[i]! >= fromNs && times[i]! < untilNs && isReached(values[i]!)) return times[i]!;
  }
  return null;
}

/** When a share came back for good, null if it ends elsewhere; at once if it never left. */
function backFor(
  times: readonly number[],
  values: readonly number[],
  fromNs: number,
  untilNs: number,
  configured: number,
): number | null {
  let backNs: number | null = null;
  const isBack = (value: number) => Math.abs(value / configured - 1) <= recoveredPart;
  if (isBack(valueAt(times, values, fromNs))) backNs = fromNs;
  for (let i = 0; i < times.length; i++) {
    if (times[i]! <= fromNs || times[i]! >= untilNs) continue;
    if (!isBack(values[i]!)) backNs = null;
    else backNs ??= times[i]!;
  }
  return backNs;
}

function timelineOf({ durationNs, servers }: Scenario, { steps }: Recorder): PolicyResult['timeline'] {
  const known = (count: number, value: number) => (count === 0 ? null : Math.round(value));
  return {
    step_s: durationNs / 1e9 / steps.length,
    requests: steps.map(({ count }) => count),
    failed: steps.map(({ failed }) => failed),
    p50_ns: steps.map(({ count, p50Ns }) => known(count, p50Ns)),
    p99_ns: steps.map(({ count, p99Ns }) => known(count, p99Ns)),
    shares: servers.map((_, b) => steps.map(({ shares }) => Number(shares[b]!.toFixed(5)))),
  };
}
