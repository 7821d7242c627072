import { Engine } from '../src/datapath/engine.ts';
import { Directions, direction } from '../src/datapath/replay/directions.ts';
import { Recorder } from '../src/datapath/replay/recorder.ts';
import { FlowTable } from '../src/flow/table.ts';
import { seededSecret } from '../src/flow/tabulation.ts';
import { VipTable } from '../src/flow/vips.ts';
import { epochDefault, timeoutsDefault } from '../src/latency/ensemble.ts';
import { createEstimators } from '../src/latency/registry.ts';
import { Packet } from '../src/net/packet.ts';
import type { PacketBatch } from '../src/pcap/batch.ts';
import { CaptureReader } from '../src/pcap/reader.ts';
import { ns } from '../src/units.ts';

/** The steps of a replay, each on top of those before it. */
export const stages = ['read', 'decode', 'directions', 'flows', 'ensemble', 'histogram'] as const;

const flows = 262_144;

/** Handles the packets of a batch up to one stage, the way a replay does. */
type Handle = (batch: PacketBatch) => void;

function decodeStage(then: (packet: Packet, timeNs: number) => void): Handle {
  const packet = new Packet();
  return ({ data, count, offset, capturedLength, wireLength, linkType, timeNs }) => {
    for (let i = 0; i < count; i++) {
      const verdict = packet.decode(data, offset[i]!, capturedLength[i]!, wireLength[i]!, linkType[i]!);
      if (verdict === 0) then(packet, timeNs[i]!);
    }
  };
}

function engineStage(estimators: readonly string[], isRecorded: boolean): Handle {
  const directions = new Directions(new VipTable(), true);
  const settings = { timeoutsNs: timeoutsDefault, epochNs: epochDefault };
  const recorder = new Recorder(estimators);
  const engine = new Engine(
    new FlowTable(flows, seededSecret(1)),
    createEstimators(estimators, settings, { flows, backends: 1 }),
    () => 0,
    isRecorded
      ? (kind, latencyNs, _packet, _vip, backend) => recorder.window(backend, kind).record(latencyNs)
      : () => {},
  );
  return decodeStage((packet, timeNs) => {
    if (directions.classify(packet) === direction.client) engine.forward(packet, directions.vip, ns(timeNs));
  });
}

function handleOf(stage: string): Handle {
  switch (stage) {
    case 'read':
      return () => {};
    case 'decode':
      return decodeStage(() => {});
    case 'directions': {
      const directions = new Directions(new VipTable(), true);
      return decodeStage((packet) => directions.classify(packet));
    }
    case 'flows':
      return engineStage([], false);
    default:
      return engineStage(['ensemble'], stage === 'histogram');
  }
}

/** This file, to be run with a capture and a stage. */
export const script = import.meta.filename;

export interface StageCost {
  readonly cpuNs: number;
}

/** Replays the capture `path` up to `stage` and prints its cost per packet. */
async function main(path: string, stage: string): Promise<void> {
  const handle = handleOf(stage);
  const reader = await CaptureReader.open(path);
  const cpu = process.cpuUsage();
  for await (const batch of reader.batches()) handle(batch);
  const { user, system } = process.cpuUsage(cpu);
  const cost: StageCost = { cpuNs: ((user + system) * 1e3) / reader.packets };
  console.log(JSON.stringify(cost));
}

if (process.argv[1] === script) await main(process.argv[2]!, process.argv[3]!);
