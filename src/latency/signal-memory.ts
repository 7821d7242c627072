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
  readonly words: Int32Array;

  constructor(backends: number) {
    this.words = new Int32Array(backends * signalWords);
  }

  /** A reader of one backend's, which counts from the start of the memory. */
  of(backend: number): BackendSignals {
    return new WheelSignals(this.words, [backend * signalWords]);
  }

  /** @param word one of `signalWord` */
  count(backend: number, word: number): void {
    this.words[backend * signalWords + word]!++;
  }

  /** A request was sent at `tick`. */
  push(backend: number, tick: number): void {
    const at = backend * signalWords;
    this.words[at + signalWord.requests]!++;
    this.words[at + signalWord.inFlight]!++;
    this.words[at + wheelWord + bucketOf(tick)]!++;
  }

  /** The request that was sent at `from` went on until `to`. */
  move(backend: number, from: number, to: number): void {
    const at = backend * signalWords + wheelWord;
    this.words[at + bucketOf(from)]!--;
    this.words[at + bucketOf(to)]!++;
  }

  /** The request that was sent at `tick` waits no longer, answered or not. */
  take(backend: number, tick: number): void {
    const at = backend * signalWords;
    this.words[at + signalWord.inFlight]!--;
    this.words[at + wheelWord + bucketOf(tick)]!--;
  }
}

function bucketOf(tick: number): number {
  return (tick >>> wheelBucketTicksLog2) & (wheelBuckets - 1);
}
