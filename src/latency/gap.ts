import { ipProtoTcp } from '../net/constants.ts';
import { type Packet, tcpAck, tcpRst, tcpSyn } from '../net/packet.ts';
import type { Ns } from '../units.ts';
import type { Emit, Estimator, EstimatorSize } from './estimator.ts';
import { chooseCut, gapBucketOf, gapBuckets, gapTicksMax } from './gap-cut.ts';
import { roomFor } from './room.ts';

/** Gaps after which the cut is chosen again: some ten round trips of an upload, one second of a slow service. */
export const gapsPerEpoch = 128;

/** An epoch this long in ticks (2.1 s) ends with fewer gaps, if it has as many as can show a mode. */
const epochTicks = 2 ** 25;
const gapsMin = 32;

/** Epochs in a row that must ask for another cut before it changes: a stall of one epoch is none. */
const epochsToChange = 2;

/** A pause this many half-octaves above the cut is idleness, not an answer: at least three octaves above the mode. */
const idleBuckets = 11;

/** Half-octaves by which a valley may lower the cut of UDP: `chooseCut`. */
const valleyBuckets = 4;

/** Smallest IP packet that a sender may be unable to make larger: UDP and IPv4 headers on QUIC's 1200 bytes. */
const fullSizeBytesMin = 1228;

/** Payloads below this of flows with full-size packets are acknowledgements (QUIC). */
const quicDataBytesMin = 45;

/** A pause of a flow in ns after which its times are worth nothing. */
const pauseNsMax = 2 ** 36;

/** Flags of a flow: its ACK number moved since the last packet that counts; that packet was full-size; a SYN waits. */
const moved = 1;
const full = 2;
const opening = 4;

/** Where a flow's fields are, in units of their size. */
const lastWord = 0;
const batchWord = 1;
const ackWord = 2;
const sizeHalf = 6;
const flagsByte = 14;
const cutByte = 15;

/** The cut of a batch whose start is not known. */
const noCut = 255;

/**
 * ENSEMBLETIMEOUT (HotNets'22) repaired: the latency of traffic that shows its responses by pauses alone, such as uploads
 * and UDP with a window. The gaps between a backend's packets are counted in a histogram of half-octaves, from which
 * `chooseCut` takes the smallest gap that stands for waiting, or none. A packet after such a gap starts a batch; the
 * time from the first packet of one batch to that of the next is a sample.
 *
 * It rather gives no sample than a wrong one:
 * - TCP requests, whose responses show in the ACK numbers, are left to estimators that read those;
 * - a gap after a full-size UDP packet is within a message; acknowledgements of QUIC do not count;
 * - gaps of one size (pacing, one packet in flight) or of all sizes (think time) have no cut;
 * - a sample below 5/8 of the backend's handshake is no response: bursts that a sender spreads over its round trip;
 * - idle gaps end a batch without a sample.
 *
 * What it cannot tell apart: bursts that a sender paces slower than the handshake took, two bursts in a round trip that has
 * become twice as long as the handshake, and datagrams after a think time that never varies.
 * Waits of 33 us to 2 s are found. Latencies are multiples of 64 ns.
 */
export class GapEstimator implements Estimator {
  readonly name = 'gap';
  readonly kinds = ['gap'];
  readonly bytesPerFlow = 24;
  /** Per flow: time of its last packet of any sort in ns; the flow table's own in the kernel. */
  readonly #seenNs: Float64Array;
  /**
   * Per flow four words: the last packet that counts and the first of its batch, in ticks of 64 ns modulo 2^32; the last
   * ACK number; and three smaller fields, so that a flow is in one cache line.
   */
  readonly #words: Int32Array;
  /** The same in bytes: a flow's flags, and the cut by which its batch began. */
  readonly #bytes: Uint8Array;
  /** The same in halves of words: a flow's largest packet, in bytes from the IP header on. */
  readonly #sizes: Uint16Array;
  /** Per backend: gaps by bucket, older epochs halved; gaps in this epoch; its start in ticks. */
  #histogram: Uint32Array;
  #gaps: Uint32Array;
  #since: Int32Array;
  /** Per backend: handshakes in ticks, falling at once and rising slowly; 0 before the first. */
  #handshake: Int32Array;
  /** Per backend: smallest bucket that separates batches, 0 without one; epochs in a row that asked for another. */
  #cut: Uint8Array;
  #streak: Uint8Array;

