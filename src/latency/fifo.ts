import type { SignalMemory } from './signal-memory.ts';
import { flag, word } from './tcp-state.ts';
import { signalWord } from './wheel-signals.ts';

/** Messages of a flow in flight that are remembered. */
export const fifoDepth = 8;
const others = fifoDepth - 1;

/** Equal responses that make their size known. */
const equalMin = 4;
const equalMax = 15;

/**
 * Messages in flight, answered first in first out: whatever the order of completion, the sum of the latencies is right, so
 * long as messages and responses are counted right (Little). That is believed of a flow once twice as many messages as its
 * first flight had were sent without there being more in flight than then.
 *
 * An ACK may answer several messages. Their responses have come at even times since the ACK before, or since the first of
 * them could be answered, the last just now. The sample is the latency of one of them, drawn by the time.
 */
export class Fifo {
  readonly #words: Int32Array;
  readonly #signals: SignalMemory;

  constructor(words: Int32Array, signals: SignalMemory) {
    this.#words = words;
    this.#signals = signals;
  }

  /** A message was sent; there is room for it. */
  push(at: number, backend: number, tick: number): void {
    const w = this.#words;
    const count = w[at + word.count]!;
    if (count === 0) w[at + word.head] = tick;
    else w[at + word.ring + ((w[at + word.ringAt]! + count - 1) % others)] = tick;
    w[at + word.count] = count + 1;
    if ((w[at + word.flags]! & (flag.pipelined | flag.merged)) === flag.pipelined) {
      w[at + word.trust] = Math.min(255, w[at + word.trust]! + 1);
    }
    this.#signals.push(backend, tick);
  }

  /**
   * The latest message went on. It counts from the last of its bursts, an eighth of a handshake each: a client slow to send
   * is no slow server, while what is sent at a stretch is sent at once.
   */
  prolong(at: number, backend: number, tick: number): void {
    const w = this.#words;
    const last = this.#last(at);
    if (((tick - w[last]!) | 0) <= w[at + word.handshake]! >> 3) return;
    this.#signals.move(backend, w[last]!, tick);
    w[last] = tick;
  }

  /** When the latest message in flight was sent. */
  latest(at: number): number {
    return this.#words[this.#last(at)]!;
  }

  /** The oldest messages were answered. */
  answered(at: number, backend: number, count: number): void {
    for (let i = 0; i < count && this.#words[at + word.count]! > 0; i++) {
      this.#signals.count(backend, signalWord.responses);
      this.#pop(at, backend);
    }
  }

  /** Nothing is in flight any more. */
  forget(at: number, backend: number): void {
    while (this.#words[at + word.count]! > 0) this.#pop(at, backend);
  }

  /** Only the latest message stays. */
  keepOne(at: number, backend: number): void {
    while (this.#words[at + word.count]! > 1) this.#pop(at, backend);
  }

  /** The ACK number advanced by so many bytes while messages were in flight: the latency of one that was answered, -1 if it is not known. */
  advance(at: number, backend: number, tick: number, bytes: number): number {
    const w = this.#words;
    const flags = w[at + word.flags]!;
    const count = Math.min(this.#responses(at, bytes), w[at + word.count]!);
    const isEnd = w[at + word.mss] === 0 || bytes % w[at + word.mss]! !== 0;
    w[at + word.flags] = isEnd ? flags & ~flag.responding : flags | flag.responding;
    if (count === 0) return -1;
    const first = w[at + word.head]!;
    const drawn = (tick >>> 4) % count;
    let waited = 0;
    for (let i = 0; i < count; i++) {
      if (i === drawn) waited = (tick - w[at + word.head]!) | 0;
      this.answered(at, backend, 1);
    }
    const isTrusted = w[at + word.trust]! > 2 * w[at + word.flightMax]! && (flags & flag.eager) !== 0;
    if (!isTrusted || (flags & flag.tainted) !== 0) return -1;
    if (count === 1) return waited;
    const before = (tick - w[at + word.advanceTick]!) | 0;
    const possible = (tick - first - w[at + word.handshake]!) | 0;
    const span = Math.max(0, Math.min(before, possible));
    return waited - Math.trunc((span * (count - 1 - drawn)) / count);
  }

  /** How many responses so many bytes are: several if all are of one size. */
  #responses(at: number, bytes: number): number {
    const w = this.#words;
    const size = w[at + word.response]! & 0xffff;
    const known = w[at + word.response]! >> 16;
    const mss = w[at + word.mss]!;
    const isMany =
      size > 0 && known >= equalMin && bytes > size && bytes <= fifoDepth * size && bytes % size === 0;
    if (bytes < mss && bytes <= 0xffff) {
      if (bytes === size) w[at + word.response] = (Math.min(equalMax, known + 1) << 16) | size;
      else if (size === 0 || bytes % size !== 0) {
        w[at + word.response] = known <= 1 ? bytes : ((known - 1) << 16) | size;
      }
    }
    if ((w[at + word.flags]! & flag.responding) !== 0) return 0;
    return isMany && 2 * size < mss ? bytes / size : 1;
  }

  /** Where that is kept. */
  #last(at: number): number {
    const w = this.#words;
    const count = w[at + word.count]!;
    return count === 1 ? at + word.head : at + word.ring + ((w[at + word.ringAt]! + count - 2) % others);
  }

  /** The oldest message leaves. */
  #pop(at: number, backend: number): void {
    const w = this.#words;
    this.#signals.take(backend, w[at + word.head]!);
    const count = --w[at + word.count]!;
    if (count === 0) {
      w[at + word.flags]! &= ~flag.tainted;
      return;
    }
    const ringAt = w[at + word.ringAt]!;
    w[at + word.head] = w[at + word.ring + ringAt]!;
    w[at + word.ringAt] = (ringAt + 1) % others;
  }
}
