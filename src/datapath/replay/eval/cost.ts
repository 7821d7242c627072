import { parentPort, Worker, workerData } from 'node:worker_threads';
import { createEstimators, type EstimatorSettings } from '../../../latency/registry.ts';
import { Packet } from '../../../net/packet.ts';
import { ns } from '../../../units.ts';
import { Engine } from '../../engine.ts';
import { backendsMax } from '../backends.ts';
import { laneTable } from './lane.ts';
import type { LoggedPackets } from './packet-log.ts';

/** Runs without and with the estimator in turns. Other programs only ever make one longer: the shortest of each count. */
const rounds = 9;
/** Rounds that the compiler needs first. */
const roundsWarm = 2;
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
  let [without, withIt] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = -roundsWarm; round < rounds; round++) {
    const [one, other] = [time(decoded, undefined, settings), time(decoded, estimator, settings)];
    if (round < 0) continue;
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

/** Time in ns that an engine with one estimator, or with none, takes for all packets. */
function time(
  captures: readonly Decoded[],
  estimator: string | undefined,
  settings: EstimatorSettings,
): number {
  let total = 0;
  for (const { packets, vip, timeNs } of captures) {
    const table = laneTable(flows);
    const size = { flows: table.capacity, backends: backendsMax };
    const estimators = estimator === undefined ? [] : createEstimators([estimator], settings, size);
    const engine = new Engine(
      table,
      estimators,
      (_packet, vip) => vip,
      () => {},
    );
    const start = process.hrtime.bigint();
    for (let i = 0; i < packets.length; i++) engine.forward(packets[i]!, vip[i]!, ns(timeNs[i]!));
    total += Number(process.hrtime.bigint() - start);
  }
  return total;
}

if (parentPort && (workerData as Task | null)?.captures) parentPort.postMessage(costOf(workerData as Task));
