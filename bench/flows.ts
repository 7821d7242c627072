import { Engine } from '../src/datapath/engine.ts';
import { FlowTable } from '../src/flow/table.ts';
import { seededSecret } from '../src/flow/tabulation.ts';
import { epochDefault, timeoutsDefault } from '../src/latency/ensemble.ts';
import { createEstimators } from '../src/latency/registry.ts';
import { ipProtoTcp } from '../src/net/constants.ts';
import { Packet, tcpAck, tcpSyn } from '../src/net/packet.ts';
import { ns } from '../src/units.ts';
import { runScript } from './child.ts';
import { type BenchResult, type Row, rounded } from './result.ts';

export const name = 'flows';

const estimators = [
  'none',
  'fixed:256us',
  'handshake',
  'ensemble:smooth:backend',
  'ensemble:smooth:flow',
] as const;
const sizes = [1000, 16_000, 131_000, 1_000_000];
/** Mean time between two packets of a flow, whatever their number: the estimators then do the same work at each size. */
const gapNs = 1e6;
const packetsPerRound = 1_000_000;
const rounds = 5;

/** What one process found for an estimator and a number of flows. */
interface Figure {
  readonly nsPerPacket: number;
  readonly samplesPerPacket: number;
  readonly flows: number;
  readonly bytesPerFlow: number;
  readonly residentBytesPerFlow: number;
}

/** Draws flows at random, xorshift32, and puts their next packet into a decoded `Packet`. */
class Source {
  readonly packet = new Packet();
  #random = 1;
  readonly #flows: number;

  constructor(flows: number) {
    this.#flows = flows;
    this.packet.proto = ipProtoTcp;
    this.packet.tcpFlags = tcpAck;
  }

  of(flow: number): Packet {
    this.packet.src0 = 0x0a010000 + (flow >> 4);
    this.packet.srcPort = 1024 + (flow & 15);
    return this.packet;
  }

  next(): Packet {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x;
    return this.of(Math.floor(((x >>> 0) / 2 ** 32) * this.#flows));
  }
}

/** Epochs are shorter than by default where a round would not span eight of them: without, there is no sample. */
function createEngine(estimator: string, flows: number, onSample: () => void): Engine {
  const table = new FlowTable(flows, seededSecret(1));
  const roundNs = (packetsPerRound * gapNs) / flows;
  const settings = { timeoutsNs: timeoutsDefault, epochNs: ns(Math.min(epochDefault, roundNs / 8)) };
  const size = { flows: table.capacity, backends: 1 };
  const list = estimator === 'none' ? [] : createEstimators([estimator], settings, size);
  return new Engine(table, list, () => 0, onSample);
}

/** Least CPU time per packet of several rounds: other programs only ever make a round longer. */
function best(round: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < rounds; i++) {
    const start = process.cpuUsage();
    round();
    least = Math.min(least, (process.cpuUsage(start).user * 1e3) / packetsPerRound);
  }
  return least;
}

function measure(estimator: string, flows: number): Figure {
  const residentBefore = process.memoryUsage.rss();
  let samples = 0;
  const engine = createEngine(estimator, flows, () => {
    samples++;
  });
  const source = new Source(flows);
  let now = 0;
  const step = gapNs / flows;
  source.packet.tcpFlags = tcpSyn;
  for (let flow = 0; flow < flows; flow++) engine.forward(source.of(flow), 0, ns(now));
  source.packet.tcpFlags = tcpAck;
  const residentBytes = process.memoryUsage.rss() - residentBefore;
  let idle = 0;
  const drawing = best(() => {
    for (let i = 0; i < packetsPerRound; i++) idle ^= source.next().src0;
  });
  if (idle === 1) throw new Error('the compiler must not leave the loop out');
  const forwarding = best(() => {
    for (let i = 0; i < packetsPerRound; i++) {
      now += step;
      engine.forward(source.next(), 0, ns(now));
    }
  });
  return {
    nsPerPacket: forwarding - drawing,
    samplesPerPacket: samples / (rounds * packetsPerRound),
    flows: engine.flows.active,
    bytesPerFlow: engine.bytesPerFlow,
    residentBytesPerFlow: residentBytes / engine.flows.active,
  };
}

/** Measures the engine on decoded packets: CPU time per packet by number of flows, and memory per flow. Takes about a minute. */
export async function run(): Promise<BenchResult> {
  const rows: Row[] = [];
  const memory: Row[] = [];
  for (const estimator of estimators) {
    const row: Row = { estimator };
    for (const flows of sizes) {
      const figure = await runScript<Figure>(import.meta.filename, [estimator, String(flows)]);
      row[`ns_per_packet_${flows}_flows`] = rounded(figure.nsPerPacket);
      row.samples_per_packet = rounded(figure.samplesPerPacket);
      if (flows !== sizes.at(-1)) continue;
      memory.push({
        estimator,
        flows: figure.flows,
        bytes_per_flow: figure.bytesPerFlow,
        resident_bytes_per_flow: rounded(figure.residentBytesPerFlow),
      });
    }
    rows.push(row);
  }
  return {
    name,
    rows: [...rows, ...memory],
    notes: [
      `Engine.forward on decoded packets of flows drawn at random, every flow once per ${gapNs / 1e6} ms in the mean: table lookup and estimator, without reading, decoding and histograms.`,
      `Best of ${rounds} rounds of ${packetsPerRound / 1e6} million packets, less the time to draw them; each figure from a process of its own.`,
      'bytes_per_flow is what the engine states, arrays at their capacity; resident is what the process grew by until all flows were in the table.',
    ],
  };
}

if (process.argv[1] === import.meta.filename) {
  console.log(JSON.stringify(measure(process.argv[2]!, Number(process.argv[3]))));
}
