import { FlowTable, flowTimeoutsDefault } from '../../../flow/table.ts';
import { seededSecret } from '../../../flow/tabulation.ts';
import type { Estimator } from '../../../latency/estimator.ts';
import { signalWord } from '../../../latency/wheel-signals.ts';
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

/** Where a packet belongs, the same in every lane. */
export interface PacketPlace {
  readonly flow: number;
  readonly backend: number;
  /** Countable turns that become known with this packet; 0: those before still wait for a sample. */
  readonly turns: number;
}

/** One estimator in an engine of its own, as if it were the only one. */
export class Lane {
  readonly estimator: Estimator;
  readonly samples: readonly Samples[];
  readonly engine: Engine;
  /** Countable turns that had a sample, or whose response was counted among the backend's signals. */
  turnsTold = 0;
  /** Per flow: countable turns until the packet in hand that had no sample yet. */
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

  forward(packet: Packet, vip: number, now: Ns, { flow, backend, turns }: PacketPlace): void {
    if (turns > 0) this.#turns[flow] = Math.min(255, turns);
    const waiting = flow >= 0 ? this.#turns[flow]! : 0;
    if (waiting === 0) {
      this.engine.forward(packet, vip, now);
      return;
    }
    const responses = this.#responses(backend);
    this.engine.forward(packet, vip, now);
    const sampled = waiting - this.#turns[flow]!;
    const counted = Math.min(waiting, (this.#responses(backend) - responses) | 0);
    this.turnsTold += Math.max(sampled, counted);
    if (counted > sampled) this.#turns[flow] = waiting - counted;
  }

  /** Responses of a backend among its signals, modulo 2^32. */
  #responses(backend: number): number {
    const { signals } = this.estimator;
    return signals ? signals.words(backend)[signalWord.responses]! : 0;
  }
}
