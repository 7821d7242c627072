import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask } from '../src/admin/client.ts';
import type { Status } from '../src/daemon.ts';
import { labProgram } from '../src/lab/requirements.ts';
import { linkBuilt } from './built.ts';
import { type FlowMemory, script } from './capture-flows.ts';
import { runScript } from './child.ts';
import { pathCost, reactions } from './reaction.ts';
import { type BenchResult, median, type Row, rounded, type Target } from './result.ts';
import { temporaryDirectory } from './temporary.ts';

export const name = 'capture-datapath';

const asked = {
  deliveredPerS: 400e3,
  toBare: 0.8,
  lossless: 100e3,
  pathUs: 8,
  reactionRatio: 2,
  flowBytes: 200,
};
const rounds = 5;
const roundFrames = 2_000_000;
const flowsTable = 100_000;
/** Before each measurement, so that what is measured is compiled code. */
const warmFrames = 200_000;
const steadySeconds = 5;
const flowsHeld = 1_000_000;
const flowsChurned = 10_000_000;
/** So many more fill every line of the table. */
const flowsWarm = 6_000_000;
const injections = 20;

const vip = '10.0.0.100';
const port = 80;
const balancer = { address: '10.0.0.2', mac: '02:77:00:09:00:03' };
const backends = ['10.0.0.11', '10.0.0.12'];
const backendMac = '02:77:00:09:01:01';
/** Clock ticks per second of proc(5). */
const ticksPerS = 100;

/** Arguments of `chrt` that run a command on a core of its own, before whatever else this machine does. */
const onCore = (core: number): string[] => ['-r', '1', 'taskset', '-c', String(core)];

const ip = (...argv: string[]) => execFileSync('ip', argv, { encoding: 'utf8' });

/** A veth in the namespace that this runs in: the generator and the sink at `gen0`, the load balancer at `lb0`. */
function addVeth(): void {
  ip('link', 'set', 'lo', 'up');
  ip(...'link add gen0 type veth peer name lb0 address'.split(' '), balancer.mac);
  // Larger places in the ring would make room for fewer frames.
  execFileSync('ethtool', ['-K', 'lb0', 'tso', 'off', 'gso', 'off'], { stdio: 'ignore' });
  ip('addr', 'add', `${balancer.address}/24`, 'dev', 'lb0');
  for (const end of ['gen0', 'lb0']) ip('link', 'set', end, 'up');
  for (const address of backends) {
    ip('neigh', 'replace', address, 'lladdr', backendMac, 'dev', 'lb0', 'nud', 'permanent');
  }
}

/** Frames that arrived at the sink. */
const received = (): number => JSON.parse(ip('-s', '-j', 'link', 'show', 'gen0'))[0].stats64.rx.packets;

/** User and system time of a process so far, in s. */
function cpuS(pid: number): { user: number; system: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { user: Number(fields[11]) / ticksPerS, system: Number(fields[12]) / ticksPerS };
}

