import { parentPort, Worker, workerData } from 'node:worker_threads';
import { createEstimators, type EstimatorSettings } from '../../../latency/registry.ts';
import { Packet } from '../../../net/packet.ts';
import { ns } from '../../../units.ts';
import { Engine } from '../../engine.ts';
import { backendsMax } from '../backends.ts';
import { laneTable } from './lane.ts';
import type { LoggedPackets } from './packet-log.ts';

/** Runs without and with the estimator in turns. Other programs only ever make one longer: the shortest of each count. */
const rounds = 15;
/** Rounds that the compiler needs first. */
const roundsWarm = 5;
/** More than the span of a capture worth measuring with, and than a flow may be idle. */
const roundNs = 86_400e9;
/** Flows of the tables to measure with: captures that are kept in memory have fewer. */
const flows = 16_384;

/** What a worker is given. */
interface Task {
  readonly estimator: string;
  readonly settings: EstimatorSettings;
  readonly captures: readonly LoggedPackets[];
}

interface Decoded {
  readonly packets: readonly Packet[];
  readonly vip: Int32Array;
  readonly timeNs: Float64Array;
}

/**
 * Time per packet that an estimator adds to the engine, in ns; NaN without packets. Measured in a thread of its own, so
 * that no other estimator has been compiled into the same code.
 */
export function measureCost(task: Task): Promise<number> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: task });
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

/** The same in this thread. */
export function costOf({ estimator, settings, captures }: Task): number {
  const decoded = captures.map(decode);
  const packets = decoded.reduce((sum, { packets }) => sum + packets.length, 0);
  const [bare, whole] = [undefined, estimator].map((name) =>
    decoded.map((one) => ({ ...one, engine: engineWith(name, settings) })),
  );
  let [without, withIt] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 0; round < roundsWarm + rounds; round++) {
    const [one, other] = [time(bare!, round), time(whole!, round)];
    if (round < roundsWarm) continue;
    without = Math.min(without, one);
    withIt = Math.min(withIt, other);
  }
  return packets === 0 ? Number.NaN : (withIt - without) / packets;
}

/** Packets as objects, each its own: decoding is not measured. */
function decode(log: LoggedPackets): Decoded {
  const packets = Array.from({ length: log.count }, (_, i) => {
    const packet = new Packet();
    packet.decode(log.frames, log.at[i]!, log.capturedLength[i]!, log.wireLength[i]!, log.linkType[i]!);
    return packet;
  });
  return { packets, vip: log.vip, timeNs: log.timeNs };
}

/** An engine with one estimator, or with none. */
function engineWith(estimator: string | undefined, settings: EstimatorSettings): Engine {
  const table = laneTable(flows);
  const size = { flows: table.capacity, backends: backendsMax };
  const estimators = estimator === undefined ? [] : createEstimators([estimator], settings, size);
  return new Engine(
    table,
    estimators,
    (_packet, vip) => vip,
    () => {},
  );
}

/**
 * CPU time in ns that engines take for their packets, which come again in each round, long after all flows were forgotten.
 * It is that of the whole process, where nothing else goes on meanwhile: time that other programs take does not count.
 */
function time(captures: readonly (Decoded & { engine: Engine })[], round: number): number {
  let total = 0;
  for (const { packets, vip, timeNs, engine } of captures) {
    const shift = round * roundNs;
    const start = process.cpuUsage();
    for (let i = 0; i < packets.length; i++) engine.forward(packets[i]!, vip[i]!, ns(timeNs[i]! + shift));
    const { user, system } = process.cpuUsage(start);
    total += (user + system) * 1e3;
  }
  return total;
}

if (parentPort && (workerData as Task | null)?.captures) parentPort.postMessage(costOf(workerData as Task));
