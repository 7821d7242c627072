import { ipProtoTcp } from '../net/constants.ts';
import { type Packet, tcpAck, tcpFin, tcpRst, tcpSyn } from '../net/packet.ts';
import type { Ns } from '../units.ts';
import type { Emit, Estimator, EstimatorSize } from './estimator.ts';
import { Fifo, fifoDepth } from './fifo.ts';
import { ServerClocks } from './server-clock.ts';
import { SignalMemory } from './signal-memory.ts';
import { Stamp } from './stamp.ts';
import { flag, stride, word } from './tcp-state.ts';
import { signalWord } from './wheel-signals.ts';
import { Wlag } from './wlag.ts';

/** Kinds by number, as `AckAdvance` emits them. */
export const ackKinds = ['handshake', 'request', 'pipelined', 'server'] as const;
export type AckKind = (typeof ackKinds)[number];
const kindHandshake = 0;
const kindRequest = 1;
const kindPipelined = 2;
const kindServer = 3;

/** A sequence or ACK number further on than any window (RFC 7323, 2.3) is forged. */
const advanceMax = 2 ** 30;

/** Segments below this are not taken for full ones of a path with a smaller MSS (RFC 9293, 3.7.1). */
const fullBytesMin = 512;

/** A pause of a flow in ns after which its times are worth nothing. */
const pauseNsMax = 2 ** 36;

/** Linux delays no ACK by less than 40 ms (TCP_DELACK_MIN): one that comes earlier in units of 64 ns is prompt. */
const promptAckMax = 35e6 / 64;

/** A client later than this on average, in units of 64 ns, thinks before it asks again: half a millisecond. */
const lateMin = 2 ** 13;
/** 2^3 responses make the average. */
const lateLog2 = 3;
/** That a client is prompt is believed for a second or so without a further sign: half a millisecond is 1/2^11 of it. */
const fadeLog2 = 11;

/** Exchanges of one message at a time that end a flow's being pipelined. */
const cleanMin = 4;

/** Distrust of a flow's pairing: added at a sample that is too early to be one, taken off one by one; muted from here on. */
const distrustStep = 8;
const distrustMuted = 16;
const distrustMax = 40;

/** Samples in a row that come too early: the path has become shorter than it was at the handshake. */
const earlyMax = 8;

/**
 * Latencies from ACK numbers (RFC 9293, 3.4): when the client acknowledges new bytes, a response has reached it. A
 * message of the client ends with a segment that is not full; its time is that of its last segment.
 *
 * `request`: one message in flight, and a client that shows at once that it has the response: by a pure ACK before any
 * ACK would be delayed, or by its next request if it does not think (see `#prompt`). `pipelined`: several messages in
 * flight; see `Fifo` and `Wlag`. `server`: the server's own time by its timestamps, see `Stamp`, and the flow's handshake.
 * `handshake`: SYN to its ACK.
 *
 * A sample is right or absent: segments sent again (Karn, RFC 6298, 3), lost or reordered before the load balancer, data
 * in the SYN, flows seen from their middle on, numbers beyond any window and responses earlier than the handshake took
 * give none. Latencies are multiples of 64 ns. A flow without a packet for 2^36 ns starts anew.
 */
export class AckAdvance implements Estimator {
  readonly name: string;
  readonly kinds: readonly string[];
  readonly bytesPerFlow = 8 + 4 * stride;
  readonly signals: SignalMemory;
  /** Per kind: its number among those emitted; -1 if it is not. */
  readonly #number: Int8Array;
  readonly #words: Int32Array;
  /** Per flow: time of its last packet in ns; the flow table's own in the kernel. */
  readonly #seenNs: Float64Array;
  readonly #clocks: ServerClocks;
  readonly #stamp: Stamp;
  readonly #fifo: Fifo;
  readonly #wlag: Wlag;

