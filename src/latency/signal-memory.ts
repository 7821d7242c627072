import type { BackendSignals } from './signals.ts';
import {
  signalWord,
  signalWords,
  WheelSignals,
  wheelBuckets,
  wheelBucketTicksLog2,
  wheelWord,
} from './wheel-signals.ts';

/** Signals of all backends, as an estimator writes them: u32 words that wrap. */
export class SignalMemory {
  /** Each its own, so that readers keep what they read when there are more backends. */
  readonly #words: Int32Array[];

  constructor(backends: number) {
    this.#words = Array.from({ length: backends }, () => new Int32Array(signalWords));
  }

  /** Begins to count anew for a backend; those who read what was before go on to. */
  begin(backend: number): void {
    while (this.#words.length < backend) this.#words.push(new Int32Array(signalWords));
    this.#words[backend] = new Int32Array(signalWords);
  }

  /** What is counted of a backend now. */
  words(backend: number): Int32Array {
    return this.#words[backend]!;
  }

  /** A reader of one backend's, which counts from the start of its memory. */
  of(backend: number): BackendSignals {
    return new WheelSignals(this.#words[backend]!, [0]);
  }

  /** @param word one of `signalWord` */
  count(backend: number, word: number): void {
    this.#words[backend]![word]!++;
  }

  /** A request was sent at `tick`. */
  push(backend: number, tick: number): void {
    const words = this.#words[backend]!;
    words[signalWord.requests]!++;
    words[signalWord.inFlight]!++;
    words[wheelWord + bucketOf(tick)]!++;
  }

  /** The request that was sent at `from` went on until `to`. */
  move(backend: number, from: number, to: number): void {
    const words = this.#words[backend]!;
    words[wheelWord + bucketOf(from)]!--;
    words[wheelWord + bucketOf(to)]!++;
  }

  /** The request that was sent at `tick` waits no longer, answered or not. */
  take(backend: number, tick: number): void {
    const words = this.#words[backend]!;
    words[signalWord.inFlight]!--;
    words[wheelWord + bucketOf(tick)]!--;
  }
}

function bucketOf(tick: number): number {
  return (tick >>> wheelBucketTicksLog2) & (wheelBuckets - 1);
}
