import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ReloadAnswer } from '../src/admin/answers.ts';
import { ask, post } from '../src/admin/client.ts';
import type { Status } from '../src/daemon.ts';
import { Lab } from '../src/lab/lab.ts';
import { labDirectory } from '../src/lab/records.ts';
import { tableMethods } from '../src/maglev/builder.ts';
import { linkBuilt } from './built.ts';
import { type BenchResult, median, type Row, rounded } from './result.ts';

export const name = 'reload';

const vips = 100;
const backendsEach = 10;
const times = 9;
const targetMs = 100;
const slots = 65_537;
const readyMsMax = 20_000;
const program = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

/** Backends of a vip by number, with their weights. */
type Pools = readonly (readonly { readonly backend: number; readonly weight: number }[])[];

const pools: Pools = Array.from({ length: vips }, () =>
  Array.from({ length: backendsEach }, (_, backend) => ({ backend, weight: 1 })),
);

/** The first `count` vips with one backend more, with one less, or with twice the weight of one. */
const grown = (count: number): Pools =>
  pools.map((pool, v) => (v < count ? [...pool, { backend: backendsEach, weight: 1 }] : pool));
const shrunk = (count: number): Pools => pools.map((pool, v) => (v < count ? pool.slice(1) : pool));
const weighted = (count: number): Pools =>
  pools.map((pool, v) => (v < count ? [{ backend: 0, weight: 2 }, ...pool.slice(1)] : pool));

const steps: readonly { readonly what: string; readonly pools: Pools; readonly isAsked?: boolean }[] = [
  { what: 'nothing changed', pools },
  { what: 'a backend more in 1 vip', pools: grown(1), isAsked: true },
  { what: 'a backend less in 10 vips', pools: shrunk(10), isAsked: true },
  { what: 'another weight in 10 vips', pools: weighted(10), isAsked: true },
  { what: 'a backend more in all 100 vips', pools: grown(vips), isAsked: true },
];

/** The slots that have to go to another backend: what each loses. */
function needed(before: Pools, after: Pools): number {
  let sum = 0;
  for (const [v, pool] of before.entries()) {
    const partOf = (from: Pools[number], backend: number) => {
      const total = from.reduce((all, { weight }) => all + weight, 0);
      return ((from.find((one) => one.backend === backend)?.weight ?? 0) / total) * slots;
    };
    for (const { backend } of pool) {
      sum += Math.max(0, partOf(pool, backend) - partOf(after[v]!, backend));
    }
  }
  return Math.round(sum);
}

function config(lab: Lab, directory: string, table: string, served: Pools): string {
  const lines = served.map((pool, v) => {
    const backends = pool.map(({ backend, weight }) => {
      const address = `10.78.${v}.${backend + 1}`;
      return weight === 1 ? address : `{ address: ${address}, weight: ${weight} }`;
    });
    return `  - { address: "10.79.0.${v + 1}:80/tcp", pool: { backends: [${backends.join(', ')}] } }`;
  });
  return `interface: ${lab.lb.interface}
table: ${table}
health: { check: none }
detach: true
state: ${directory}/state
admin: { socket: ${directory}/inband.sock }
log: { level: error }
vips:
${lines.join('\n')}
`;
}

async function ready(socket: string): Promise<void> {
  const giveUp = performance.now() + readyMsMax;
  for (;;) {
    try {
      await ask<Status>(socket, '/status');
      return;
    } catch (error) {
      if (performance.now() > giveUp) throw error;
      await sleep(50);
    }
  }
}

async function measure(lab: Lab, table: (typeof tableMethods)[number]): Promise<Row[]> {
  const directory = labDirectory(lab.id);
  const [socket, file] = [join(directory, 'inband.sock'), join(directory, 'lb.yaml')];
  writeFileSync(file, config(lab, directory, table, pools));
  const daemon = lab.spawn(lab.lb, [process.execPath, program, 'run', '--config', file], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = once(daemon, 'close');
  try {
    await ready(socket);
    const reload = async (served: Pools) => {
      writeFileSync(file, config(lab, directory, table, served));
      return post<ReloadAnswer>(socket, '/reload', {});
    };
    const rows: Row[] = [];
    for (const { what, pools: next } of steps) {
      const took: number[] = [];
      let moved = 0;
      const before = (await ask<Status>(socket, '/status')).control;
      for (let i = 0; i < times; i++) {
        const answer = await reload(next);
        took.push(answer.took_ms);
        moved = answer.slots_moved;
        await reload(pools);
      }
      const after = (await ask<Status>(socket, '/status')).control;
      rows.push({
        table,
        what,
        took_ms: rounded(median(took)),
        took_ms_max: rounded(Math.max(...took)),
        slots_moved: moved,
        slots_needed: needed(pools, next),
        ticks_late: after.ticks_late - before.ticks_late,
        ticks: after.ticks - before.ticks,
      });
    }
    return rows;
  } finally {
    daemon.kill('SIGTERM');
    await ended;
  }
}

/** Measures reloads of a running daemon on a large configuration. Takes about a minute; needs root. */
export async function run(): Promise<BenchResult> {
  linkBuilt();
  const lab = await Lab.up({ servers: 1, delayLines: false });
  try {
    const rows: Row[] = [];
    for (const table of tableMethods) rows.push(...(await measure(lab, table)));
    const asked = rows.filter(
      ({ table, what }) => table === 'minimal' && steps.some((step) => step.what === what && step.isAsked),
    );
    return {
      name,
      rows,
      targets: asked.flatMap(({ what, took_ms, slots_moved, slots_needed }) => [
        {
          what: `reload of ${vips * backendsEach} backends in ${vips} vips, ${what}`,
          asked: `${targetMs} ms`,
          measured: `${took_ms} ms`,
          met: Number(took_ms) <= targetMs,
        },
        {
          what: `slots that move, ${what}`,
          asked: `${slots_needed}`,
          measured: `${slots_moved}`,
          // Quotas of the pools are whole numbers.
          met: Math.abs(Number(slots_moved) - Number(slots_needed)) <= vips * backendsEach,
        },
      ]),
      notes: [
        `Medians of ${times} reloads by POST /reload, from reading the file to the last slot, in a daemon on the XDP datapath.`,
        '`table: stateless` finds each table from scratch, as load balancers do that must agree without asking each other.',
        '`ticks_late` are turns of the control loop, of `ticks` meanwhile, that came more than a period and 1 ms late.',
      ],
    };
  } finally {
    await lab.down();
  }
}
