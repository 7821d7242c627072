import { Lab } from '../lab/lab.ts';
import { figuresOf } from './figures.ts';
import { checkDemo, type DemoOptions, demoSetup, scheduleOf } from './plan.ts';
import { Recorder } from './recorder.ts';
import type { DemoResult, DemoRun, RunName } from './result.ts';
import { type RunOutcome, type RunPlan, runOnce } from './run.ts';
import { type Grid, p95OnGrid, shareOnGrid, type Timeline } from './timeline.ts';

/** A run that goes on: what is shown while it does. */
export interface LiveRun {
  readonly name: RunName;
  readonly policy: string;
  /** As far as it has come; a new one with every look. */
  readonly timeline: () => Timeline;
}

export interface Watcher {
  /** The testbed is up. */
  ready?(lab: Lab): void;
  /** A run begins. */
  run?(run: LiveRun): void;
}

/** Points of a chart's line: enough to see a step, and few enough that each is a median of several intervals. */
const stepsMax = 500;

/**
 * The paper's Figure 3: two servers under load, one of which becomes slower for a while; once with the static table,
 * once with in-band control.
 * @throws InbandError `USAGE` for options out of range, `PERMISSION`, `ENVIRONMENT` or `XDP_UNSUPPORTED` for what this
 * machine lacks; AbortError when `signal` says so. Nothing is left behind then.
 */
export async function runDemo(
  options: DemoOptions,
  watcher: Watcher = {},
  signal: AbortSignal = new AbortController().signal,
): Promise<DemoResult> {
  checkDemo(options);
  const lab = await Lab.up({ servers: demoSetup.servers, clients: 1, delayUs: demoSetup.baseDelayUs });
  try {
    signal.throwIfAborted();
    const application = lab.application === 'memcached' ? 'memcached' : 'kv';
    watcher.ready?.(lab);
    const runs: DemoRun[] = [];
    for (const [name, plan] of plans(options)) {
      const recorder = new Recorder();
      watcher.run?.({ name, policy: plan.policy, timeline: () => recorder.timeline });
      const outcome = await runOnce(lab, plan, options, recorder, signal);
      runs.push(toRun(name, plan.policy, outcome, lab.servers[outcome.timeline.slowed!]!.name, options));
    }
    return toResult(options, application, runs);
  } finally {
    await lab.down();
  }
}

/**
 * With equal servers, in-band control may by chance have given one of them everything by the time of the injection:
 * slowing the other one would then show nothing.
 */
const plans = ({ policy }: DemoOptions): [RunName, RunPlan][] => [
  ['static', { policy: 'static', slow: 1 }],
  ['in-band', { policy, slow: 'larger' }],
];

/** Equal steps of whole intervals over a run. */
export function gridOf(options: DemoOptions): Grid {
  const { endMs } = scheduleOf(options);
  const { intervalMs } = demoSetup;
  const stepMs = Math.ceil(endMs / stepsMax / intervalMs) * intervalMs;
  return { stepMs, count: Math.ceil(endMs / stepMs) };
}

function toRun(
  name: RunName,
  policy: string,
  { timeline, load, account, datapath }: RunOutcome,
  slowed: string,
  options: DemoOptions,
): DemoRun {
  const grid = gridOf(options);
  return {
    name,
    policy,
    datapath: `${datapath.name} ${datapath.mode}`,
    slowed,
    requests: load.requests,
    errors: load.errors,
    ...figuresOf(timeline),
    ...account,
    timeline: {
      step_ms: grid.stepMs,
      p95_us: p95OnGrid(timeline, grid),
      slowed_share: shareOnGrid(timeline, timeline.slowed!, grid, scheduleOf(options).endMs),
    },
  };
}

function toResult(
  options: DemoOptions,
  application: DemoResult['servers']['application'],
  runs: readonly DemoRun[],
): DemoResult {
  const { injectMs, removeMs, endMs } = scheduleOf(options);
  const { servers, connections, requestsPerConnection, setRatio, valueBytes, baseDelayUs } = demoSetup;
  return {
    schema: 'inband.demo/1',
    servers: { count: servers, application },
    load: {
      connections,
      requests_per_connection: requestsPerConnection,
      set_ratio: setRatio,
      value_bytes: valueBytes,
    },
    base_delay_us: baseDelayUs,
    added_delay_us: options.delayNs / 1e3,
    injected_at_s: injectMs / 1e3,
    removed_at_s: removeMs / 1e3,
    run_s: endMs / 1e3,
    runs,
  };
}
