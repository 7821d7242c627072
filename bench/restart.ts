import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { accountOf } from '../test/chaos/account.ts';
import { asService, type StartOptions } from '../test/chaos/balancer.ts';
import { otherVersion } from '../test/chaos/installation.ts';
import { patienceMs, Rig } from '../test/chaos/rig.ts';
import { linkBuilt } from './built.ts';

import { type BenchResult, median, type Row, rounded, type Target } from './result.ts';

export const name = 'restart';

const repetitions = 20;
/** Load alone before each restart, for what clients see without one. */
const calmMs = 400;
/** Segments of the last requests are counted by both ends by then. */
const settleMs = 200;
const targets = { requestsPerS: 50_000, withoutControlMs: 1_000 } as const;
const prefix = asService;
/** Requests under way on each connection. */
const depth = 2;

interface Kind {
  readonly what: string;
  readonly signal: 'SIGKILL' | 'SIGTERM';
  /** Of restart number i. */
  readonly options: (i: number) => StartOptions;
}

/** What restarts of a kind came to. */
interface Outcome {
  readonly what: string;
  /** From the signal to the first tick of the next daemon; the last tick of the one before was at most a tick earlier. */
  readonly withoutControlMs: readonly number[];
  readonly p99Us: readonly number[];
  readonly calmP99Us: readonly number[];
  readonly requestsPerS: number;
  readonly packetsSent: number;
  readonly packetsLost: number;
  readonly connections: number;
  readonly broken: number;
  readonly requestsLost: number;
  readonly resets: number;
}

const nowNs = (): number => Number(process.hrtime.bigint());

async function measure(rig: Rig, { what, signal, options }: Kind): Promise<Outcome> {
  const { balancer } = rig;
  const before = await rig.wire();
  const beganNs = nowNs();
  rig.startLoad({ depth });
  const withoutControlMs: number[] = [];
  const [p99Us, calmP99Us]: [number[], number[]] = [[], []];
  for (let i = 0; i < repetitions; i++) {
    const calmNs = nowNs();
    await sleep(calmMs);
    const endedNs = await balancer.end(signal);
    const { tickedNs } = await balancer.start(options(i));
    withoutControlMs.push((tickedNs - endedNs) / 1e6);
    calmP99Us.push(rig.during(calmNs, endedNs).p99Us ?? Number.NaN);
    p99Us.push(rig.during(endedNs, tickedNs).p99Us ?? Number.NaN);
  }
  await sleep(calmMs);
  const { requestsPerS } = rig.during(beganNs, nowNs());
  const account = accountOf(await rig.endLoad(), [], patienceMs * 1e6);
  await sleep(settleMs);
  const after = await rig.wire();
  const sum = (counts: Readonly<Record<string, number>>) =>
    Object.values(counts).reduce((total, count) => total + count, 0);
  const sent = after.sent - before.sent;
  return {
    ...{ what, withoutControlMs, p99Us, calmP99Us, requestsPerS },
    packetsSent: sent,
    packetsLost: sent - (after.received - before.received),
    connections: account.opened,
    broken: account.unexcused.length,
    requestsLost: account.requestsLost,
    resets: sum(after.resets) - sum(before.resets),
  };
}

const worst = (values: readonly number[]): number => Math.max(...values);

function rowsOf(outcome: Outcome): Row[] {
  const { what, withoutControlMs, p99Us, calmP99Us } = outcome;
  return [
    {
      restart: what,
      times: withoutControlMs.length,
      requests_per_s: Math.round(outcome.requestsPerS),
      packets: outcome.packetsSent,
      lost: outcome.packetsLost,
      connections: outcome.connections,
      broken: outcome.broken,
      requests_lost: outcome.requestsLost,
      without_control_ms_p50: rounded(median(withoutControlMs)),
      without_control_ms_max: rounded(worst(withoutControlMs)),
      client_p99_us: rounded(median(p99Us)),
      client_p99_us_calm: rounded(median(calmP99Us)),
    },
  ];
}

function targetsOf(all: readonly Outcome[]): Target[] {
  const total = (of: (outcome: Outcome) => number) => all.reduce((sum, outcome) => sum + of(outcome), 0);
  const slowest = worst(all.flatMap(({ withoutControlMs }) => withoutControlMs));
  const least = Math.min(...all.map(({ requestsPerS }) => requestsPerS));
  const none = (what: string, count: number, of: number): Target => ({
    ...{ what, asked: '0', measured: `${count} of ${of}`, met: count === 0 },
  });
  return [
    none(
      'packets lost',
      total(({ packetsLost }) => Math.abs(packetsLost)),
      total(({ packetsSent }) => packetsSent),
    ),
    none(
      'connections broken',
      total(({ broken }) => broken),
      total(({ connections }) => connections),
    ),
    {
      what: 'longest time without control',
      asked: `<= ${targets.withoutControlMs} ms`,
      measured: `${rounded(slowest)} ms`,
      met: slowest <= targets.withoutControlMs,
    },
    {
      what: 'requests per second meanwhile',
      asked: `>= ${targets.requestsPerS}`,
      measured: `${Math.round(least)}`,
      met: least >= targets.requestsPerS,
    },
  ];
}

/** Measures what clients notice of a daemon that is killed or upgraded. Takes about 2 minutes; needs root. */
export async function run(): Promise<BenchResult> {
  linkBuilt();
  const other = mkdtempSync(join(tmpdir(), 'inband-other-'));
  const rig = await Rig.up();
  try {
    await otherVersion(other);
    // Checks are segments that servers receive and no client sent: without them every packet is accounted for.
    rig.configure(undefined, { health: { check: 'none' } });
    await rig.start({ prefix });
    const kinds: Kind[] = [
      { what: 'killed (SIGKILL)', signal: 'SIGKILL', options: () => ({ prefix }) },
      { what: 'stopped (SIGTERM), same version', signal: 'SIGTERM', options: () => ({ prefix }) },
      {
        what: 'stopped, other version and back',
        signal: 'SIGTERM',
        options: (i) => (i % 2 === 0 ? { prefix, installation: other } : { prefix }),
      },
    ];
    const all: Outcome[] = [];
    for (const kind of kinds) all.push(await measure(rig, kind));
    return {
      name,
      rows: all.flatMap(rowsOf),
      targets: targetsOf(all),
      notes: [
        `Closed loops of 32 connections that live as long as the load and 32 that are made anew after 100 requests, ${depth} requests under way on each, through the load balancer to 4 servers, all on this machine.`,
        'Packets lost: segments that the kernels of the clients sent, first time or again, less those that the kernels of the servers received. Resets by servers, which packets of flows of other servers would lead to, count as broken connections at clients.',
        'Without control: from the signal to the first tick of the next daemon as its socket tells, with the priority that the systemd unit gives it. p99: worst interval of 20 ms, median over restarts.',
        'Other version: another version number, and a BPF program that the compiler made with other options.',
      ],
    };
  } finally {
    await rig.down();
    rmSync(other, { recursive: true, force: true });
  }
}