  constructor(name: string, kinds: readonly AckKind[], { flows, backends }: EstimatorSize) {
    this.name = name;
    this.kinds = kinds;
    this.#number = Int8Array.from(ackKinds, (kind) => kinds.indexOf(kind));
    this.#words = new Int32Array(flows * stride);
    this.#seenNs = new Float64Array(flows);
    this.signals = new SignalMemory(backends);
    this.#clocks = new ServerClocks(backends);
    this.#stamp = new Stamp(this.#words, this.#clocks);
    this.#fifo = new Fifo(this.#words, this.signals);
    this.#wlag = new Wlag(this.#words);
  }

  open(flow: number, backend: number, packet: Packet, now: Ns): void {
    if (packet.proto !== ipProtoTcp) return;
    this.signals.count(backend, signalWord.flows);
    this.#begin(flow, backend, packet, now);
  }

  skip(flow: number, now: Ns): void {
    this.#seenNs[flow] = now;
  }

  close(flow: number, backend: number): void {
    this.#fifo.forget(flow * stride, backend);
  }

  begin(backend: number): void {
    this.signals.begin(backend);
    this.#clocks.begin(backend);
  }

  observe(flow: number, backend: number, packet: Packet, now: Ns, emit: Emit): void {
    if (packet.proto !== ipProtoTcp) return;
    const pause = now - this.#seenNs[flow]!;
    if (!(pause >= 0 && pause <= pauseNsMax)) {
      this.#fifo.forget(flow * stride, backend);
      this.#begin(flow, backend, packet, now);
      return;
    }
    this.#seenNs[flow] = now;
    const w = this.#words;
    const at = flow * stride;
    const tick = Math.floor(now / 64) | 0;
    if ((packet.tcpFlags & (tcpSyn | tcpRst | tcpAck)) !== tcpAck) {
      this.#unusual(at, backend, packet);
      return;
    }
    if ((w[at + word.flags]! & flag.opening) !== 0) this.#answer(at, backend, packet, tick, emit);
    const advance = (packet.ack - w[at + word.ackMax]!) | 0;
    if (advance > 0) {
      if (advance > advanceMax) return;
      w[at + word.ackMax] = packet.ack;
      // A pure ACK of one more may be that of the server's FIN.
      if (advance === 1 && packet.payloadLength === 0) w[at + word.flags]! |= flag.tainted;
      this.#advance(at, backend, packet, tick, advance, emit);
    }
    if (packet.payloadLength > 0) this.#data(at, backend, packet, tick, emit);
  }