  constructor({ flows, backends }: EstimatorSize) {
    this.#seenNs = new Float64Array(flows);
    this.#words = new Int32Array(4 * flows);
    this.#bytes = new Uint8Array(this.#words.buffer);
    this.#sizes = new Uint16Array(this.#words.buffer);
    this.#histogram = new Uint32Array(gapBuckets * backends);
    this.#gaps = new Uint32Array(backends);
    this.#since = new Int32Array(backends);
    this.#handshake = new Int32Array(backends);
    this.#cut = new Uint8Array(backends);
    this.#streak = new Uint8Array(backends);
  }

  open(flow: number, _backend: number, packet: Packet, now: Ns): void {
    const tick = Math.floor(now / 64) | 0;
    this.#seenNs[flow] = now;
    this.#words[4 * flow + lastWord] = tick;
    this.#words[4 * flow + batchWord] = tick;
    this.#bytes[16 * flow + cutByte] = noCut;
    this.#sizes[8 * flow + sizeHalf] = Math.min(packet.ipLength, 0xffff);
    if (packet.proto === ipProtoTcp) {
      this.#words[4 * flow + ackWord] = packet.ack;
      this.#bytes[16 * flow + flagsByte] =
        (packet.tcpFlags & (tcpSyn | tcpAck | tcpRst)) === tcpSyn ? opening : 0;
    } else {
      this.#bytes[16 * flow + flagsByte] = packet.ipLength >= fullSizeBytesMin ? full : 0;
    }
  }

