import type { Address } from '../../src/net/address.ts';
import { be32, buildFrame, concat, ip } from '../support/frames.ts';
import { seededRandom, startNs } from './support.ts';

const flag = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 } as const;
const us = 1e3;
const ms = 1e6;

/** Ticks of servers' timestamps in ms. */
const ticksMs = [1, 4, 10, 0.001];

/** A frame, and how long after the one before of its client it comes, in ns. */
type Step = readonly [pauseNs: number, frame: Uint8Array];

/** How a client behaves: what it does on one connection. */
type Habit = (connection: Connection) => Generator<Step>;

/**
 * Clients that talk to 10.0.0.1:80/tcp, 10.0.0.1:443/tcp and 10.0.0.2:53/udp in ways from which every estimator samples:
 * closed loops, think time, delayed ACKs, pipelines, batches, uploads, fast open, windows of UDP, QUIC; disturbed by loss, copies,
 * reordering, keep-alives, forged numbers, flows seen from their middle on, pauses of minutes and a clock that steps.
 */
export class Conversations {
  nowNs = startNs;
  readonly #random: () => number;
  readonly #clients: { dueNs: number; frame: Uint8Array; steps: Generator<Step> }[] = [];
  /** Of nearly all servers' timestamps. */
  readonly #tickMs: number;
  #connections = 0;

  constructor(seed: number, clients: number) {
    this.#random = seededRandom(seed);
    this.#tickMs = ticksMs[seed % ticksMs.length]!;
    for (let i = 0; i < clients; i++) {
      const steps = this.#client();
      const [pauseNs, frame] = steps.next().value as Step;
      this.#clients.push({ dueNs: startNs + pauseNs, frame, steps });
    }
  }

