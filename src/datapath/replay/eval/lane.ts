import { FlowTable, flowTimeoutsDefault } from '../../../flow/table.ts';
import { seededSecret } from '../../../flow/tabulation.ts';
import type { Estimator } from '../../../latency/estimator.ts';
import type { Packet } from '../../../net/packet.ts';
import type { Ns } from '../../../units.ts';
import { type Assign, Engine } from '../../engine.ts';
import { Samples } from './samples.ts';

/** The same in every lane, so that a flow has the same number in all of them. */
const hashSeed = 1;

/** A flow table for one lane. */
export function laneTable(flows: number): FlowTable {
  return new FlowTable(flows, seededSecret(hashSeed), flowTimeoutsDefault);
}

/** Receives a sample with its index among those of its kind; -1 if it was not kept. */
export type OnLaneSample = (samples: Samples, index: number, flow: number, startNs: number) => void;

/** One estimator in an engine of its own, as if it were the only one. */
export class Lane {
  readonly estimator: Estimator;
  readonly samples: readonly Samples[];
  readonly engine: Engine;
  /** Per flow: countable turns of the packet in hand that had no sample yet. */
  readonly #turns: Uint8Array;

  constructor(estimator: Estimator, flows: FlowTable, assign: Assign, onSample: OnLaneSample) {
    this.estimator = estimator;
    this.samples = estimator.kinds.map((kind) => new Samples(kind));
    this.#turns = new Uint8Array(flows.capacity);
    this.engine = new Engine(flows, [estimator], assign, (kind, latencyNs, packet, _vip, backend, now) => {
      const samples = this.samples[kind]!;
      const startNs = now - latencyNs;
      const index = samples.add(startNs, latencyNs, backend);
      if (index >= 0) {
        samples.port.push(packet.srcPort);
        samples.truthNs.push(Number.NaN);
      }
      const { flow } = this.engine;
      if (samples.kind !== 'handshake' && this.#turns[flow]! > 0) {
        this.#turns[flow]!--;
        samples.turns++;
      }
      onSample(samples, index, flow, startNs);
    });
  }

  /** @param turns countable turns that became known with this packet, or 0: those before still wait for a sample */
  forward(packet: Packet, vip: number, now: Ns, flow: number, turns: number): void {
    if (turns > 0) this.#turns[flow] = Math.min(255, turns);
    this.engine.forward(packet, vip, now);
  }
}
