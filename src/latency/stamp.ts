import type { Packet } from '../net/packet.ts';
import { type ServerClocks, serverTicks, tickUnknown } from './server-clock.ts';
import { flag, word } from './tcp-state.ts';

/** Ages of a flow in units of 64 ns, as powers of two, at which it votes on its server's tick: 17 ms, 134 ms, 1.1 s. */
const voteLog2 = [18, 21, 24];
const voteLog2Max = 26;

/** Clocks drift apart by less than 1/2^13 (122 ppm). */
const driftLog2 = 13;

/**
 * Time that a request spent at the server, by the server's own clock: the timestamp that the client echoes with a
 * response (RFC 7323, 4.3) tells the tick of the server's clock in which the response left. The timestamp of the SYN-ACK tells
 * the tick in which it was sent, a known time after which is the load balancer's SYN. Neither the way nor the client's
 * thinking is in the difference.
 *
 * What is not known is how much of a tick had passed at the SYN-ACK: half of it, unless responses show that it was less or
 * more, as none leaves before its request came, nor later than a handshake before the client has it. A single
 * residence is right to a tick; the mean over flows and requests is right.
 */
export class Stamp {
  /** Of the last `take` that was true: the residence in units of 64 ns, may be negative; whether it is believed. */
  residence = 0;
  isBelieved = false;
  /** A tick in units of 64 ns, rounded up. */
  tickLength = 0;
  readonly #words: Int32Array;
  readonly #clocks: ServerClocks;

  constructor(words: Int32Array, clocks: ServerClocks) {
    this.#words = words;
    this.#clocks = clocks;
  }

  /** The ACK that answers the SYN-ACK echoes its timestamp. */
  anchor(at: number, { hasTimestamps, tsEcr }: Packet): void {
    if (hasTimestamps === 0 || tsEcr === 0) return;
    const w = this.#words;
    w[at + word.flags]! |= flag.anchored;
    w[at + word.anchorStamp] = tsEcr;
  }

  /** Takes in a response seen at `tick` to a request sent `latency` before; whether its residence is known. */
  take(at: number, backend: number, packet: Packet, tick: number, latency: number): boolean {
    const w = this.#words;
    if ((w[at + word.flags]! & flag.anchored) === 0 || packet.hasTimestamps === 0 || packet.tsEcr === 0) {
      return false;
    }
    const ticks = (packet.tsEcr - w[at + word.anchorStamp]!) | 0;
    const age = (tick - w[at + word.anchorTick]!) | 0;
    this.#vote(at, backend, ticks, age);
    const known = this.#clocks.tick(backend);
    if (known === tickUnknown) return false;
    const { length, shift } = serverTicks[known]!;
    const tickLength = (length + (1 << shift) - 1) >> shift;
    this.tickLength = tickLength;
    // Modulo 2^32 this holds however long ago the handshake was.
    const left = ((age << shift) - Math.imul(ticks, length)) >> shift;
    const sent = (left - latency) | 0;
    if (!this.#bound(at, left, sent, tick, tickLength)) return false;
    const half = tickLength >> 1;
    const phase = Math.min(Math.max(half, w[at + word.phaseMin]!), w[at + word.phaseMax]!);
    this.residence = (half - phase - sent) | 0;
    if (Math.abs(this.residence) > latency + 2 * tickLength) return false;
    this.isBelieved = this.#clocks.check(backend, this.residence, tickLength);
    return true;
  }

  #vote(at: number, backend: number, ticks: number, age: number): void {
    const w = this.#words;
    const votes = w[at + word.votes]!;
    if (votes >= voteLog2.length || age < 2 ** voteLog2[votes]! || age >= 2 ** voteLog2Max) return;
    w[at + word.votes] = votes + 1;
    this.#clocks.vote(backend, ticks, age);
  }

  /**
   * Narrows what is known of the phase: `left` and `sent` are when the response was seen and the request sent, after the
   * beginning of the tick echoed if the phase were 0. False if both cannot be: the anchor is none (SYN cookies).
   */
  #bound(at: number, left: number, sent: number, tick: number, tickLength: number): boolean {
    const w = this.#words;
    if ((w[at + word.flags]! & flag.bounded) === 0) {
      w[at + word.flags]! |= flag.bounded;
      w[at + word.phaseMax] = tickLength;
    }
    const drift = Math.max(0, (tick - w[at + word.advanceTick]!) | 0) >> driftLog2;
    const least = (w[at + word.handshake]! - left) | 0;
    const most = (tickLength - sent) | 0;
    let min = Math.max(w[at + word.phaseMin]! - drift, least);
    let max = Math.min(w[at + word.phaseMax]! + drift, most);
    if (min > max) {
      if (least > 2 * tickLength || most < -tickLength) {
        w[at + word.flags]! &= ~flag.anchored;
        return false;
      }
      min = Math.max(0, least);
      max = Math.max(min, Math.min(tickLength, most));
    }
    w[at + word.phaseMin] = min;
    w[at + word.phaseMax] = max;
    return true;
  }
}