/** Sends frames, at a rate or as fast as can be, on the first core; resolves to how many and in what time. */
async function blast(rate: number, count: number, flows: number): Promise<{ sent: number; ns: number }> {
  const argv = ['gen0', balancer.mac, vip, String(port), ...[rate, count, flows].map(String)];
  const child = spawn('chrt', [...onCore(0), labProgram('blast'), ...argv], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  await once(child, 'close');
  return JSON.parse(text);
}

/** Starts node on the second core with arguments. */
const startNode = (argv: string[]): ChildProcess =>
  spawn('chrt', [...onCore(1), process.execPath, ...argv], { stdio: ['ignore', 'ignore', 'pipe'] });

async function stop(child: ChildProcess): Promise<void> {
  child.kill('SIGTERM');
  if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
}

async function startBare(): Promise<ChildProcess> {
  const filter = `ether dst ${balancer.mac} and ip dst host ${vip}`;
  const macs = `${backendMac}${balancer.mac}`.replaceAll(':', '');
  const child = startNode([
    join(import.meta.dirname, 'bare-capture.js'),
    ...['lb0', filter, macs, String(64 << 20)],
  ]);
  await sleep(1_000);
  return child;
}

async function startBalancer(socket: string, flows: number): Promise<ChildProcess> {
  const program = resolve(import.meta.dirname, '../../../dist/cli/main.js');
  const child = startNode([
    ...[program, 'run', '--datapath', 'capture', '--interface', 'lb0', '--vip', `${vip}:${port}/tcp`],
    ...backends.flatMap((address) => ['--backend', address]),
    ...['--flows', String(flows), '--socket', socket, '--log-level', 'warn'],
    // Its backends are a MAC address that answers nothing.
    ...['--check', 'none', '--detach', '--state', dirname(socket)],
  ]);
  let said = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  for (let tries = 0; tries < 200; tries++) {
    const status = await ask<Status>(socket, '/status').catch(() => undefined);
    if (status?.vips[0]?.backends.every(({ state }) => state === 'up')) return child;
    if (child.exitCode !== null) break;
    await sleep(50);
  }
  throw new Error(`the load balancer is not ready: ${said}`);
}

/** What came of sending frames through a process. */
interface Passage {
  readonly offeredPerS: number;
  readonly deliveredPerS: number;
  readonly lost: number;
  readonly userNs: number;
  readonly systemNs: number;
}

async function pass(child: ChildProcess, rate: number, frames: number, flows: number): Promise<Passage> {
  const [before, from] = [received(), cpuS(child.pid!)];
  const { sent, ns } = await blast(rate, frames, flows);
  await sleep(300);
  const [delivered, to] = [received() - before, cpuS(child.pid!)];
  return {
    offeredPerS: (sent / ns) * 1e9,
    deliveredPerS: (delivered / ns) * 1e9,
    lost: Math.max(0, sent - delivered),
    userNs: ((to.user - from.user) * 1e9) / Math.max(1, delivered),
    systemNs: ((to.system - from.system) * 1e9) / Math.max(1, delivered),
  };
}

/** Everything that is measured in the namespace. */
interface Measured {
  readonly bare: Passage[];
  readonly own: Passage[];
  readonly steady: Passage;
}

/** Measures in the network namespace that this process is in. */
async function measure(socket: string): Promise<Measured> {
  addVeth();
  const bare: Passage[] = [];
  const own: Passage[] = [];
  for (let round = 0; round < rounds; round++) {
    const loop = await startBare();
    await blast(asked.lossless, warmFrames, 1_000);
    bare.push(await pass(loop, 0, roundFrames, 1_000));
    await stop(loop);
    const daemon = await startBalancer(socket, flowsTable);
    await blast(asked.lossless, warmFrames, 1_000);
    own.push(await pass(daemon, 0, roundFrames, 1_000));
    await stop(daemon);
  }
  const daemon = await startBalancer(socket, flowsTable);
  const steady = await pass(daemon, asked.lossless, asked.lossless * steadySeconds, 1_000);
  await stop(daemon);
  return { bare, own, steady };
}

async function measureInNamespace(): Promise<Measured> {
  const socket = join(temporaryDirectory(0), 'inband.sock');
  const child = spawn('unshare', ['--net', process.execPath, import.meta.filename, 'measure', socket], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`the bench in its namespace ended with ${code}`);
  return JSON.parse(text);
}

const target = (what: string, asked: string, measured: string, met: boolean): Target => ({
  what,
  asked,
  measured,
  met,
});

const perS = (value: number): string => `${Math.round(value / 1e3)} k/s`;

function rowOf(path: string, passages: readonly Passage[]): Row {
  const mid = (key: keyof Passage) => median(passages.map((one) => one[key]));
  return {
    path,
    offered_k_per_s: Math.round(mid('offeredPerS') / 1e3),
    delivered_k_per_s: Math.round(mid('deliveredPerS') / 1e3),
    user_ns: Math.round(mid('userNs')),
    system_ns: Math.round(mid('systemNs')),
  };
}

function throughput({ bare, own, steady }: Measured, memory: FlowMemory): Target[] {
  const { active, bytesPerFlow, churnBytes } = memory;
  const delivered = median(own.map(({ deliveredPerS }) => deliveredPerS));
  const ratios = own.map((one, i) => one.deliveredPerS / bare[i]!.deliveredPerS);
  const ratio = median(ratios);
  return [
    target(
      'delivered, one core',
      `>= ${perS(asked.deliveredPerS)}`,
      perS(delivered),
      delivered >= asked.deliveredPerS,
    ),
    target('delivered, to a bare loop', `>= ${asked.toBare}`, String(rounded(ratio)), ratio >= asked.toBare),
    target(`lost at ${perS(asked.lossless)}`, '0', String(steady.lost), steady.lost === 0),
    target(
      `bytes per flow, ${active} held`,
      `<= ${asked.flowBytes}`,
      String(Math.round(bytesPerFlow)),
      bytesPerFlow <= asked.flowBytes,
    ),
    target(
      `growth over ${flowsChurned / 1e6} M new flows`,
      'none (1 MB)',
      `${rounded(churnBytes / 1e6)} MB`,
      churnBytes < 1e6,
    ),
  ];
}

/** Middle of the times of those reactions that came, in ms. */
function movedMs(all: Awaited<ReturnType<typeof reactions>>): number {
  return median(all.map((one) => one.movedMs ?? Number.POSITIVE_INFINITY));
}

/** Measures the capture datapath next to a bare capture-and-send loop. Takes about 6 minutes; needs root. */
export async function run(): Promise<BenchResult> {
  linkBuilt();
  const memory = await runScript<FlowMemory>(script, [flowsHeld, flowsWarm, flowsChurned].map(String));
  const measured = await measureInNamespace();
  const flags = ['--datapath', 'capture'];
  const path = await pathCost(flags);
  const added = median(path.differencesUs);
  const [xdpMs, captureMs] = [
    movedMs(await reactions('balance', injections, ['--datapath', 'xdp'])),
    movedMs(await reactions('balance', injections, flags)),
  ];
  return {
    name,
    rows: [
      rowOf('bare cap loop', measured.bare),
      rowOf('inband', measured.own),
      { path: 'direct', p50_us: rounded(path.directUs) },
      { path: 'through the load balancer', p50_us: rounded(path.throughUs) },
      { datapath: 'xdp', new_flows_moved_ms_p50: rounded(xdpMs) },
      { datapath: 'capture', new_flows_moved_ms_p50: rounded(captureMs) },
    ],
    targets: [
      ...throughput(measured, memory),
      target(
        'p50 through over direct, 1 connection',
        `+${asked.pathUs} us`,
        `${rounded(added)} us`,
        added <= asked.pathUs,
      ),
      target(
        '+1 ms on one of two: 90 % of new flows moved, to xdp',
        `<= ${asked.reactionRatio}`,
        String(rounded(captureMs / xdpMs)),
        Number.isFinite(captureMs) && captureMs <= asked.reactionRatio * xdpMs,
      ),
    ],
    notes: [
      `60 B frames over a veth, ${roundFrames / 1e6} M a round, ${rounds} rounds of the bare loop and of inband by turns; medians. The generator and the kernel's work for it are on one core, the load balancer and all that its sending does on another.`,
      'Times are of the process per frame delivered, what the kernel does for it included.',
      `Flows: the packet path in a process of its own, a new flow with each packet; resident memory over the flows held, then growth once ${flowsWarm / 1e6} M more had filled the table.`,
    ],
  };
}

if (process.argv[1] === import.meta.filename) console.log(JSON.stringify(await measure(process.argv[3]!)));
