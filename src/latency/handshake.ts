import { ipProtoTcp } from '../net/constants.ts';
import { type Packet, tcpAck, tcpRst, tcpSyn } from '../net/packet.ts';
import type { Ns } from '../units.ts';
import type { Emit, Estimator, EstimatorSize } from './estimator.ts';

/**
 * Time from a SYN to the client's first ACK, which the SYN-ACK triggers at once (RFC 9293, 3.5): the path and the
 * server's kernel, but not its application. A flow whose SYN was retransmitted gives no sample, since its ACK may
 * answer either SYN (Karn's rule, RFC 6298, 3).
 */
export class Handshake implements Estimator {
  readonly name = 'handshake';
  readonly kinds = ['handshake'];
  readonly bytesPerFlow = 8;
  /** Per flow: time of the only SYN; NaN when there is none, more than one, or it was answered. */
  readonly #synNs: Float64Array;

  constructor(size: EstimatorSize) {
    this.#synNs = new Float64Array(size.flows);
  }

  open(flow: number, _backend: number, packet: Packet, now: Ns): void {
    const isSyn = packet.proto === ipProtoTcp && (packet.tcpFlags & (tcpSyn | tcpAck | tcpRst)) === tcpSyn;
    this.#synNs[flow] = isSyn ? now : Number.NaN;
  }

  observe(flow: number, _backend: number, packet: Packet, now: Ns, emit: Emit): void {
    const syn = this.#synNs[flow]!;
    if (Number.isNaN(syn)) return;
    this.#synNs[flow] = Number.NaN;
    if ((packet.tcpFlags & (tcpSyn | tcpAck | tcpRst)) === tcpAck) emit(0, now - syn);
  }

  /** What came next was no answer to the SYN-ACK that can be told. */
  skip(flow: number): void {
    this.#synNs[flow] = Number.NaN;
  }
}
