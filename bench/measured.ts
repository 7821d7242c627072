import { setTimeout as sleep } from 'node:timers/promises';
import type { Status } from '../src/daemon.ts';
import { Daemon } from '../src/demo/daemon.ts';
import { Lab } from '../src/lab/lab.ts';
import { type LoadOptions, startLoad } from '../src/lab/load.ts';
import { linkBuilt } from './built.ts';
import { type BenchResult, type Row, rounded, type Target } from './result.ts';

export const name = 'measured';

const delayUs = 250;
const runMs = 6_000;
/** Kinds that tell of responses, in the order in which control prefers them. */
const kinds = ['request', 'pipelined', 'server', 'gap'] as const;
/** A kind with fewer samples is no basis for control. */
const samplesMin = 50;
const targets = { ratio: 0.1, us: 60 };

const loads: Record<string, LoadOptions> = {
  'closed loop, 8 connections': { connections: 8 },
  'closed loop, anew every 50 requests': { connections: 8, requestsPerConnection: 50 },
  'closed loop, values of 16 KB': { connections: 4, valueBytes: 16_000 },
  'pipelined, depth 4': { connections: 4, depth: 4 },
  'pipelined, depth 16': { connections: 4, depth: 16 },
  'thinking 1 ms': { connections: 16, thinkUs: 1_000 },
  'thinking 5 ms': { connections: 16, thinkUs: 5_000 },
  'thinking 20 ms': { connections: 64, thinkUs: 20_000 },
  'thinking 100 ms': { connections: 128, thinkUs: 100_000 },
  'open loop, 2,000 requests per second': { connections: 32, rate: 2_000 },
};

/** The typical latency that the load balancer tells, and by which kind; mean where single samples mean little. */
function told({ vips }: Status): { kind: string; us: number; samples: number } | undefined {
  const { latency } = vips[0]!.backends[0]!;
  for (const kind of kinds) {
    const window = latency[kind];
    const ns = kind === 'server' ? window?.mean_ns : window?.p50_ns;
    if (window && ns != null && window.samples >= samplesMin)
      return { kind, us: ns / 1e3, samples: window.samples };
  }
  return undefined;
}

async function measure(lab: Lab, datapath: string, load: string): Promise<{ row: Row; met: boolean }> {
  const daemon = await Daemon.start(lab, 'static', ['--datapath', datapath]);
  try {
    const running = startLoad(lab, lab.clients[0]!, { valueBytes: 64, ...loads[load], durationMs: runMs });
    await Promise.race([sleep(runMs - 300), running.done, daemon.failed()]);
    const seen = told(await daemon.status());
    const { p50Us } = await running.done;
    const ratio = seen ? seen.us / p50Us! : Number.NaN;
    const met =
      seen !== undefined && Math.abs(seen.us - p50Us!) <= Math.max(targets.ratio * p50Us!, targets.us);
    const row = {
      load,
      datapath,
      client_p50_us: rounded(p50Us!),
      kind: seen?.kind ?? '-',
      samples: seen?.samples ?? 0,
      told_us: seen ? rounded(seen.us) : '-',
      ratio: seen ? rounded(ratio) : '-',
    };
    return { row, met };
  } finally {
    await daemon.stop();
  }
}

/**
 * What the load balancer says of a server's latency next to what the clients saw, live, for loads of several shapes.
 * Takes about 3 minutes; needs root.
 */
export async function run(): Promise<BenchResult> {
  linkBuilt();
  const lab = await Lab.up({ servers: 1, delayUs });
  const rows: Row[] = [];
  const all: Target[] = [];
  try {
    for (const load of Object.keys(loads)) {
      for (const datapath of ['xdp', 'capture']) {
        const { row, met } = await measure(lab, datapath, load);
        rows.push(row);
        all.push({
          what: `${load}, ${datapath}`,
          asked: `${targets.us} us or ${targets.ratio * 100} %`,
          measured: row.kind === '-' ? 'no sample' : `${row.told_us} us told, ${row.client_p50_us} us seen`,
          met,
        });
      }
    }
  } finally {
    await lab.down();
  }
  return {
    name,
    rows,
    targets: all,
    notes: [
      `One memcached server, path ${delayUs} us, policy static; told: the median, for server the mean.`,
      'The client sees p50 of all requests; its own scheduling is in it.',
    ],
  };
}
