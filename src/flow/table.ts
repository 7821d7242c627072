import { type Ns, ns } from '../units.ts';
import { TabulationHash } from './tabulation.ts';

/** Flows per set. One set's tags and references fill a 64-byte cache line. */
const ways = 8;
/** Int32 words of a set: 8 tags, then 8 references (flow + 1, 0 is empty). */
const setWords = 2 * ways;
/** Int32 words of a flow's line. */
const lineWords = 8;
const wordClient = 0;
const wordPortAndVip = 4;
const wordBackend = 5;
const wordState = 6;
const wordIsn = 7;

/** Smallest and largest capacity; both are powers of two. */
export const flowsMin = 2 * ways;
export const flowsMax = 1 << 24;

/** No flow. */
export const flowNone = 0;
/** A flow seen once: one packet is all that it takes to make one, so it may be evicted for another. */
export const flowNew = 1;
/** A flow with a packet after its first: a TCP client that answered the handshake, or any repeated sender. */
export const flowEstablished = 2;
/** The client sent FIN: a few packets may follow. */
export const flowClosing = 3;

export interface FlowTimeouts {
  /** Idle time after which a flow in each state is forgotten. */
  readonly newNs: Ns;
  readonly establishedNs: Ns;
  readonly closingNs: Ns;
  /** Idle time from which an established flow may be evicted when its sets are full; in use before that. */
  readonly evictableNs: Ns;
}

/** Established as IPVS has it (15 min); a handshake takes less than 10 s with five SYN retransmissions on a sane path. */
export const flowTimeoutsDefault: FlowTimeouts = {
  newNs: ns(10e9),
  establishedNs: ns(900e9),
  closingNs: ns(10e9),
  evictableNs: ns(60e9),
};

/** Why flows left the table, and how often. */
export interface FlowCounters {
  created: number;
  /** Ended by RST. */
  closed: number;
  /** Replaced by a new SYN on the same 4-tuple. */
  reopened: number;
  /** Begun anew, as their backend is lost. */
  resteered: number;
  /** Idle longer than the time-out of their state, or than that of closing ones where their backend is lost. */
  idle: number;
  /** Made room for another: seen once only. */
  evictedUnestablished: number;
  /** Made room for another: idle longer than `evictableNs`. */
  evictedIdle: number;
  /** New flows that found no room: all others in their two sets are established and in use. */
  refused: number;
}

/**
 * A bounded table of flows: 2-choice, 8-way set-associative, with the whole key in each line, so that a collision costs
 * a comparison and never reaches a wrong backend. Lines are handed out densely: memory is touched only as flows appear.
 *
 * A flow is named by its number, 0 to capacity-1, valid until it is removed; estimators keep their state in arrays of
 * `capacity` under the same number. Nothing is allocated after construction.
 *
 * Room is made, in this order, by flows that are past their idle time-out, then unestablished, then established and
 * idle for `evictableNs`; the one idle longest first. An established flow in use is never evicted.
 */
export class FlowTable {
  /**
   * Flows that fit: the number asked for, rounded up to a power of two. Sets do not fill evenly: when all flows are
   * established and in use, the first is refused at about 70 % of it, 0.02 % are at 80 % and 0.7 % at 90 %.
   */
  readonly capacity: number;
  /** Time of each flow's latest packet. */
  readonly lastNs: Float64Array;
  /** Told of every flow that ends, in whatever way, before its number is given to another. */
  onEnd: ((flow: number, backend: number) => void) | undefined;
  readonly counters: FlowCounters = {
    created: 0,
    closed: 0,
    reopened: 0,
    resteered: 0,
    idle: 0,
    evictedUnestablished: 0,
    evictedIdle: 0,
    refused: 0,
  };
  readonly #timeouts: FlowTimeouts;
  readonly #hash: TabulationHash;
  readonly #sets: Int32Array;
  readonly #setMask: number;
  readonly #lines: Int32Array;
  /** Numbers that were freed; those from `#fresh` on were never used. */
  readonly #free: Int32Array;
  #freeCount = 0;
  #fresh = 0;

  /**
   * @param capacity flows to hold, `flowsMin` to `flowsMax`; rounded up to a power of two
   * @param secret random words that key the hash, see `TabulationHash`
   */
  constructor(capacity: number, secret: Int32Array, timeouts: FlowTimeouts = flowTimeoutsDefault) {
    if (!(capacity >= flowsMin && capacity <= flowsMax)) {
      throw new RangeError(`capacity: ${capacity} is not within ${flowsMin} and ${flowsMax}`);
    }
    this.capacity = 2 ** Math.ceil(Math.log2(capacity));
    this.#timeouts = timeouts;
    this.#hash = new TabulationHash(secret);
    this.#sets = new Int32Array(this.capacity * 2);
    this.#setMask = this.capacity / ways - 1;
    this.#lines = new Int32Array(this.capacity * lineWords);
    this.#free = new Int32Array(this.capacity);
    this.lastNs = new Float64Array(this.capacity);
  }

