import type { Ns } from '../units.ts';
import type { BackendSignals } from './signals.ts';

/** Words of a backend's signals: counters, then the wheel of requests in flight by when they were sent. */
export const signalWord = {
  flows: 0,
  synRetransmits: 1,
  handshakes: 2,
  requests: 3,
  responses: 4,
  segments: 5,
  retransmits: 6,
  resets: 7,
  inFlight: 8,
} as const;

const counters = 8;
/** Where the wheel begins: counters fill one cache line. */
export const wheelWord = 16;
/** Buckets of the wheel, each of 2^14 ticks of 64 ns: 1.05 ms, 134 ms in all. */
export const wheelBuckets = 128;
export const wheelBucketTicksLog2 = 14;
export const signalWords = wheelWord + wheelBuckets;

const bucketNs = 64 * 2 ** wheelBucketTicksLog2;

/**
 * One backend's signals read from words that somebody else counts up: one set per CPU, read as one. The wheel has a
 * bucket for each 1.05 ms of the last 134 ms, with the requests sent then and still in flight. Whoever counts never
 * clears it; what a bucket holds when its turn comes again is carried here as old, until the bucket holds less.
 *
 * While a bucket is in use again, an old request answered cannot be told from a new one: old ones are taken to be there
 * until the bucket says otherwise, one turn at most. Without `update` for a whole turn, requests may look younger by turns.
 */
export class WheelSignals implements BackendSignals {
  flows = 0;
  synRetransmits = 0;
  handshakes = 0;
  requests = 0;
  responses = 0;
  segments = 0;
  retransmits = 0;
  resets = 0;
  inFlight = 0;
  readonly #words: Int32Array | Uint32Array;
  readonly #starts: readonly number[];
  /** Counters modulo 2^32 as they were last seen. */
  readonly #seen = new Int32Array(counters);
  /** Per bucket: requests in it; those of turns before its present one, and when the oldest of them was sent. */
  readonly #held = new Int32Array(wheelBuckets);
  readonly #old = new Int32Array(wheelBuckets);
  readonly #oldNs = new Float64Array(wheelBuckets);
  /** The latest bucket that was taken in, counted from time 0; -1 before the first. */
  #turn = -1;
  /** Of the last update: the sum of what was counted, and whether no bucket held anything. */
  #seenEvents = -1;
  #isEmpty = false;
  #now = 0;

  /** @param starts where each CPU's words of this backend begin */
  constructor(words: Int32Array | Uint32Array, starts: readonly number[]) {
    this.#words = words;
    this.#starts = starts;
  }

  get oldestNs(): number {
    let oldest = this.#now;
    for (let age = wheelBuckets - 1; age >= 0; age--) {
      const bucket = (this.#turn - age) & (wheelBuckets - 1);
      const sentNs = this.#old[bucket]! > 0 ? this.#oldNs[bucket]! : this.#sentNs(age);
      if (this.#held[bucket]! > 0 && sentNs < oldest) oldest = sentNs;
    }
    return this.inFlight > 0 ? this.#now - oldest : 0;
  }

  waiting(ageNs: number): number {
    let count = 0;
    for (let age = 0; age < wheelBuckets; age++) {
      const bucket = (this.#turn - age) & (wheelBuckets - 1);
      const old = this.#old[bucket]!;
      if (old > 0 && this.#now - this.#oldNs[bucket]! >= ageNs) count += old;
      if (this.#now - this.#sentNs(age) >= ageNs) count += this.#held[bucket]! - old;
    }
    return count;
  }

  update(now: Ns): void {
    this.flows += this.#gained(signalWord.flows);
    this.synRetransmits += this.#gained(signalWord.synRetransmits);
    this.handshakes += this.#gained(signalWord.handshakes);
    this.requests += this.#gained(signalWord.requests);
    this.responses += this.#gained(signalWord.responses);
    this.segments += this.#gained(signalWord.segments);
    this.retransmits += this.#gained(signalWord.retransmits);
    this.resets += this.#gained(signalWord.resets);
    this.inFlight = Math.max(0, this.#sum(signalWord.inFlight));
    const turn = Math.floor(now / bucketNs);
    const events = this.#events();
    const isStill = events === this.#seenEvents && this.inFlight === 0 && this.#isEmpty;
    this.#seenEvents = events;
    this.#now = now;
    // Most of many backends have nothing in flight: their wheels are not worth reading.
    if (isStill) {
      this.#turn = turn;
      return;
    }
    if (turn < this.#turn || turn - this.#turn >= wheelBuckets) this.#turn = turn - wheelBuckets;
    // The buckets that time has come to again: what was in them is older than a turn.
    while (this.#turn < turn) {
      this.#turn++;
      this.#age(this.#turn & (wheelBuckets - 1), (this.#turn - wheelBuckets) * bucketNs);
    }
    this.#isEmpty = true;
    for (let bucket = 0; bucket < wheelBuckets; bucket++) {
      const held = Math.max(0, this.#sum(wheelWord + bucket));
      if (held > 0) this.#isEmpty = false;
      this.#held[bucket] = held;
      if (this.#old[bucket]! > held) this.#old[bucket] = held;
    }
  }

  /** All that was counted: no request moves without. */
  #events(): number {
    const { flows, synRetransmits, handshakes, requests, responses, segments, retransmits, resets } = this;
    return flows + synRetransmits + handshakes + requests + responses + segments + retransmits + resets;
  }

  /** What the bucket held at the last update is old; it was sent at `sentNs` unless it was old before. */
  #age(bucket: number, sentNs: number): void {
    const held = this.#held[bucket]!;
    if (held > 0 && this.#old[bucket] === 0) this.#oldNs[bucket] = Math.max(0, sentNs);
    this.#old[bucket] = held;
  }

  /** When a bucket of this age in buckets began. */
  #sentNs(age: number): number {
    return (this.#turn - age) * bucketNs;
  }

  #gained(word: number): number {
    const sum = this.#sum(word);
    const gained = (sum - this.#seen[word]!) >>> 0;
    this.#seen[word] = sum;
    return gained;
  }

  /** Over all CPUs, as a signed 32-bit integer. */
  #sum(word: number): number {
    let sum = 0;
    for (let i = 0; i < this.#starts.length; i++) sum = (sum + this.#words[this.#starts[i]! + word]!) | 0;
    return sum;
  }
}
