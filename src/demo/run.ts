import { setTimeout as sleep } from 'node:timers/promises';
import type { Lab } from '../lab/lab.ts';
import { type LoadRun, type LoadSummary, startLoad } from '../lab/load.ts';
import { type Account, accountBetween, takeCounts } from './account.ts';
import { Daemon } from './daemon.ts';
import { type DemoOptions, demoSetup, scheduleOf } from './plan.ts';
import type { Recorder } from './recorder.ts';
import { serverInFocus, type Timeline } from './timeline.ts';

/** How often shares are looked at. */
const pollMs = 200;
/** The daemon remembers at least 2,048 changes, and makes at most one a ms: none is missed. */
const changesUnseenMax = 1_000;
const originPollMs = 5;

export interface RunPlan {
  readonly policy: string;
  /** Which server's path becomes slower: an index, or the one that holds the larger share then. */
  readonly slow: number | 'larger';
}

/** What came out of a run. */
export interface RunOutcome {
  readonly timeline: Timeline;
  readonly load: LoadSummary;
  readonly account: Account;
  readonly datapath: { readonly name: string; readonly mode: string };
}

/**
 * Runs the load through a load balancer with a policy, adds a delay to the path to one server for the middle third, and
 * records what happens. `recorder` can be looked at meanwhile.
 * @throws InbandError for what fails; AbortError when `signal` says so. Nothing but the lab is left then.
 */
export async function runOnce(
  lab: Lab,
  plan: RunPlan,
  options: DemoOptions,
  recorder: Recorder,
  signal: AbortSignal,
): Promise<RunOutcome> {
  const daemon = await Daemon.start(lab, plan.policy);
  let load: LoadRun | undefined;
  const ended = new AbortController();
  try {
    const before = await takeCounts(lab, daemon);
    load = startRun(lab, options, recorder);
    const both = AbortSignal.any([signal, ended.signal]);
    const summary = await Promise.race([
      perform(lab, plan, options, { daemon, load, recorder }, both),
      watch(daemon, recorder, both),
      load.done.then(() => new Promise<never>(() => {})),
      daemon.failed(),
    ]);
    recorder.changes(await daemon.history());
    recorder.finish();
    const { datapath } = await daemon.status();
    const account = accountBetween(before, await takeCounts(lab, daemon));
    return { timeline: recorder.timeline, load: summary, account, datapath };
  } finally {
    ended.abort();
    load?.stop();
    await load?.done.catch(() => {});
    await daemon.stop();
    for (const server of lab.servers) lab.setDelay(server, demoSetup.baseDelayUs);
  }
}

function startRun(lab: Lab, options: DemoOptions, recorder: Recorder): LoadRun {
  const { connections, requestsPerConnection, setRatio, valueBytes, intervalMs } = demoSetup;
  const durationMs = scheduleOf(options).endMs;
  return startLoad(
    lab,
    lab.clients[0]!,
    { connections, requestsPerConnection, setRatio, valueBytes, intervalMs, durationMs },
    (counts) => recorder.interval(counts),
  );
}

const monotonicNs = (): number => Number(process.hrtime.bigint());

interface Parts {
  daemon: Daemon;
  load: LoadRun;
  recorder: Recorder;
}

/** Adds and removes the delay at its times, and returns when the load has ended. */
async function perform(
  lab: Lab,
  { slow }: RunPlan,
  options: DemoOptions,
  { daemon, load, recorder }: Parts,
  signal: AbortSignal,
): Promise<LoadSummary> {
  const { injectMs, removeMs } = scheduleOf(options);
  while (recorder.originNs === undefined) await sleep(originPollMs, undefined, { signal });
  const until = (timeMs: number) =>
    sleep(Math.max(0, timeMs - (monotonicNs() - recorder.originNs!) / 1e6), undefined, { signal });

  await until(injectMs);
  recorder.status(monotonicNs(), await daemon.status());
  const slowed = slow === 'larger' ? serverInFocus(recorder.timeline) : slow;
  lab.setDelay(lab.servers[slowed]!, demoSetup.baseDelayUs + options.delayNs / 1e3);
  recorder.injected(monotonicNs(), slowed);
  await until(removeMs);
  lab.setDelay(lab.servers[slowed]!, demoSetup.baseDelayUs);
  recorder.removed(monotonicNs());
  return load.done;
}

/** Looks at the shares now and then, and at every change of them before the daemon forgets it. */
async function watch(daemon: Daemon, recorder: Recorder, signal: AbortSignal): Promise<never> {
  let seen = 0;
  for (;;) {
    const status = await daemon.status();
    recorder.status(monotonicNs(), status);
    const { generation } = status.vips[0]!;
    if (generation - seen > changesUnseenMax) {
      recorder.changes(await daemon.history());
      seen = generation;
    }
    await sleep(pollMs, undefined, { signal });
  }
}
