import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../src/sim/random.ts';
import { type Account, accountOf } from '../test/chaos/account.ts';
import { asService } from '../test/chaos/balancer.ts';
import { PoolModel } from '../test/chaos/pool.ts';
import { patienceMs, Rig } from '../test/chaos/rig.ts';
import { linkBuilt } from './built.ts';
import { type BenchResult, median, type Row, rounded, type Target } from './result.ts';

export const name = 'operations';

const operations = 100;
/** Load between two operations. */
const betweenMs = 100;
const seed = 7;
const requestsPerSTarget = 50_000;
const fates = ['reset', 'resteer', 'keep'] as const;
/** How long the backend is dead before it is removed, and the load goes on after. */
const deadMs = 1_000;
const afterMs = 2_500;
const prefix = asService;
/** Requests under way on each connection. */
const depth = 2;

const nowNs = (): number => Number(process.hrtime.bigint());

interface Operated {
  readonly rows: Row[];
  readonly account: Account;
  readonly requestsPerS: number;
  readonly resets: number;
}

/** Operations at random on a pool whose servers all live. */
async function operate(rig: Rig): Promise<Operated> {
  const pool = new PoolModel(rig.servers.map(({ name }) => name));
  const random = new Random(seed, 0);
  const took = new Map<string, number[]>();
  const before = await rig.wire();
  rig.startLoad({ depth });
  await sleep(5 * betweenMs);
  const beganNs = nowNs();
  for (let i = 0; i < operations; i++) {
    const operation = pool.draw(random)!;
    const startMs = performance.now();
    await rig.operate(pool, operation);
    const times = took.get(operation.kind) ?? [];
    took.set(operation.kind, [...times, performance.now() - startMs]);
    await sleep(betweenMs);
  }
  const { requestsPerS } = rig.during(beganNs, nowNs());
  const account = accountOf(await rig.endLoad(), [], patienceMs * 1e6);
  const after = await rig.wire();
  const resets = rig.servers.reduce((sum, { name }) => sum + after.resets[name]! - before.resets[name]!, 0);
  const rows = [...took].map(([operation, times]) => ({
    operation,
    times: times.length,
    took_ms_p50: rounded(median(times)),
    took_ms_max: rounded(Math.max(...times)),
  }));
  return { rows, account, requestsPerS, resets };
}

/** What a crashed backend's removal came to. */
interface Removal {
  readonly fate: string;
  /** Its connections, by how they ended. */
  readonly ends: Readonly<Record<string, number>>;
  /** From its removal to the end of the last of its connections. */
  readonly lastEndedMs: number | null;
  /** Connections of others that broke. */
  readonly touched: number;
}

/** A backend falls silent as a machine without power does, and is removed. */
async function removeCrashed(rig: Rig, fate: string): Promise<Removal> {
  rig.configure(undefined, { health: { check: 'none' }, pool: { lost_flows: fate } });
  await rig.balancer.post('/reload', {});
  const pool = new PoolModel(rig.servers.map(({ name }) => name));
  const dead = rig.servers.at(-1)!;

  rig.startLoad({ timeoutMs: patienceMs });
  await sleep(deadMs);
  const diedNs = nowNs();
  await rig.lab.setLink(dead, 'down');
  await sleep(deadMs);
  const removedNs = nowNs();
  await rig.operate(pool, { kind: 'remove', server: dead.name });
  await sleep(afterMs);
  const connections = await rig.endLoad();
  await rig.lab.setLink(dead, 'up');
  rig.configure();
  await rig.balancer.post('/reload', {});
  const excuse = {
    server: dead.name,
    fromNs: diedNs,
    toNs: Number.POSITIVE_INFINITY,
    cause: 'its server was silent',
  };
  const { excused, unexcused } = accountOf(connections, [excuse], 0);
  const own = excused.filter(({ connection }) => connection.server === dead.name);
  const ends: Record<string, number> = {};
  for (const { connection } of own) ends[connection.end] = (ends[connection.end] ?? 0) + 1;
  const last = Math.max(...own.map(({ connection }) => connection.endedNs));
  return {
    fate,
    ends,
    lastEndedMs: own.length > 0 ? (last - removedNs) / 1e6 : null,
    touched: unexcused.length,
  };
}

function removalRow({ fate, ends, lastEndedMs, touched }: Removal): Row {
  return {
    lost_flows: fate,
    its_connections_reset: ends.reset ?? 0,
    its_connections_timed_out: ends.timed_out ?? 0,
    last_ended_ms: lastEndedMs === null ? 'none' : Math.round(lastEndedMs),
    others_broken: touched,
  };
}

function targetsOf({ account, requestsPerS, resets }: Operated, removals: readonly Removal[]): Target[] {
  const touched = removals.reduce((sum, removal) => sum + removal.touched, 0);
  const told = removals.filter(({ fate }) => fate !== 'keep');
  const untold = told.reduce((sum, { ends }) => sum + (ends.timed_out ?? 0), 0);
  const resetCount = told.reduce((sum, { ends }) => sum + (ends.reset ?? 0), 0);
  return [
    {
      what: `flows broken by ${operations} operations`,
      asked: '0',
      measured: `${account.unexcused.length} of ${account.opened}, ${resets} resets by servers`,
      met: account.unexcused.length === 0 && resets === 0,
    },
    {
      what: 'requests per second meanwhile',
      asked: `>= ${requestsPerSTarget}`,
      measured: `${Math.round(requestsPerS)}`,
      met: requestsPerS >= requestsPerSTarget,
    },
    {
      what: 'flows of a crashed backend that are reset or re-steered once it is removed',
      asked: 'all',
      measured: `${resetCount} told, ${untold} left to time out`,
      met: resetCount > 0 && untold === 0,
    },
    { what: 'flows of others broken by that', asked: '0', measured: `${touched}`, met: touched === 0 },
  ];
}

/** Measures what operations on a running load balancer cost its clients. Takes about a minute; needs root. */
export async function run(): Promise<BenchResult> {
  linkBuilt();
  const rig = await Rig.up();
  try {
    rig.configure(undefined, { health: { check: 'none' } });
    await rig.start({ prefix });
    const operated = await operate(rig);
    await rig.balancer.end('SIGTERM');
    rig.balancer.forget();
    await rig.start({ prefix });
    const removals: Removal[] = [];
    for (const fate of fates) removals.push(await removeCrashed(rig, fate));
    return {
      name,
      rows: [...operated.rows, ...removals.map(removalRow)],
      targets: targetsOf(operated, removals),
      notes: [
        `Closed loops of 32 connections that live as long as the load and 32 that are made anew after 100 requests, ${depth} requests under way on each, through the load balancer to 4 servers, all on this machine. Operations are drawn at random (seed ${seed}), ${betweenMs} ms apart; add and remove rewrite the configuration file and reload.`,
        `Crashed: a server's cables are pulled, ${deadMs} ms later it is removed from the configuration. Re-steered flows are reset by the server that they come to, which has no such connection. With keep clients find out by themselves, after ${patienceMs} ms.`,
      ],
    };
  } finally {
    await rig.down();
  }
}
