import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Daemon } from '../src/demo/daemon.ts';
import { Lab } from '../src/lab/lab.ts';
import { startLoad } from '../src/lab/load.ts';
import { linkBuilt } from './built.ts';
import { type BenchResult, type Row, rounded, type Target } from './result.ts';

export const name = 'daemon';

/** Time that a phase is measured for, and time before it. */
const measuredMs = 8_000;
const warmMs = 2_000;
/** Clock ticks per second of proc(5): 100 on every architecture of Linux that Node runs on. */
const ticksPerS = 100;
const targetPercent = 3;
const policies = ['balance', 'shift'] as const;
const busyLoad = { connections: 64, requestsPerConnection: 1_000 } as const;

/** CPU time of a process, user and system, in s. */
function cpuS(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerS;
}

interface Figure {
  readonly packetsPerS: number;
  readonly cpuPercent: number;
}

async function measure(daemon: Daemon): Promise<Figure> {
  await sleep(warmMs);
  const packets = async () =>
    Object.values((await daemon.status()).packets).reduce((sum, count) => sum + count, 0);
  const [before, from, start] = [await packets(), cpuS(daemon.pid), performance.now()];
  await sleep(measuredMs);
  const [used, tookS] = [cpuS(daemon.pid) - from, (performance.now() - start) / 1e3];
  return {
    packetsPerS: Math.round(((await packets()) - before) / tookS),
    cpuPercent: rounded((used / tookS) * 100),
  };
}

/** The daemon's CPU without packets, and with as many as the load generator's client makes. */
async function measureBoth(lab: Lab, policy: string): Promise<{ idle: Figure; busy: Figure }> {
  const daemon = await Daemon.start(lab, policy);
  try {
    const idle = await measure(daemon);
    const durationMs = measuredMs + 4 * warmMs;
    const running = startLoad(lab, lab.clients[0]!, { ...busyLoad, durationMs });
    const busy = await measure(daemon);
    running.stop();
    await running.done;
    return { idle, busy };
  } finally {
    await daemon.stop();
  }
}

/** Measures the CPU time of the daemon. Takes about a minute; needs root. */
export async function run(): Promise<BenchResult> {
  linkBuilt();
  const lab = await Lab.up({ servers: 2, delayLines: false });
  try {
    const rows: Row[] = [];
    const targets: Target[] = [];
    for (const policy of policies) {
      const { idle, busy } = await measureBoth(lab, policy);
      for (const { packetsPerS, cpuPercent } of [idle, busy]) {
        rows.push({ policy, packets_per_s: packetsPerS, cpu_percent: cpuPercent });
      }
      targets.push(
        target(`CPU of the daemon when idle, ${policy}`, idle.cpuPercent),
        target(
          `CPU of the daemon at ${Math.round(busy.packetsPerS / 1e3)} k packets/s, ${policy}`,
          busy.cpuPercent,
        ),
      );
    }
    const { connections, requestsPerConnection } = busyLoad;
    return {
      name,
      rows,
      targets,
      notes: [
        `User and system time of one core over ${measuredMs / 1e3} s, a tick each ms.`,
        `Packets: memcached requests in a closed loop of ${connections} connections, anew after ${requestsPerConnection} requests: as many as the client and two servers make on this machine.`,
      ],
    };
  } finally {
    await lab.down();
  }
}

const target = (what: string, percent: number): Target => ({
  what,
  asked: `${targetPercent} %`,
  measured: `${percent} %`,
  met: percent <= targetPercent,
});