  /** Flows held now, those past their time-out included until their line is wanted or they are swept. */
  get active(): number {
    return this.#fresh - this.#freeCount;
  }

  /** Bytes per flow that the table itself takes. */
  get bytesPerFlow(): number {
    return 8 + lineWords * 4 + 4 + 8;
  }

  /**
   * The flow with this key, or -1. A flow past its idle time-out is gone.
   * @param c0 client address as in `Packet`
   * @param portAndVip client port << 16 | vip index
   */
  find(c0: number, c1: number, c2: number, c3: number, portAndVip: number, now: Ns): number {
    const h = this.#hash.hash(c0, c1, c2, c3, portAndVip);
    const first = h & this.#setMask;
    let flow = this.#findIn(first, h, c0, c1, c2, c3, portAndVip);
    if (flow < 0) flow = this.#findIn(this.#other(first, h), h, c0, c1, c2, c3, portAndVip);
    if (flow >= 0 && this.#isPast(flow, now)) {
      this.counters.idle++;
      this.#unlink(flow, h);
      return -1;
    }
    return flow;
  }

  /**
   * Adds a flow whose key is not in the table.
   * @returns its number, or -1 if there is no room (counted as refused)
   */
  insert(
    c0: number,
    c1: number,
    c2: number,
    c3: number,
    portAndVip: number,
    now: Ns,
    backend: number,
    isn: number,
  ): number {
    const h = this.#hash.hash(c0, c1, c2, c3, portAndVip);
    const at = this.#room(h, now);
    if (at < 0) {
      this.counters.refused++;
      return -1;
    }
    const flow = this.#freeCount > 0 ? this.#free[--this.#freeCount]! : this.#fresh++;
    this.#sets[at] = h;
    this.#sets[at + ways] = flow + 1;
    const line = flow * lineWords;
    this.#lines[line] = c0;
    this.#lines[line + 1] = c1;
    this.#lines[line + 2] = c2;
    this.#lines[line + 3] = c3;
    this.#lines[line + wordPortAndVip] = portAndVip;
    this.#lines[line + wordBackend] = backend;
    this.#lines[line + wordState] = flowNew;
    this.#lines[line + wordIsn] = isn;
    this.lastNs[flow] = now;
    this.counters.created++;
    return flow;
  }

  /** Forgets a flow; `why` is the counter that it ends under. */
  remove(flow: number, why: 'closed' | 'reopened' | 'resteered'): void {
    this.counters[why]++;
    this.#unlink(flow, this.#hashOf(flow));
  }

  /** Numbers that were given to flows so far: each flow has one below. */
  get used(): number {
    return this.#fresh;
  }

  /**
   * Ends those flows, numbered `first` to `end`-1, whose time is over: past their idle time-out or, of backends that
   * `lost` marks by number, idle for longer than closing flows may be.
   * @param endedMax to end at most
   * @returns the first number that was not looked at
   */
  sweep(first: number, end: number, now: Ns, lost: Uint8Array, endedMax = Number.POSITIVE_INFINITY): number {
    const { closingNs } = this.#timeouts;
    const stop = Math.min(end, this.#fresh);
    let ended = 0;
    let flow = first;
    for (; flow < stop && ended < endedMax; flow++) {
      if (this.state(flow) === flowNone) continue;
      const isLost = lost[this.backend(flow)] === 1 && now - this.lastNs[flow]! > closingNs;
      if (!isLost && !this.#isPast(flow, now)) continue;
      this.counters.idle++;
      ended++;
      this.#unlink(flow, this.#hashOf(flow));
    }
    return flow;
  }

  backend(flow: number): number {
    return this.#lines[flow * lineWords + wordBackend]!;
  }

  /** One of four words of the client's address, as in `Packet`. */
  clientWord(flow: number, word: number): number {
    return this.#lines[flow * lineWords + wordClient + word]!;
  }

  /** Client port << 16 | vip index, signed. */
  portAndVip(flow: number): number {
    return this.#lines[flow * lineWords + wordPortAndVip]!;
  }

  /** `flowNone` of a number that no flow has. */
  state(flow: number): number {
    return this.#lines[flow * lineWords + wordState]!;
  }

  setState(flow: number, state: number): void {
    this.#lines[flow * lineWords + wordState] = state;
  }

  /** Initial sequence number of the SYN that made the flow; 0 if it was made by another packet. */
  isn(flow: number): number {
    return this.#lines[flow * lineWords + wordIsn]!;
  }

  #hashOf(flow: number): number {
    const line = flow * lineWords;
    const lines = this.#lines;
    return this.#hash.hash(
      lines[line]!,
      lines[line + 1]!,
      lines[line + 2]!,
      lines[line + 3]!,
      lines[line + wordPortAndVip]!,
    );
  }

