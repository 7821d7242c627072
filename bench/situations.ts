import { setTimeout as sleep } from 'node:timers/promises';
import type { ShareChange } from '../src/daemon.ts';
import { Daemon } from '../src/demo/daemon.ts';
import { Lab } from '../src/lab/lab.ts';
import { type LoadCounts, type LoadOptions, startLoad } from '../src/lab/load.ts';
import type { LabOptions } from '../src/lab/plan.ts';
import { linkBuilt } from './built.ts';
import { type BenchResult, median, type Row, rounded, type Target } from './result.ts';

export const name = 'situations';

const baseDelayUs = 250;
const intervalMs = 10;
/** Each phase's figures leave out this much at its start. */
const settleMs = 1_000;
const reconnectRounds = 10;
/** The end of a phase is its last so many ms. */
const endMs = 500;
/** p95 counts as back within this ratio to before, when its median over the next `backMs` is too. */
const backRatio = 1.2;
const backMs = 100;
const targets = { backMs: 150, equilibriumSd: 0.05, thinkShare: 0.1 };

/** A run in three phases of equal length: before, with a delay added to the path to the second server, and after. */
interface Situation {
  readonly lab: Partial<LabOptions>;
  readonly load: LoadOptions;
  readonly addedUs: number;
  readonly phaseMs: number;
}

interface Seen {
  readonly intervals: readonly LoadCounts[];
  readonly changes: readonly ShareChange[];
  readonly startNs: number;
  readonly injectedNs: number;
  readonly removedNs: number;
  readonly endNs: number;
}

const monotonicNs = (): number => Number(process.hrtime.bigint());

async function watch({ load, addedUs, phaseMs }: Situation, lab: Lab): Promise<Seen> {
  const slowed = lab.servers[1]!;
  const intervals: LoadCounts[] = [];
  const daemon = await Daemon.start(lab, 'balance');
  const options = { ...load, intervalMs, durationMs: 3 * phaseMs };
  const running = startLoad(lab, lab.clients[0]!, options, (counts) => intervals.push(counts));
  try {
    const startNs = monotonicNs();
    await Promise.race([sleep(phaseMs), running.done, daemon.failed()]);
    const injectedNs = monotonicNs();
    lab.setDelay(slowed, baseDelayUs + addedUs);
    await Promise.race([sleep(phaseMs), running.done, daemon.failed()]);
    const removedNs = monotonicNs();
    lab.setDelay(slowed, baseDelayUs);
    await running.done;
    return {
      intervals,
      changes: await daemon.history(),
      startNs,
      injectedNs,
      removedNs,
      endNs: monotonicNs(),
    };
  } finally {
    running.stop();
    await running.done.catch(() => {});
    await daemon.stop();
    lab.setDelay(slowed, baseDelayUs);
  }
}

/** Mean and standard deviation over time of the second server's share. */
function shareBetween({ changes }: Seen, fromNs: number, toNs: number): { mean: number; sd: number } {
  let share = changes.findLast(({ time_ns }) => time_ns <= fromNs)?.share[1] ?? 0.5;
  let [sum, squares, at] = [0, 0, fromNs];
  for (const change of [...changes.filter(({ time_ns }) => time_ns > fromNs && time_ns < toNs), undefined]) {
    const until = change?.time_ns ?? toNs;
    sum += share * (until - at);
    squares += share * share * (until - at);
    at = until;
    share = change?.share[1] ?? share;
  }
  const mean = sum / (toNs - fromNs);
  return { mean, sd: Math.sqrt(Math.max(0, squares / (toNs - fromNs) - mean * mean)) };
}

function p95Between({ intervals }: Seen, fromNs: number, toNs: number): number {
  const known = intervals.filter(({ monoNs, p95Us }) => monoNs > fromNs && monoNs <= toNs && p95Us !== null);
  return known.length === 0 ? Number.NaN : median(known.map(({ p95Us }) => p95Us!));
}

function phases(seen: Seen): { phase: string; fromNs: number; toNs: number }[] {
  const { startNs, injectedNs, removedNs, endNs } = seen;
  return [
    { phase: 'before', fromNs: startNs, toNs: injectedNs },
    { phase: 'slower', fromNs: injectedNs, toNs: removedNs },
    { phase: 'after', fromNs: removedNs, toNs: endNs },
  ].map(({ phase, fromNs, toNs }) => ({ phase, fromNs: fromNs + settleMs * 1e6, toNs }));
}

function rowsOf(situation: string, seen: Seen): Row[] {
  return phases(seen).map(({ phase, fromNs, toNs }) => {
    const { mean, sd } = shareBetween(seen, fromNs, toNs);
    const p95 = p95Between(seen, fromNs, toNs);
    return {
      situation,
      phase,
      share_s2: rounded(mean),
      share_sd: rounded(sd, 2),
      client_p95_us: rounded(p95),
    };
  });
}

