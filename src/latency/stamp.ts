import type { Packet } from '../net/packet.ts';
import { type ServerClocks, serverTicks, tickUnknown } from './server-clock.ts';
import { flag, word } from './tcp-state.ts';

/** Ages of a flow in units of 64 ns, as powers of two, at which it votes on its server's tick: 17 ms, 134 ms, 1.1 s. */
const voteLog2 = [18, 21, 24];
const voteLog2Max = 30;

/** Responses after which the bounds of the phase are believed to be near it. */
const phaseCountMax = 16;

/**
 * How far below its upper bound the phase is, in 64ths of the distance to the lower one, by the ratio of what slackens them:
 * distances of extremes go with the square root.
 */
const shareOfUpper = Uint8Array.from({ length: 17 }, (_, i) => Math.round(64 / (1 + 2 ** ((i - 8) / 2))));

/** How much later than a handshake after it left a response may be acknowledged at once, in units of 64 ns: 33 us. */
const promptMargin = 2 ** 9;

/** Disciplined clocks drift apart by less than 1/2^16 (15 ppm). */
const driftLog2 = 16;

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
  /** Of the last `take`: what seemed to be acknowledged at once was sent long before, by all that is known of the phase. */
  isDelayed = false;
  readonly #words: Int32Array;
  readonly #clocks: ServerClocks;

  constructor(words: Int32Array, clocks: ServerClocks) {
    this.#words = words;
    this.#clocks = clocks;
  }

  /** The ACK that answers the SYN-ACK echoes its timestamp. */
  anchor(at: number, { hasTimestamps, tsEcr }: Packet): void {
    if (hasTimestamps === 0) return;
    const w = this.#words;
    w[at + word.flags]! |= flag.stamped;
    if (tsEcr === 0) return;
    w[at + word.flags]! |= flag.anchored;
    w[at + word.anchorStamp] = tsEcr;
  }

  /**
   * Takes in a response seen at `tick` to a request sent `latency` before, acknowledged at once or not; whether its residence is
   * known.
   */
  take(
    at: number,
    backend: number,
    packet: Packet,
    tick: number,
    latency: number,
    isAtOnce: boolean,
  ): boolean {
    const w = this.#words;
    this.isDelayed = false;
    if ((w[at + word.flags]! & flag.anchored) === 0 || packet.hasTimestamps === 0 || packet.tsEcr === 0) {
      return false;
    }
    const ticks = (packet.tsEcr - w[at + word.anchorStamp]!) | 0;
    const age = (tick - w[at + word.anchorTick]!) | 0;
    const handshake = w[at + word.handshake]!;
    if (w[at + word.votes]! < voteLog2.length) {
      this.#vote(at, backend, ticks, (age - handshake) | 0, latency - handshake);
    }
    const known = this.#clocks.tick(backend);
    if (known === tickUnknown) return false;
    const { length, shift } = serverTicks[known]!;
    const tickLength = (length + (1 << shift) - 1) >> shift;
    this.tickLength = tickLength;
    // Modulo 2^32 this holds however long ago the handshake was.
    const left = ((age << shift) - Math.imul(ticks, length)) >> shift;
    const sent = (left - latency) | 0;
    const earliest = isAtOnce ? Math.max(sent, left - handshake - promptMargin) : sent;
    if (!this.#bound(at, left - handshake, earliest, tick, tickLength, isAtOnce)) return false;
    const half = tickLength >> 1;
    const stamped = (half - this.#phase(at, half, this.#clocks.shift(backend)) - sent) | 0;
    if (Math.abs(stamped) > latency + 2 * tickLength) return false;
    this.isBelieved = this.#clocks.check(backend, 0 - sent, latency - handshake + sent, tickLength);
    this.residence = isAtOnce ? latency - handshake : stamped;
    return true;
  }

  /** The phase: half a tick at first, and where its bounds are once they are known by many responses. */
  #phase(at: number, half: number, shift: number): number {
    const w = this.#words;
    let min = w[at + word.phaseMin]!;
    let max = w[at + word.phaseMax]!;
    if (max - min > 2 * half) {
      // Drift has loosened the bound that responses seldom come near.
      if (shift >= 0) min = max - 2 * half;
      else max = min + 2 * half;
    }
    const count = w[at + word.phaseCount]!;
    const clipped = Math.min(Math.max(half, min), max);
    const between = max - Math.imul((max - min) >> 6, shareOfUpper[8 + shift]!);
    return clipped + (Math.imul(between - clipped, count) >> 4);
  }

  /** @param span when the response left at the latest, after the SYN-ACK; it may have left by `unsure` earlier */
  #vote(at: number, backend: number, ticks: number, span: number, unsure: number): void {
    const w = this.#words;
    const votes = w[at + word.votes]!;
    // Negative spans, and those of 2^30 and more, have bits above.
    if (span >>> voteLog2Max !== 0 || span >> voteLog2[votes]! === 0) return;
    if (unsure > span >> 3) return;
    w[at + word.votes] = votes + 1;
    this.#clocks.vote(backend, ticks, span);
  }

  /**
   * Narrows what is known of the phase: `latest` and `earliest` are when the response may have left, after the beginning of the
   * tick echoed if the phase were 0. False if both cannot be: the anchor is none (SYN cookies), or an ACK taken for one sent
   * at once was not; of which the more bounds are forgotten the more often that comes.
   */
  #bound(
    at: number,
    latest: number,
    earliest: number,
    tick: number,
    tickLength: number,
    isAtOnce: boolean,
  ): boolean {
    const w = this.#words;
    if ((w[at + word.flags]! & flag.bounded) === 0) {
      w[at + word.flags]! |= flag.bounded;
      w[at + word.phaseMax] = tickLength;
    }
    const drift = Math.max(0, (tick - w[at + word.advanceTick]!) | 0) >> driftLog2;
    const least = (0 - latest) | 0;
    const most = (tickLength - earliest) | 0;
    let min = Math.max(w[at + word.phaseMin]! - drift, least);
    let max = Math.min(w[at + word.phaseMax]! + drift, most);
    if (min > max) {
      if (
        isAtOnce &&
        w[at + word.phaseCount]! > 0 &&
        w[at + word.phaseMin]! - drift - most > tickLength >> 3
      ) {
        this.isDelayed = true;
        w[at + word.phaseCount]! >>= 1;
        return false;
      }
      if (least > 2 * tickLength || most < -tickLength) {
        w[at + word.flags]! &= ~flag.anchored;
        return false;
      }
      min = Math.max(0, least);
      max = Math.max(min, Math.min(tickLength, most));
    }
    if (w[at + word.phaseCount]! < phaseCountMax) w[at + word.phaseCount]!++;
    w[at + word.phaseMin] = min;
    w[at + word.phaseMax] = max;
    return true;
  }
}