  observe(flow: number, backend: number, packet: Packet, now: Ns, emit: Emit): void {
    const pause = now - this.#seenNs[flow]!;
    if (!(pause >= 0 && pause <= pauseNsMax)) {
      this.open(flow, backend, packet, now);
      return;
    }
    this.#seenNs[flow] = now;
    const tick = Math.floor(now / 64) | 0;
    const flags = this.#bytes[16 * flow + flagsByte]!;
    if (packet.proto === ipProtoTcp) {
      if ((flags & opening) !== 0 || (packet.tcpFlags & (tcpSyn | tcpRst)) !== 0) {
        this.#tcpOpening(flow, backend, packet, tick);
        return;
      }
      if (packet.ack !== this.#words[4 * flow + ackWord]!) {
        this.#words[4 * flow + ackWord] = packet.ack;
        if (packet.payloadLength > 1) {
          this.#afterMove(flow, tick);
          return;
        }
        this.#bytes[16 * flow + flagsByte] = flags | moved;
      }
      // A keep-alive probe may carry one byte.
      if (packet.payloadLength <= 1) return;
    } else {
      if (this.#sizes[8 * flow + sizeHalf]! >= fullSizeBytesMin && packet.payloadLength < quicDataBytesMin)
        return;
      this.#measure(flow, packet);
    }
    const gap = (tick - this.#words[4 * flow + lastWord]!) | 0;
    this.#words[4 * flow + lastWord] = tick;
    if ((this.#bytes[16 * flow + flagsByte]! & moved) !== 0 || gap < 0 || gap >= gapTicksMax) {
      this.#bytes[16 * flow + cutByte] =
        (this.#bytes[16 * flow + flagsByte]! & moved) !== 0 ? noCut : this.#cut[backend]!;
      this.#bytes[16 * flow + flagsByte]! &= ~moved;
      this.#words[4 * flow + batchWord] = tick;
      return;
    }
    // Of UDP packets only; `flags` are those after the packet before.
    if ((flags & full) === 0) {
      this.#count(flow, backend, gap, packet.proto === ipProtoTcp ? 0 : valleyBuckets, tick, emit);
    }
  }

  skip(flow: number, now: Ns): void {
    this.#seenNs[flow] = now;
  }

  begin(backend: number): void {
    const count = backend + 1;
    const from = backend * gapBuckets;
    this.#histogram = roomFor(this.#histogram, count * gapBuckets).fill(0, from, from + gapBuckets);
    this.#gaps = roomFor(this.#gaps, count).fill(0, backend, count);
    this.#since = roomFor(this.#since, count).fill(0, backend, count);
    this.#handshake = roomFor(this.#handshake, count).fill(0, backend, count);
    this.#cut = roomFor(this.#cut, count).fill(0, backend, count);
    this.#streak = roomFor(this.#streak, count).fill(0, backend, count);
  }

  /** TCP data after the ACK number moved begins a batch of which nothing is known. */
  #afterMove(flow: number, tick: number): void {
    this.#words[4 * flow + lastWord] = tick;
    this.#words[4 * flow + batchWord] = tick;
    this.#bytes[16 * flow + flagsByte] = 0;
    this.#bytes[16 * flow + cutByte] = noCut;
  }

  /** A SYN again makes the answer ambiguous (Karn); the packet that answers the only one ends the handshake. */
  #tcpOpening(flow: number, backend: number, packet: Packet, tick: number): void {
    const handshake = (tick - this.#words[4 * flow + lastWord]!) | 0;
    const isAnswer = (packet.tcpFlags & (tcpSyn | tcpRst | tcpAck)) === tcpAck;
    this.#bytes[16 * flow + flagsByte] = 0;
    this.#words[4 * flow + ackWord] = packet.ack;
    this.#words[4 * flow + lastWord] = tick;
    this.#words[4 * flow + batchWord] = tick;
    this.#bytes[16 * flow + cutByte] = noCut;
    if (!isAnswer || handshake < 0 || handshake >= gapTicksMax) return;
    const known = this.#handshake[backend]!;
    this.#handshake[backend] =
      known === 0 || handshake < known ? Math.max(handshake, 1) : known + ((handshake - known) >> 3);
  }

  /** Learns the largest packet of a UDP flow, and remembers whether this one is as large. */
  #measure(flow: number, { ipLength }: Packet): void {
    const bytes = Math.min(ipLength, 0xffff);
    if (bytes > this.#sizes[8 * flow + sizeHalf]!) this.#sizes[8 * flow + sizeHalf] = bytes;
    const isFull = bytes >= fullSizeBytesMin && bytes === this.#sizes[8 * flow + sizeHalf]!;
    this.#bytes[16 * flow + flagsByte] = isFull ? full : 0;
  }

  #count(flow: number, backend: number, gap: number, valleyMax: number, tick: number, emit: Emit): void {
    const bucket = gapBucketOf(gap);
    const cut = this.#cut[backend]!;
    this.#histogram[backend * gapBuckets + bucket]!++;
    let latency = -1;
    if (cut > 0 && bucket >= cut) {
      if (this.#bytes[16 * flow + cutByte]! === cut && bucket < cut + idleBuckets) {
        latency = (tick - this.#words[4 * flow + batchWord]!) | 0;
        if (latency >= gapTicksMax || 8 * latency < 5 * this.#handshake[backend]!) latency = -1;
      }
      this.#words[4 * flow + batchWord] = tick;
      this.#bytes[16 * flow + cutByte] = cut;
    }
    if (this.#gaps[backend]! === 0) this.#since[backend] = tick;
    const gaps = ++this.#gaps[backend]!;
    const age = (tick - this.#since[backend]!) >>> 0;
    if (gaps >= gapsPerEpoch || (age >= epochTicks && gaps >= gapsMin)) this.#endEpoch(backend, valleyMax);
    if (latency >= 0) emit(0, latency * 64);
  }

  #endEpoch(backend: number, valleyMax: number): void {
    const from = backend * gapBuckets;
    const cut = this.#cut[backend]!;
    const chosen = chooseCut(this.#histogram, from, valleyMax);
    if (chosen === cut) {
      this.#streak[backend] = 0;
    } else if (++this.#streak[backend]! >= epochsToChange) {
      this.#streak[backend] = 0;
      this.#cut[backend] = chosen;
    }
    for (let i = 0; i < gapBuckets; i++) this.#histogram[from + i]! >>>= 1;
    this.#gaps[backend] = 0;
  }
}