/** ms from the injection until the client's p95 was back within `backRatio` of before, and stayed; null for never. */
function backAfterMs(seen: Seen): number | null {
  const { startNs, injectedNs, removedNs, intervals } = seen;
  const limitUs = backRatio * p95Between(seen, startNs + (settleMs / 2) * 1e6, injectedNs);
  const known = intervals.filter(
    ({ monoNs, p95Us }) => p95Us !== null && monoNs - intervalMs * 1e6 >= injectedNs && monoNs <= removedNs,
  );
  // The first intervals after the injection may hold no slow request yet.
  const slowed = known.findIndex(({ p95Us }) => p95Us! > limitUs);
  if (slowed < 0) return 0;
  const back = known.findIndex(
    ({ p95Us }, i) =>
      i > slowed &&
      p95Us! <= limitUs &&
      median(known.slice(i, i + backMs / intervalMs).map((one) => one.p95Us!)) <= limitUs,
  );
  return back < 0 ? null : (known[back]!.monoNs - intervalMs * 1e6 - injectedNs) / 1e6;
}

async function inLab<T>(situation: Situation, task: (lab: Lab) => Promise<T>): Promise<T> {
  const lab = await Lab.up({ servers: 2, delayUs: baseDelayUs, ...situation.lab });
  try {
    return await task(lab);
  } finally {
    await lab.down();
  }
}

const reconnecting: Situation = {
  lab: {},
  load: { connections: 8, requestsPerConnection: 50, valueBytes: 64 },
  addedUs: 1_000,
  phaseMs: 2_500,
};
const thinking: Situation = {
  lab: {},
  load: { connections: 64, requestsPerConnection: 20, valueBytes: 64, thinkUs: 20_000 },
  addedUs: 1_000,
  phaseMs: 6_000,
};
const loaded: Situation = {
  lab: { processingDelayUs: 50 },
  load: { connections: 8, requestsPerConnection: 50, valueBytes: 64 },
  addedUs: 500,
  phaseMs: 6_000,
};

/**
 * What control does with real clients and servers in situations that the bench `reaction` does not show: clients that
 * think for 20 ms, and servers whose latency depends on their load. Takes about 2 minutes; needs root.
 */
export async function run(): Promise<BenchResult> {
  linkBuilt();
  const rounds = await inLab(reconnecting, async (lab) => {
    const all: Seen[] = [];
    while (all.length < reconnectRounds) all.push(await watch(reconnecting, lab));
    return all;
  });
  const back = rounds.map(backAfterMs);
  const backMsMedian = median(back.map((ms) => ms ?? Number.POSITIVE_INFINITY));
  const think = await inLab(thinking, (lab) => watch(thinking, lab));
  const load = await inLab(loaded, (lab) => watch(loaded, lab));
  const [thinkBefore, thinkSlower, thinkAfter] = phases(think).map(({ toNs }) =>
    shareBetween(think, toNs - endMs * 1e6, toNs),
  );
  const loadSlower = phases(load)[1]!;
  const equilibrium = shareBetween(load, loadSlower.fromNs, loadSlower.toNs);
  const shares = [thinkBefore, thinkSlower, thinkAfter].map((share) => rounded(share!.mean, 2)).join(', ');
  const all: Target[] = [
    {
      what: `reconnecting clients, +1 ms: p95 back within ${backRatio}x, median of ${reconnectRounds}`,
      asked: `${targets.backMs} ms`,
      measured: Number.isFinite(backMsMedian) ? `${rounded(backMsMedian)} ms` : 'never',
      met: backMsMedian <= targets.backMs,
    },
    {
      what: 'clients that think 20 ms, +1 ms: share of the slower server at the end of before, slower, after',
      asked: `0.5, <= ${targets.thinkShare}, 0.5`,
      measured: shares,
      met:
        Math.abs(thinkBefore!.mean - 0.5) < 0.1 &&
        thinkSlower!.mean <= targets.thinkShare &&
        Math.abs(thinkAfter!.mean - 0.5) < 0.1,
    },
    {
      what: 'serial servers of 50 us, +0.5 ms: standard deviation of the share',
      asked: `<= ${targets.equilibriumSd}`,
      measured: `${rounded(equilibrium.sd, 2)} around ${rounded(equilibrium.mean, 2)}`,
      met: equilibrium.sd <= targets.equilibriumSd,
    },
  ];
  return {
    name,
    rows: [
      ...rowsOf('reconnecting (last round)', rounds.at(-1)!),
      ...rowsOf('thinking 20 ms', think),
      ...rowsOf('serial 50 us', load),
    ],
    targets: all,
    notes: [
      `Two servers, path ${baseDelayUs} us, policy balance; the delay is on the path to s2 in the middle third.`,
      `p95 back, ms: ${back.map((ms) => (ms === null ? 'never' : rounded(ms))).join(', ')}.`,
      `Figures of a phase leave out its first ${settleMs} ms; client p95 is the median of intervals of ${intervalMs} ms.`,
    ],
  };
}
