import { ipProtoTcp } from '../net/constants.ts';
import type { Packet } from '../net/packet.ts';
import type { Ns } from '../units.ts';
import { AckAdvance, ackKinds } from './ack.ts';
import type { Emit, Estimator, EstimatorSize } from './estimator.ts';
import { GapEstimator } from './gap.ts';
import { QuicEstimator } from './quic.ts';
import type { SignalMemory } from './signal-memory.ts';

const kindGap = ackKinds.length;
const kindQuic = kindGap + 1;

/**
 * Whatever a flow's packets allow, each sample marked with its kind: of TCP what ACK numbers and timestamps tell, and gaps
 * where the ACK number stands still (uploads); of UDP the handshake and spin bit of QUIC, and gaps.
 */
export class AutoEstimator implements Estimator {
  readonly name = 'auto';
  readonly kinds: readonly string[] = [...ackKinds, 'gap', 'quic'];
  readonly #ack: AckAdvance;
  readonly #gap: GapEstimator;
  readonly #quic: QuicEstimator;
  /** Who asked for samples, and the ways in which the parts reach it. */
  #emit: Emit = () => {};
  readonly #emitGap: Emit = (_kind, latencyNs) => this.#emit(kindGap, latencyNs);
  readonly #emitQuic: Emit = (_kind, latencyNs) => this.#emit(kindQuic, latencyNs);

  constructor(size: EstimatorSize) {
    this.#ack = new AckAdvance('ack', ackKinds, size);
    this.#gap = new GapEstimator(size);
    this.#quic = new QuicEstimator(size);
  }

  get bytesPerFlow(): number {
    return this.#ack.bytesPerFlow + this.#gap.bytesPerFlow + this.#quic.bytesPerFlow;
  }

  get signals(): SignalMemory {
    return this.#ack.signals;
  }

  open(flow: number, backend: number, packet: Packet, now: Ns): void {
    this.#ack.open(flow, backend, packet, now);
    this.#gap.open(flow, backend, packet, now);
    if (packet.proto !== ipProtoTcp) this.#quic.open(flow, backend, packet, now);
  }

  observe(flow: number, backend: number, packet: Packet, now: Ns, emit: Emit): void {
    if (this.#emit !== emit) this.#emit = emit;
    if (packet.proto === ipProtoTcp) this.#ack.observe(flow, backend, packet, now, emit);
    else this.#quic.observe(flow, backend, packet, now, this.#emitQuic);
    this.#gap.observe(flow, backend, packet, now, this.#emitGap);
  }

  skip(flow: number, now: Ns): void {
    this.#ack.skip(flow, now);
    this.#gap.skip(flow, now);
  }

  close(flow: number, backend: number): void {
    this.#ack.close(flow, backend);
  }

  begin(backend: number): void {
    this.#ack.begin(backend);
    this.#gap.begin(backend);
  }
}
