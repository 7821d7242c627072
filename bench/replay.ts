import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { generateCapture } from './capture.ts';
import { type Cost, measure, runScript } from './child.ts';
import { type BenchResult, type Row, rounded, type Target } from './result.ts';
import { type StageCost, script, stages } from './stage.ts';
import { temporaryDirectory } from './temporary.ts';

export const name = 'replay';

const command = resolve(import.meta.dirname, '../../../dist/cli/main.js');
const packets = 5_000_000;
/** tshark takes a minute for a million packets. */
const tsharkPackets = 500_000;
const memoryPackets = [1_000_000, packets, 10_000_000];
/** More than a frame and its record take in the mean. */
const bytesPerPacket = 140;
/** Other programs only ever make a run longer: the best of so many counts. */
const runs = 3;

const targets = { nsPerPacket: 300, rssMb: 200, tsharkRatio: 50 };

interface Case {
  readonly what: string;
  readonly packets: number;
  readonly runs: number;
  readonly program: string;
  readonly args: readonly string[];
}

interface Measured extends Case {
  /** None when the program is not installed. */
  readonly cost: Cost | undefined;
}

/** The run with the least CPU time. */
async function best(item: Case): Promise<Measured> {
  let cost: Cost | undefined;
  for (let i = 0; i < item.runs; i++) {
    const next = await measure(item.program, item.args);
    if (!next) break;
    if (!cost || next.cpuS < cost.cpuS) cost = next;
  }
  return { ...item, cost };
}

function inband(file: string, count: number, flags: readonly string[]): Case {
  return {
    what: ['inband replay', ...flags].join(' '),
    packets: count,
    runs,
    program: process.execPath,
    args: [command, 'replay', file, ...flags, '--json'],
  };
}

const ensemble = ['--estimator', 'ensemble'];
const backends = [11, 12, 13, 14].flatMap((last) => ['--backend', `10.0.0.${last}`]);

function cpuNs({ cost, packets }: Measured): number {
  return cost ? (cost.cpuS * 1e9) / packets : Number.NaN;
}

function wallNs({ cost, packets }: Measured): number {
  return cost ? (cost.wallS * 1e9) / packets : Number.NaN;
}

function row(item: Measured): Row {
  const { what, packets, cost } = item;
  if (!cost)
    return { program: what, packets, cpu_ns_per_packet: 'not installed', wall_ns_per_packet: '', rss_mb: '' };
  return {
    program: what,
    packets,
    cpu_ns_per_packet: rounded(cpuNs(item)),
    wall_ns_per_packet: rounded(wallNs(item)),
    rss_mb: rounded(cost.rssMb),
  };
}

async function stageRows(file: string): Promise<Row[]> {
  const rows: Row[] = [];
  let before = 0;
  for (const stage of stages) {
    let cpuNs = Number.POSITIVE_INFINITY;
    for (let i = 0; i < runs; i++) {
      cpuNs = Math.min(cpuNs, (await runScript<StageCost>(script, [file, stage])).cpuNs);
    }
    rows.push({ up_to: stage, cpu_ns_per_packet: rounded(cpuNs), added_ns: rounded(cpuNs - before) });
    before = cpuNs;
  }
  return rows;
}

function targetsOf(
  own: Measured,
  tshark: Measured,
  tcptrace: Measured,
  memory: readonly Measured[],
): Target[] {
  const ns = cpuNs(own);
  const rssMb = Math.max(...memory.map(({ cost }) => cost?.rssMb ?? Number.NaN));
  const ratio = (other: Measured) =>
    other.cost ? `${rounded(cpuNs(other) / ns)} times` : `${other.program} is not installed`;
  return [
    {
      what: 'replay with ENSEMBLETIMEOUT, whole command',
      asked: `at most ${targets.nsPerPacket} ns per packet`,
      measured: `${rounded(wallNs(own))} ns, CPU ${rounded(ns)} ns`,
      met: wallNs(own) <= targets.nsPerPacket,
    },
    {
      what: `resident memory, up to ${memory.at(-1)!.packets / 1e6} million packets`,
      asked: `at most ${targets.rssMb} MB`,
      measured: `${rounded(rssMb)} MB`,
      met: rssMb <= targets.rssMb,
    },
    {
      what: 'faster than tshark',
      asked: `${targets.tsharkRatio} times`,
      measured: ratio(tshark),
      met: cpuNs(tshark) / ns >= targets.tsharkRatio,
    },
    { what: 'faster than tcptrace', asked: 'yes', measured: ratio(tcptrace), met: cpuNs(tcptrace) > ns },
  ];
}

async function memoryOf(directory: string): Promise<Measured[]> {
  const found: Measured[] = [];
  for (const count of memoryPackets) {
    const file = join(directory, 'memory.pcap');
    generateCapture(file, count);
    found.push(await best({ ...inband(file, count, ensemble), runs: 1 }));
    rmSync(file);
  }
  return found;
}

/** Measures `inband replay` on a generated capture, beside tshark and tcptrace. Takes about five minutes. */
export async function run(): Promise<BenchResult> {
  const directory = temporaryDirectory(memoryPackets.at(-1)! * bytesPerPacket);
  const memory = await memoryOf(directory);
  const file = join(directory, 'capture.pcap');
  const prefix = join(directory, 'prefix.pcap');
  generateCapture(file, packets);
  generateCapture(prefix, tsharkPackets);
  const own = await best(inband(file, packets, ensemble));
  const more = [
    await best(inband(file, packets, [])),
    await best({ ...inband(file, packets, [...ensemble, ...backends]), runs: 1 }),
  ];
  const tcptrace = await best({
    what: 'tcptrace -nlr',
    packets,
    runs: 1,
    program: 'tcptrace',
    args: ['-nlr', file],
  });
  const fields = ['-T', 'fields', '-e', 'tcp.analysis.ack_rtt'];
  const tshark = await best({
    what: `tshark ${fields.join(' ')}`,
    packets: tsharkPackets,
    runs: 1,
    program: 'tshark',
    args: ['-r', prefix, ...fields],
  });
  const memoryRow = (item: Measured): Row => ({
    packets: item.packets,
    rss_mb: rounded(item.cost?.rssMb ?? Number.NaN),
  });
  return {
    name,
    rows: [
      ...[own, ...more, tcptrace, tshark].map(row),
      ...(await stageRows(file)),
      ...memory.map(memoryRow),
    ],
    targets: targetsOf(own, tshark, tcptrace, memory),
    notes: [
      'A generated capture, the same on every machine: 4,096 closed-loop connections of 256 clients, 117-byte frames, client to server only.',
      `Whole processes, start included; the first two rows: the run of ${runs} with the least CPU time; the others once.`,
      `tshark reads the first ${tsharkPackets} packets. tcptrace also gets -n: it would ask a name server for every address.`,
      'Neither finds a round-trip time in one direction of traffic: they follow the connections, which is most of their work.',
      'Memory is bounded by the flow table: what grows is the part of its 262,144 lines in use, 116 bytes each.',
      'Stages: the same work as inband replay, step by step, without the start of a process: reading, decoding, telling the direction, flow table, ENSEMBLETIMEOUT, histogram per sample.',
    ],
  };
}
