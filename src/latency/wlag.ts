import { flag, word } from './tcp-state.ts';

/** Segments found again before the next one is believed. */
const trusted = 4;
const trustMax = 8;

/**
 * Latencies of flows that send several messages in one segment: a client that keeps a number of requests in flight sends
 * the byte at sequence number s when the response to byte s - W has come, where W is what it sent before anything was
 * answered (its first flight). One segment at a time is followed: its latency is the time from it to the first ACK
 * that the segment with the byte W later reports. It is believed once several were found where they were expected.
 *
 * W is the same in bytes as long as requests are alike; a 32nd of it, half a request of sixteen, is left as a margin.
 * Flows whose segments wait for ACKs (Nagle) give nothing.
 */
export class Wlag {
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** From here on messages of this flow are not counted any more. */
  begin(at: number): void {
    const w = this.#words;
    w[at + word.flags]! |= flag.merged;
    w[at + word.probeBytes] = 0;
    w[at + word.trust] = 0;
  }

  /** The segment awaited was sent again, or another is missing. */
  drop(at: number): void {
    if ((this.#words[at + word.flags]! & flag.merged) !== 0) this.#words[at + word.probeBytes] = 0;
  }

  /** The ACK number advanced. */
  advance(at: number, tick: number): void {
    const w = this.#words;
    if ((w[at + word.flags]! & flag.advanced) !== 0) return;
    w[at + word.flags]! |= flag.advanced;
    w[at + word.advanceTick] = tick;
  }

  /** New data was sent: the latency of the segment that was awaited, -1 if it is not known. */
  data(at: number, seq: number, bytes: number, tick: number): number {
    const w = this.#words;
    w[at + word.flags]! &= ~flag.advanced;
    const flight = w[at + word.flightBytesMax]!;
    const awaited = w[at + word.probeBytes]!;
    let latency = -1;
    if (awaited > 0) {
      const reached = (seq - flight + (flight >> 5) - w[at + word.probeSeq]!) | 0;
      if (reached < 0) return -1;
      w[at + word.probeBytes] = 0;
      if (reached < awaited && (w[at + word.flags]! & (flag.eager | flag.tainted)) === flag.eager) {
        const trust = w[at + word.trust]!;
        if (trust < trustMax) w[at + word.trust] = trust + 1;
        if (trust >= trusted)
          latency = Math.max(-1, (w[at + word.advanceTick]! - w[at + word.probeTick]!) | 0);
      } else if (w[at + word.trust]! > 0) {
        w[at + word.trust]!--;
      }
    }
    w[at + word.probeSeq] = seq;
    w[at + word.probeBytes] = bytes;
    w[at + word.probeTick] = tick;
    return latency;
  }
}