  /** The next frame of whoever is first; its time is `nowNs`. */
  next(): Uint8Array {
    const client = this.#clients.reduce((a, b) => (b.dueNs < a.dueNs ? b : a));
    const { frame } = client;
    this.nowNs = Math.max(startNs, client.dueNs - (this.#chance(0.005) ? this.#below(2 * ms) : 0));
    const [pauseNs, following] = client.steps.next().value as Step;
    client.dueNs += pauseNs;
    client.frame = following;
    return frame;
  }

  /** One connection after the other, disturbed. */
  *#client(): Generator<Step> {
    for (;;) {
      const habit = habits[this.#below(habits.length)]!;
      const connection = new Connection(
        this.#connections++,
        this.#chance(0.95) ? this.#tickMs : 7,
        this.#random,
      );
      const disturbance = this.#chance(0.5) ? 0 : 0.05;
      let held: Uint8Array | undefined;
      for (const [pauseNs, frame] of habit(connection)) {
        const dice = disturbance > 0 ? this.#random() : 1;
        if (dice < disturbance * 0.3) continue;
        if (dice < disturbance * 0.5) held = frame;
        else yield [pauseNs, frame];
        if (dice > disturbance * 0.5 && held) {
          yield [this.#below(50 * us), held];
          held = undefined;
        }
        if (dice < disturbance * 0.7) yield [this.#below(300 * ms), frame];
        if (this.#chance(0.0003)) yield [69e9, frame];
      }
    }
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }
}

/** One connection: its numbers, and the frames that it sends. */
class Connection {
  readonly random: () => number;
  /** Bytes of a response; most conversations have responses of one size. */
  readonly responseBytes: number;
  readonly roundTripNs: number;
  readonly #src: Address;
  readonly #srcPort: number;
  readonly #dstPort: number;
  readonly #hasStamps: boolean;
  readonly #tickMs: number;
  readonly #stampStart: number;
  #seq: number;
  #ack: number;
  /** Since the connection began, by the steps of its habit. */
  #elapsedNs = 0;

  constructor(number: number, tickMs: number, random: () => number) {
    this.random = random;
    this.#src = ip(`192.0.${2 + (number & 1)}.${number % 250}`);
    this.#srcPort = 1024 + (number % 60_000);
    this.#dstPort = this.below(3) === 0 ? 443 : 80;
    this.#hasStamps = random() < 0.7;
    this.#tickMs = tickMs;
    // Near the end now and then, so that numbers wrap.
    this.#stampStart = random() < 0.2 ? 2 ** 32 - 1 - this.below(5) : this.below(2 ** 32);
    this.#seq = random() < 0.2 ? 2 ** 32 - 1 - this.below(3000) : this.below(2 ** 32);
    this.#ack = random() < 0.2 ? 2 ** 32 - 1 - this.below(3000) : this.below(2 ** 32);
    this.responseBytes = 1 + this.below(random() < 0.7 ? 700 : 5000);
    this.roundTripNs = Math.floor(100 * us * 30 ** random());
  }

  below(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  /** A time spread around `ns`. */
  about(ns: number): number {
    return Math.floor(ns * (0.7 + 0.6 * this.random()));
  }

  /** A segment after `pauseNs` that acknowledges so many more bytes; sequence numbers go on after its data. */
  segment(pauseNs: number, bytes: number, acked = 0, flags: number = flag.ack): Step {
    this.#elapsedNs += pauseNs;
    this.#ack += acked;
    const seq = this.#seq;
    this.#seq += bytes + (flags & (flag.syn | flag.fin) ? 1 : 0);
    return [pauseNs, this.#frame(seq, bytes, flags)];
  }

  /** A segment that is none of its row: so far from where the sequence is. */
  astray(pauseNs: number, bytes: number, seqOff: number, ackOff: number): Step {
    this.#elapsedNs += pauseNs;
    this.#ack += ackOff;
    const step = this.#frame(this.#seq + seqOff, bytes, flag.ack);
    this.#ack -= ackOff;
    return [pauseNs, step];
  }

  /** SYN and the ACK of its answer. */
  *handshake(): Generator<Step> {
    yield this.segment(this.below(5 * ms), this.random() < 0.1 ? 100 : 0, 0, flag.syn);
    if (this.random() < 0.1) {
      this.#seq -= 1;
      yield this.segment(1e9, 0, 0, flag.syn);
    }
    yield this.segment(this.about(this.roundTripNs), 0, 1);
  }

  *farewell(): Generator<Step> {
    const dice = this.random();
    if (dice < 0.4) yield this.segment(this.below(ms), 0, 0, flag.ack | flag.fin);
    else if (dice < 0.6)
      yield this.segment(this.below(ms), 0, 0, flag.rst | (this.random() < 0.5 ? flag.ack : 0));
    if (dice < 0.3) yield this.segment(this.about(this.roundTripNs), 0, 1);
  }

  datagram(pauseNs: number, payload: Uint8Array): Step {
    this.#elapsedNs += pauseNs;
    const udp = { srcPort: this.#srcPort, dstPort: 53 };
    return [pauseNs, buildFrame({ src: this.#src, dst: ip('10.0.0.2'), udp, payload })];
  }

  #frame(seq: number, bytes: number, flags: number): Uint8Array {
    const tcp = {
      ...{ srcPort: this.#srcPort, dstPort: this.#dstPort },
      ...{ seq: seq % 2 ** 32, ack: flags & flag.ack ? this.#ack % 2 ** 32 : 0 },
      ...{ flags: bytes > 0 ? flags | flag.psh : flags, options: this.#options(flags) },
    };
    return buildFrame({ src: this.#src, dst: ip('10.0.0.1'), tcp, payload: new Uint8Array(bytes) });
  }

  #options(flags: number): Uint8Array {
    const ticks = Math.floor(this.#elapsedNs / (this.#tickMs * ms));
    const echo = flags & flag.syn || this.random() < 0.005 ? 0 : (this.#stampStart + ticks) % 2 ** 32;
    const stamps = this.#hasStamps ? [8, 10, ...be32(ticks), ...be32(echo)] : [];
    if (flags & flag.syn) return Uint8Array.from([2, 4, 0x05, 0xb4, 4, 2, ...stamps, 1, 3, 3, 7]);
    // Selective acknowledgements come before or after; some stacks pad in other ways, and some lie.
    if (this.random() < 0.03) return Uint8Array.from([5, 10, ...be32(1), ...be32(2), ...stamps]);
    if (this.random() < 0.01) return Uint8Array.from([...stamps, 5, 40, 1, 1]);
    return this.#hasStamps ? Uint8Array.from([1, 1, ...stamps]) : new Uint8Array(0);
  }
}

/** A QUIC long header with connection IDs and, of an Initial, a token length. */
function longHeader(
  type: number,
  version: number,
  id: readonly number[],
  token: number,
  bytes: number,
): Uint8Array {
  const head = [0xc0 | (type << 4), ...be32(version), id.length, ...id, 0, token];
  return concat(Uint8Array.from(head), new Uint8Array(Math.max(0, bytes - head.length)));
}

const habits: readonly Habit[] = [
  function* closedLoop(c) {
    yield* c.handshake();
    const think = c.random() < 0.3 ? 5 * ms : 20 * us;
    yield c.segment(c.below(ms), 60);
    for (let i = 0; i < 60; i++) {
      const waitNs = c.about(c.roundTripNs * 1.5);
      const acked = c.random() < 0.9 ? c.responseBytes : c.below(3000);
      if (think > ms || c.random() < 0.1) {
        yield c.segment(waitNs, 0, acked);
        yield c.segment(c.about(think), 60);
      } else {
        yield c.segment(waitNs, 60 + (c.random() < 0.1 ? 1400 : 0), acked);
      }
      if (c.random() < 0.02) yield c.astray(c.below(ms), 1, -1, 0);
      if (c.random() < 0.01) yield c.astray(c.below(ms), 50, 2 ** 30 + 5, 0);
      if (c.random() < 0.01) yield c.astray(c.below(ms), 0, 0, 2 ** 30 + 5);
    }
    yield* c.farewell();
  },
  function* pipelined(c) {
    yield* c.handshake();
    const depth = 2 + c.below(10);
    const bytes = 40 + c.below(20);
    const [isBatch, isMerged, isNagle] = [c.random() < 0.3, c.random() < 0.3, c.random() < 0.2];
    for (let i = 0; i < depth; i++) yield c.segment(isNagle ? c.roundTripNs : c.below(20 * us), bytes);
    for (let i = 0; i < 80; i++) {
      const waitNs = c.about(c.roundTripNs / (isBatch ? 1 : depth));
      const count = isBatch ? depth : 1 + (c.random() < 0.2 ? c.below(3) : 0);
      if (isBatch) yield c.segment(waitNs, 0, count * c.responseBytes);
      else yield c.segment(waitNs, isMerged ? bytes * count : bytes, count * c.responseBytes);
      if (isBatch) for (let j = 0; j < depth; j++) yield c.segment(c.below(5 * us), bytes);
      if (c.random() < 0.01) yield c.segment(0, 0, c.responseBytes);
    }
    for (let i = 0; i < 12; i++) {
      yield c.segment(c.about(c.roundTripNs * 2), 0, c.responseBytes);
      yield c.segment(c.about(c.roundTripNs * 2), bytes);
    }
    yield* c.farewell();
  },
  function* upload(c) {
    yield* c.handshake();
    for (let i = 0; i < 60; i++) {
      for (let j = 0; j < 5; j++) yield c.segment(j === 0 ? c.about(c.roundTripNs) : c.below(12 * us), 1448);
    }
    yield c.segment(c.below(ms), 700);
    yield c.segment(c.about(c.roundTripNs), 0, c.responseBytes);
    yield* c.farewell();
  },
  function* fromTheMiddle(c) {
    for (let i = 0; i < 20; i++) yield c.segment(c.about(c.roundTripNs), 60, c.responseBytes);
    yield c.segment(ms, 0, 1, flag.ack | flag.syn);
    yield c.segment(ms, 10, 1, 0);
  },
  function* udpWindow(c) {
    const bytes = c.random() < 0.5 ? 100 : 1300;
    for (let i = 0; i < 60; i++) {
      for (let j = 0; j < 4; j++) {
        yield c.datagram(
          j === 0 ? c.about(c.roundTripNs) : c.below(9 * us),
          new Uint8Array(j === 3 ? 90 : bytes),
        );
      }
    }
  },
  function* quic(c) {
    const version = [1, 0x6b3343cf, 0xff00001d, 0xabadcafe][c.below(4)]!;
    const [initial, handshake] = version === 0x6b3343cf ? [1, 3] : [0, 2];
    const id = Array.from({ length: c.below(22) }, () => c.below(256));
    const [retry, repeats] = [c.random() < 0.2, c.random() < 0.2];
    yield c.datagram(c.below(ms), longHeader(initial, version, id, 0, 1200 + c.below(100)));
    if (repeats) yield c.datagram(c.about(200 * ms), longHeader(initial, version, id, 0, 1200));
    if (retry)
      yield c.datagram(c.about(c.roundTripNs), longHeader(initial, version, [9, 9, 9, 9, 9], 8, 1200));
    const answered = [1, 2, 3, 4, 5, 6, 7, 8].slice(0, 1 + c.below(8));
    if (c.random() < 0.5)
      yield c.datagram(c.about(c.roundTripNs), longHeader(initial, version, answered, 0, 1200));
    yield c.datagram(c.about(c.roundTripNs), longHeader(handshake, version, answered, 0, 60));
    const [spins, idles] = [c.random() < 0.8, c.random() < 0.2];
    for (let i = 0; i < 60; i++) {
      const waitNs =
        idles && c.random() < 0.1 ? 8 * c.roundTripNs : c.roundTripNs + c.below(c.roundTripNs / 8);
      const value = spins ? (i & 1) << 5 : c.below(2) << 5;
      yield c.datagram(waitNs, Uint8Array.from([0x40 | value, ...new Uint8Array(20 + c.below(30))]));
      yield c.datagram(c.below(20 * us), Uint8Array.from([0x40 | value, ...new Uint8Array(1250)]));
    }
    if (c.random() < 0.3) yield c.datagram(ms, new Uint8Array(0));
  },
];