  /** A flow's first packet, or the first after a pause. */
  #begin(flow: number, backend: number, packet: Packet, now: Ns): void {
    const w = this.#words;
    const at = flow * stride;
    const tick = Math.floor(now / 64) | 0;
    this.#seenNs[flow] = now;
    w.fill(0, at, at + stride);
    const isSyn = (packet.tcpFlags & (tcpSyn | tcpAck | tcpRst)) === tcpSyn;
    w[at + word.sndMax] = (packet.seq + packet.payloadLength + (isSyn ? 1 : 0)) | 0;
    if (isSyn) {
      w[at + word.flags] = flag.opening;
      w[at + word.anchorTick] = tick;
      w[at + word.mss] = Math.max(0, packet.mss - (packet.hasTimestamps ? 12 : 0));
      return;
    }
    w[at + word.ackMax] = packet.ack;
    if (packet.payloadLength === 0) return;
    w[at + word.flags] = flag.tainted;
    this.#fifo.push(at, backend, tick);
  }

  /** A SYN sent again, a reset, or a packet without ACK, which belongs to no connection. */
  #unusual(at: number, backend: number, { tcpFlags }: Packet): void {
    if ((tcpFlags & tcpRst) !== 0) {
      this.signals.count(backend, signalWord.resets);
    } else if ((tcpFlags & (tcpSyn | tcpAck)) === tcpSyn) {
      this.signals.count(backend, signalWord.synRetransmits);
      this.#words[at + word.flags]! |= flag.synAgain;
    }
  }

  /** The ACK of the SYN-ACK: the handshake, and the server's clock at its beginning. */
  #answer(at: number, backend: number, packet: Packet, tick: number, emit: Emit): void {
    const w = this.#words;
    const flags = w[at + word.flags]! & ~flag.opening;
    w[at + word.flags] = flags;
    w[at + word.ackMax] = packet.ack;
    this.signals.count(backend, signalWord.handshakes);
    const handshake = (tick - w[at + word.anchorTick]!) | 0;
    if ((flags & flag.synAgain) !== 0 || handshake < 0) return;
    w[at + word.handshake] = Math.max(1, handshake);
    this.#stamp.anchor(at, packet);
    this.#emit(kindHandshake, handshake, emit);
  }

  /** New bytes from the server have reached the client. */
  #advance(at: number, backend: number, packet: Packet, tick: number, advance: number, emit: Emit): void {
    const w = this.#words;
    const flags = w[at + word.flags]!;
    const isPure = isPureAck(packet);
    if ((flags & flag.pipelined) !== 0) this.#clean(at, tick);
    if ((flags & flag.merged) !== 0) {
      this.#wlag.advance(at, tick);
      this.#fifo.answered(at, backend, 1);
      w[at + word.flags] = (w[at + word.flags]! & ~flag.pureAdvance) | (isPure ? flag.pureAdvance : 0);
      return;
    }
    if (w[at + word.count] === 0) {
      w[at + word.flags]! &= ~flag.tainted;
      if ((flags & flag.asked) !== 0) w[at + word.flags]! |= flag.surplus;
      if ((flags & flag.pipelined) !== 0) this.#wlag.begin(at);
    } else if ((flags & flag.pipelined) !== 0) {
      const latency = this.#fifo.advance(at, backend, tick, advance);
      // Nothing more is waited for: the client may have thought before it went on.
      const isPrompt = isPure || w[at + word.count]! > 0 || this.#isPrompt(at, false, Math.max(0, latency));
      if (latency >= 0 && this.#isPossible(at, latency) && isPrompt) this.#emit(kindPipelined, latency, emit);
    } else {
      const latency = (tick - w[at + word.head]!) | 0;
      const isTainted = (flags & flag.tainted) !== 0;
      this.#fifo.answered(at, backend, 1);
      if (!isTainted && latency >= 0 && this.#isPossible(at, latency)) {
        this.#single(at, backend, packet, tick, latency, emit);
      }
    }
    w[at + word.advanceTick] = tick;
    w[at + word.flags] =
      (w[at + word.flags]! & ~(flag.pureAdvance | flag.flight)) | (isPure ? flag.pureAdvance : 0);
  }

  /** Flows that went back to one message at a time, with pauses, are not pipelined any more. */
  #clean(at: number, tick: number): void {
    const w = this.#words;
    if ((w[at + word.flags]! & flag.lone) === 0) return;
    w[at + word.flags]! &= ~flag.lone;
    const latency = (tick - w[at + word.head]!) | 0;
    w[at + word.clean] = 4 * latency >= 3 * w[at + word.handshake]! ? w[at + word.clean]! + 1 : 0;
    if (w[at + word.clean]! < cleanMin || w[at + word.count] !== 1) return;
    w[at + word.clean] = 0;
    w[at + word.trust] = 0;
    w[at + word.ringAt] = 0;
    this.#unheard(at);
    w[at + word.flags]! &= ~(
      flag.pipelined |
      flag.merged |
      flag.surplus |
      flag.eager |
      flag.responding |
      flag.advanced
    );
  }

  /** The only message in flight was answered. */
  #single(at: number, backend: number, packet: Packet, tick: number, latency: number, emit: Emit): void {
    const w = this.#words;
    const handshake = w[at + word.handshake]!;
    const isPure = isPureAck(packet);
    const isAtOnce = isPure && latency - handshake < promptAckMax;
    const isStamped = this.#stamp.take(at, backend, packet, tick, latency, isAtOnce);
    const { residence, isBelieved, tickLength } = this.#stamp;
    let isLate = false;
    if (isStamped) {
      const excess = latency - handshake - residence;
      if (!isAtOnce) this.#late(at, excess);
      isLate = 2 * excess > 3 * tickLength + (handshake >> 2);
    }
    const isPrompt = isPure
      ? isStamped || (isAtOnce && !this.#stamp.isDelayed)
      : this.#isPrompt(at, isStamped, latency);
    if (isPrompt && !isLate) this.#emit(kindRequest, latency, emit);
    if (isStamped && isBelieved) this.#emit(kindServer, residence + handshake, emit);
  }

  /**
   * Whether the client asks again as soon as it has the response: on average it does not say anything later than it could. What
   * is not known of a client with timestamps is waited for, and what was once known fades while it cannot be checked; without
   * timestamps nothing may ever be known.
   */
  #isPrompt(at: number, isStamped: boolean, latency: number): boolean {
    const w = this.#words;
    const flags = w[at + word.flags]!;
    const late = w[at + word.late]!;
    if (late >= this.#lateMax(at)) return false;
    if ((flags & flag.stamped) === 0 || isStamped) return true;
    w[at + word.late] = late + (latency >> fadeLog2);
    return (flags & flag.heard) !== 0;
  }

  #data(at: number, backend: number, packet: Packet, tick: number, emit: Emit): void {
    const w = this.#words;
    const { seq, payloadLength } = packet;
    const end = (seq + payloadLength) | 0;
    const beyond = (end - w[at + word.sndMax]!) | 0;
    if (beyond > advanceMax) return;
    this.signals.count(backend, signalWord.segments);
    if (beyond <= 0) {
      // A keep-alive probe may carry the last byte again (RFC 9293, 3.8.4).
      if (payloadLength > 1) this.#again(at, backend);
      return;
    }
    if (seq !== w[at + word.sndMax]!) {
      if (beyond < payloadLength) this.signals.count(backend, signalWord.retransmits);
      this.#wlag.drop(at);
      w[at + word.flags]! |= flag.tainted;
    }
    w[at + word.sndMax] = end;
    this.#message(at, backend, tick, payloadLength);
    if ((w[at + word.flags]! & flag.merged) !== 0) {
      const latency = this.#wlag.data(at, seq, payloadLength, tick);
      if (latency >= 0 && this.#isPossible(at, latency)) this.#emit(kindPipelined, latency, emit);
    }
  }

  /** Data sent before: which of its copies was answered cannot be told (Karn). */
  #again(at: number, backend: number): void {
    this.signals.count(backend, signalWord.retransmits);
    this.#wlag.drop(at);
    if (this.#words[at + word.count]! > 0) this.#words[at + word.flags]! |= flag.tainted;
  }

  /** New data: another segment of a message, or the first of one. */
  #message(at: number, backend: number, tick: number, bytes: number): void {
    const w = this.#words;
    const count = w[at + word.count]!;
    if (count === 0) {
      this.#first(at, backend, tick);
    } else {
      const isSame = bytes >= fullBytesMin && bytes === w[at + word.lastBytes]!;
      if ((w[at + word.flags]! & flag.unfinished) !== 0 || (isSame && count === 1)) {
        if (isSame) w[at + word.mss] = bytes;
        this.#fifo.prolong(at, backend, tick);
      } else {
        this.#another(at, backend, tick);
      }
    }
    const flags = w[at + word.flags]!;
    if ((flags & flag.flight) !== 0) this.#measureFlight(at, bytes);
    const mss = w[at + word.mss]!;
    const isFull =
      mss > 0
        ? bytes >= mss && bytes % mss === 0
        : bytes >= fullBytesMin && bytes === w[at + word.lastBytes]!;
    w[at + word.lastBytes] = bytes;
    w[at + word.flags] =
      (flags & ~(flag.pureAdvance | flag.unfinished)) | flag.asked | (isFull ? flag.unfinished : 0);
  }

  /** A message begins while nothing is in flight. */
  #first(at: number, backend: number, tick: number): void {
    const w = this.#words;
    const flags = w[at + word.flags]!;
    let begun = flags | flag.flight;
    if ((flags & flag.pureAdvance) !== 0) {
      const pause = (tick - w[at + word.advanceTick]!) | 0;
      if ((flags & flag.merged) === 0) {
        this.#late(at, pause);
        begun |= flag.heard;
      }
      if (pause >= w[at + word.handshake]!) begun |= flag.lone;
    }
    w[at + word.flags] = begun;
    w[at + word.flightBytes] = 0;
    this.#fifo.push(at, backend, tick);
  }

  /** A message begins while others wait for their response: the first-flight gate. */
  #another(at: number, backend: number, tick: number): void {
    const w = this.#words;
    w[at + word.clean] = 0;
    w[at + word.flags]! &= ~flag.lone;
    const since = (tick - this.#fifo.latest(at)) | 0;
    // Nagle's algorithm (RFC 9293, 3.7.4) would hold it back for a round trip.
    if (since >= 0 && 2 * since < w[at + word.handshake]!) w[at + word.flags]! |= flag.eager;
    if ((w[at + word.flags]! & flag.merged) !== 0) return;
    if ((w[at + word.flags]! & flag.pipelined) === 0) this.#unheard(at);
    w[at + word.flags]! |= flag.pipelined;
    const isRoom = w[at + word.count]! < fifoDepth;
    const isFlight = (w[at + word.flags]! & flag.flight) !== 0;
    const isMore = !isFlight && w[at + word.count]! >= w[at + word.flightMax]!;
    if (isRoom && !isMore && (w[at + word.flags]! & flag.surplus) === 0) this.#fifo.push(at, backend, tick);
    else this.#merge(at, backend);
  }

  /** Messages cannot be counted any more: bytes can. */
  #merge(at: number, backend: number): void {
    this.#fifo.keepOne(at, backend);
    this.#wlag.begin(at);
  }

  #measureFlight(at: number, bytes: number): void {
    const w = this.#words;
    w[at + word.flightBytes] = Math.min(0xffff, w[at + word.flightBytes]! + bytes);
    if ((w[at + word.flags]! & flag.merged) !== 0) return;
    if (w[at + word.flightBytes]! > w[at + word.flightBytesMax]!) {
      w[at + word.flightBytesMax] = w[at + word.flightBytes]!;
    }
    if (w[at + word.count]! > w[at + word.flightMax]!) w[at + word.flightMax] = w[at + word.count]!;
  }

  /** Whether a latency may be one: nothing is answered sooner than the handshake was. Flows with several that may not are muted. */
  #isPossible(at: number, latency: number): boolean {
    const w = this.#words;
    const handshake = w[at + word.handshake]!;
    const distrust = w[at + word.distrust]!;
    if (4 * latency < 3 * handshake) {
      if (w[at + word.early]! < earlyMax) {
        w[at + word.early]!++;
        w[at + word.distrust] = Math.min(distrustMax, distrust + distrustStep);
      } else {
        w[at + word.handshake] = handshake - (handshake >> 3);
      }
      return false;
    }
    w[at + word.early] = 0;
    if (latency < handshake && (w[at + word.flags]! & flag.surplus) === 0) w[at + word.handshake] = latency;
    if (distrust > 0) w[at + word.distrust] = distrust - 1;
    return distrust < distrustMuted;
  }

  /** Takes in how late the client spoke after it had a response, in units of 64 ns. */
  #late(at: number, by: number): void {
    const w = this.#words;
    const most = this.#lateMax(at);
    const bounded = Math.min(Math.max(by, -most), 4 * most);
    if ((w[at + word.flags]! & flag.heard) === 0) {
      w[at + word.flags]! |= flag.heard;
      w[at + word.late] = bounded;
    } else {
      w[at + word.late]! += (bounded - w[at + word.late]!) >> lateLog2;
    }
  }

  /** The client goes about it in another way: how late it speaks is to be found out anew. */
  #unheard(at: number): void {
    const w = this.#words;
    w[at + word.late] = 0;
    w[at + word.flags]! &= ~flag.heard;
  }

  #lateMax(at: number): number {
    return Math.max(lateMin, this.#words[at + word.handshake]! >> 4);
  }

  #emit(kind: number, latency: number, emit: Emit): void {
    const number = this.#number[kind]!;
    if (number >= 0) emit(number, latency * 64);
  }
}

/** Whether a packet acknowledges without the client having anything else to say: a FIN comes after its thinking, too. */
function isPureAck({ payloadLength, tcpFlags }: Packet): boolean {
  return payloadLength === 0 && (tcpFlags & tcpFin) === 0;
}
