import { setTimeout as sleep } from 'node:timers/promises';
import { Daemon, type Sample } from '../src/demo/daemon.ts';
import { figuresOf } from '../src/demo/figures.ts';
import { demoSetup } from '../src/demo/plan.ts';
import { Recorder } from '../src/demo/recorder.ts';
import { serverInFocus } from '../src/demo/timeline.ts';
import { Lab } from '../src/lab/lab.ts';
import { type LoadOptions, startLoad } from '../src/lab/load.ts';
import { linkBuilt } from './built.ts';
import { type BenchResult, median, type Row, rounded, type Target } from './result.ts';

export const name = 'reaction';

const injections = 60;
const policies = ['shift', 'balance'] as const;
const addedUs = 1_000;
/** A response of the slowed server counts as slow from this much above its median before. */
const slowNs = 700e3;
/** Each injection has a load balancer and a load of its own: under way for so long, and watched for so long after. */
const warmMs = 800;
const watchedMs = 500;
const targets = { firstMsP50: 2, firstMsP99: 5, movedMs: 100, pathUs: 1 };

/** What one injection led to; ms since the first slow response that the load balancer saw, null for never. */
export interface Reaction {
  readonly slowed: string;
  readonly seenMs: number | null;
  readonly firstMs: number | null;
  readonly movedMs: number | null;
  /** Since the injection, as the client has no other beginning. */
  readonly p95BackMs: number | null;
}

const monotonicNs = (): number => Number(process.hrtime.bigint());

/** Samples of responses, from now until `stop`. */
function collect(daemon: Daemon): { samples: Sample[]; ended: Promise<void> } {
  const samples: Sample[] = [];
  const ended = (async () => {
    for await (const sample of daemon.samples()) if (sample.kind !== 'handshake') samples.push(sample);
  })().catch(() => {});
  return { samples, ended };
}

const load = (durationMs: number): LoadOptions => {
  const { connections, requestsPerConnection, setRatio, valueBytes, intervalMs } = demoSetup;
  return { connections, requestsPerConnection, setRatio, valueBytes, intervalMs, durationMs };
};

async function inject(lab: Lab, policy: string, flags: readonly string[]): Promise<Reaction> {
  const daemon = await Daemon.start(lab, policy, flags);
  const recorder = new Recorder();
  const { samples, ended } = collect(daemon);
  const running = startLoad(lab, lab.clients[0]!, load(warmMs + watchedMs), (counts) =>
    recorder.interval(counts),
  );
  try {
    await Promise.race([sleep(warmMs), running.done, daemon.failed()]);
    recorder.status(monotonicNs(), await daemon.status());
    const slowed = serverInFocus(recorder.timeline);
    const server = lab.servers[slowed]!;
    // Before the delay is there: whatever is measured after this moment may be slow.
    const injectedNs = monotonicNs();
    lab.setDelay(server, demoSetup.baseDelayUs + addedUs);
    recorder.injected(injectedNs, slowed);
    await running.done;
    recorder.changes(await daemon.history());
    recorder.finish();
    return { slowed: server.name, ...timed(recorder, samples, server.address, injectedNs) };
  } finally {
    running.stop();
    await running.done.catch(() => {});
    await daemon.stop();
    await ended;
    for (const server of lab.servers) lab.setDelay(server, demoSetup.baseDelayUs);
  }
}

function timed(recorder: Recorder, samples: Sample[], backend: string, injectedNs: number) {
  const own = samples.filter((sample) => sample.backend === backend);
  const base = median(own.filter(({ time_ns }) => time_ns < injectedNs).map(({ latency_ns }) => latency_ns));
  const seen = own.find(
    ({ time_ns, latency_ns }) => time_ns >= injectedNs && latency_ns >= base + slowNs,
  )?.time_ns;
  const { timeline } = recorder;
  const { p95_back_ms } = figuresOf(timeline).reaction;
  if (seen === undefined) return { seenMs: null, firstMs: null, movedMs: null, p95BackMs: p95_back_ms };
  const seenMs = (seen - recorder.originNs!) / 1e6;
  const since = figuresOf({ ...timeline, injectedMs: seenMs }).reaction;
  return {
    seenMs: (seen - injectedNs) / 1e6,
    firstMs: since.first_slot_moved_ms ?? since.new_flows_moved_ms,
    movedMs: since.new_flows_moved_ms,
    p95BackMs: p95_back_ms,
  };
}

/** Percentile of values of which some never came, which are the largest; null when it is one of those. */
function percentile(values: readonly (number | null)[], percent: number): number | null {
  const sorted = values.map((value) => value ?? Number.POSITIVE_INFINITY).sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.ceil((percent / 100) * sorted.length) - 1)]!;
  return Number.isFinite(value) ? value : null;
}

const shown = (value: number | null): number | string => (value === null ? 'never' : rounded(value));