  #findIn(
    set: number,
    h: number,
    c0: number,
    c1: number,
    c2: number,
    c3: number,
    portAndVip: number,
  ): number {
    const sets = this.#sets;
    const lines = this.#lines;
    const from = set * setWords;
    for (let at = from; at < from + ways; at++) {
      if (sets[at] !== h) continue;
      const flow = sets[at + ways]! - 1;
      if (flow < 0) continue;
      const line = flow * lineWords;
      if (
        lines[line + wordClient] === c0 &&
        lines[line + wordPortAndVip] === portAndVip &&
        lines[line + 1] === c1 &&
        lines[line + 2] === c2 &&
        lines[line + 3] === c3
      ) {
        return flow;
      }
    }
    return -1;
  }

  /** The key's second set: the first one displaced by bits of the hash that did not choose it; odd, hence another. */
  #other(set: number, h: number): number {
    return (set ^ ((Math.imul(h, 0x9e3779b1) >>> 8) | 1)) & this.#setMask;
  }

  /** Where a new flow of this hash may go: the emptier of its two sets, else the place of an evicted flow; -1 if none. */
  #room(h: number, now: Ns): number {
    const first = h & this.#setMask;
    const second = this.#other(first, h);
    const empty = this.#empty(first);
    const set = empty >= this.#empty(second) ? first : second;
    if (set === second || empty > 0) {
      for (let at = set * setWords + ways; at < (set + 1) * setWords; at++) {
        if (this.#sets[at] === 0) return at - ways;
      }
    }
    return this.#evict(first, second, now);
  }

  #empty(set: number): number {
    let count = 0;
    for (let at = set * setWords + ways; at < (set + 1) * setWords; at++) if (this.#sets[at] === 0) count++;
    return count;
  }

  /** Removes the flow that is best lost among two full sets and returns its place; -1 if all are in use. */
  #evict(first: number, second: number, now: Ns): number {
    let best = -1;
    let bestRank = 3;
    let bestLast = 0;
    for (let way = 0; way < 2 * ways; way++) {
      const at = (way < ways ? first : second) * setWords + (way % ways);
      const flow = this.#sets[at + ways]! - 1;
      const rank = this.#rank(flow, now);
      if (rank < bestRank || (rank === bestRank && rank < 3 && this.lastNs[flow]! < bestLast)) {
        best = at;
        bestRank = rank;
        bestLast = this.lastNs[flow]!;
      }
    }
    if (best < 0) return -1;
    if (bestRank === 0) this.counters.idle++;
    else if (bestRank === 1) this.counters.evictedUnestablished++;
    else this.counters.evictedIdle++;
    this.#clear(best);
    return best;
  }

  /** How willingly a flow is lost: 0 past its time-out, 1 not established (any more), 2 long idle, 3 not at all. */
  #rank(flow: number, now: Ns): number {
    if (this.#isPast(flow, now)) return 0;
    if (this.state(flow) !== flowEstablished) return 1;
    return now - this.lastNs[flow]! >= this.#timeouts.evictableNs ? 2 : 3;
  }

  #isPast(flow: number, now: Ns): boolean {
    const state = this.state(flow);
    const { establishedNs, newNs, closingNs } = this.#timeouts;
    const timeout = state === flowEstablished ? establishedNs : state === flowNew ? newNs : closingNs;
    return now - this.lastNs[flow]! > timeout;
  }

  #unlink(flow: number, h: number): void {
    const first = h & this.#setMask;
    const second = this.#other(first, h);
    for (let way = 0; way < 2 * ways; way++) {
      const at = (way < ways ? first : second) * setWords + (way % ways);
      if (this.#sets[at + ways] === flow + 1) {
        this.#clear(at);
        return;
      }
    }
    throw new Error(`flow ${flow} is in neither of its sets`);
  }

  #clear(at: number): void {
    const flow = this.#sets[at + ways]! - 1;
    this.#free[this.#freeCount++] = flow;
    this.onEnd?.(flow, this.backend(flow));
    this.setState(flow, flowNone);
    this.#sets[at + ways] = 0;
  }
}