function reactionRow(measure: string, values: readonly (number | null)[]): Row {
  return {
    measure,
    p50_ms: shown(percentile(values, 50)),
    p90_ms: shown(percentile(values, 90)),
    p99_ms: shown(percentile(values, 99)),
    never: values.filter((value) => value === null).length,
  };
}

/** What so many injections led to, each with a load balancer of its own that has these further flags. */
export async function reactions(
  policy: string,
  count = injections,
  flags: readonly string[] = [],
): Promise<Reaction[]> {
  const lab = await Lab.up({ servers: demoSetup.servers, delayUs: demoSetup.baseDelayUs });
  try {
    const all: Reaction[] = [];
    while (all.length < count) all.push(await inject(lab, policy, flags));
    return all;
  } finally {
    await lab.down();
  }
}

export interface PathCost {
  readonly directUs: number;
  readonly throughUs: number;
  readonly differencesUs: readonly number[];
}

const pathRounds = 15;
const pathMs = 1_000;

/** Median over rounds of the p50 of one connection that has one request under way, in us; both ways by turns. */
export async function pathCost(flags: readonly string[] = []): Promise<PathCost> {
  // Without delay lines, which would be most of what is measured.
  const lab = await Lab.up({ servers: 1, delayLines: false });
  try {
    const daemon = await Daemon.start(lab, 'static', flags);
    const p50 = async () => {
      const options = { connections: 1, durationMs: pathMs };
      return (await startLoad(lab, lab.clients[0]!, options).done).p50Us!;
    };
    const rounds: { direct: number; through: number }[] = [];
    while (rounds.length < pathRounds) {
      await lab.directTo(lab.servers[0]!);
      const direct = await p50();
      await lab.throughLoadBalancer();
      rounds.push({ direct, through: await p50() });
    }
    await daemon.stop();
    return {
      directUs: median(rounds.map(({ direct }) => direct)),
      throughUs: median(rounds.map(({ through }) => through)),
      differencesUs: rounds.map(({ direct, through }) => through - direct),
    };
  } finally {
    await lab.down();
  }
}

function target(what: string, asked: string, value: number | null, unit: string, limit: number): Target {
  const measured = value === null ? 'never' : `${rounded(value)} ${unit}`;
  return { what, asked, measured, met: value !== null && value <= limit };
}

/** What one policy's injections come to. */
function summary(policy: string, all: readonly Reaction[]): { rows: Row[]; targets: Target[] } {
  const first = all.map(({ firstMs }) => firstMs);
  const moved = all.map(({ movedMs }) => movedMs);
  const { firstMsP50, firstMsP99, movedMs } = targets;
  const seen = all.map(({ seenMs }) => seenMs);
  const back = all.map(({ p95BackMs }) => p95BackMs);
  return {
    rows: [
      reactionRow(`${policy}: injection to first slow response seen`, seen),
      reactionRow(`${policy}: seen to first slot moved`, first),
      reactionRow(`${policy}: seen to 90 % of new flows moved`, moved),
      reactionRow(`${policy}: injection to client p95 within 1.2x`, back),
    ],
    targets: [
      target(`${policy}: first slot, p50`, '2 ms', percentile(first, 50), 'ms', firstMsP50),
      target(`${policy}: first slot, p99`, '5 ms', percentile(first, 99), 'ms', firstMsP99),
      target(`${policy}: 90 % of new flows, p50`, '100 ms', percentile(moved, 50), 'ms', movedMs),
    ],
  };
}

/**
 * Measures how fast slots move after a server becomes slower, and what the way through the load balancer costs. Takes
 * about 6 minutes; needs root.
 */
export async function run(): Promise<BenchResult> {
  linkBuilt();
  const summaries: ReturnType<typeof summary>[] = [];
  const slowed: string[] = [];
  for (const policy of policies) {
    const all = await reactions(policy);
    summaries.push(summary(policy, all));
    const s1 = all.filter((one) => one.slowed === 's1').length;
    slowed.push(`${policy}: s1 ${s1} times, s2 ${all.length - s1}`);
  }
  const path = await pathCost();
  const added = median(path.differencesUs);
  return {
    name,
    rows: [
      ...summaries.flatMap(({ rows }) => rows),
      { path: 'direct', p50_us: rounded(path.directUs) },
      { path: 'through the load balancer', p50_us: rounded(path.throughUs) },
      { path: 'difference', p50_us: rounded(added) },
    ],
    targets: [
      ...summaries.flatMap(({ targets }) => targets),
      target('p50 through over direct, 1 connection', '+1 us', added, 'us', targets.pathUs),
    ],
    notes: [
      `${injections} times +${addedUs / 1e3} ms on the path to the server with the larger share (${slowed.join('; ')}), each with a load balancer of its own.`,
      `${demoSetup.connections} connections, anew after ${demoSetup.requestsPerConnection} requests, path ${demoSetup.baseDelayUs} us.`,
      `Seen: the first sample of the slowed server at least ${slowNs / 1e6} ms above its median before.`,
      `Paths: ${pathRounds} rounds of each by turns, one connection, no delay lines; medians.`,
    ],
  };
}
