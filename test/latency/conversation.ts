import { AckAdvance, type AckKind, ackKinds } from '../../src/latency/ack.ts';
import type { Estimator } from '../../src/latency/estimator.ts';
import { Packet, tcpAck, tcpSyn } from '../../src/net/packet.ts';
import { ns } from '../../src/units.ts';

/** What a packet of a conversation may say beside its time. */
export interface Said {
  flags?: number;
  /** Bytes of payload. */
  bytes?: number;
  /** Sequence number after the client's initial one, if not what follows. */
  seq?: number;
  /** Bytes that the server's responses have by now. */
  ack?: number;
  tsEcr?: number;
  mss?: number;
}

export interface Heard {
  us: number;
  kind: AckKind;
  /** In microseconds. */
  latency: number;
}

/** The client's side of TCP connections to one backend, as the load balancer sees it; times are in microseconds. */
export class Conversation {
  readonly heard: Heard[] = [];
  readonly estimator: Estimator;
  readonly isn: number;
  readonly serverIsn: number;
  /** Whether packets have timestamps. */
  readonly timestamps: boolean;
  readonly #flow: number;
  readonly #proto: number;
  #next = 0;
  #ack = 0;
  #isOpen = false;

  constructor({
    estimator = new AckAdvance('ack', ackKinds, { flows: 64, backends: 1 }) as Estimator,
    isn = 1000,
    serverIsn = 5000,
    timestamps = false,
    flow = 0,
    proto = 6,
  } = {}) {
    this.estimator = estimator;
    this.isn = isn;
    this.serverIsn = serverIsn;
    this.timestamps = timestamps;
    this.#flow = flow;
    this.#proto = proto;
  }

  /** A packet at this time; fields not given go on from the packet before. */
  at(us: number, said: Said = {}): this {
    const { flags = tcpAck, bytes = 0, tsEcr = 0, mss = 0 } = said;
    const seq = said.seq ?? this.#next;
    this.#ack = said.ack ?? this.#ack;
    const packet = Object.assign(new Packet(), {
      proto: this.#proto,
      tcpFlags: flags,
      seq: (this.isn + seq) | 0,
      ack: (flags & tcpAck) !== 0 ? (this.serverIsn + this.#ack) | 0 : 0,
      payloadLength: bytes,
      ipLength: 52 + bytes,
      hasTimestamps: this.timestamps ? 1 : 0,
      tsEcr,
      mss,
    });
    const end = seq + bytes + ((flags & tcpSyn) !== 0 ? 1 : 0);
    if (end > this.#next) this.#next = end;
    const now = ns(us * 1000);
    if (this.#isOpen) {
      this.estimator.observe(this.#flow, 0, packet, now, (kind, latencyNs) => {
        this.heard.push({ us, kind: this.estimator.kinds[kind] as AckKind, latency: latencyNs / 1000 });
      });
    } else {
      this.estimator.open(this.#flow, 0, packet, now);
      this.#isOpen = true;
    }
    return this;
  }

  /** SYN at 0 us and the ACK of its answer. */
  opened(us = 200, said: Said = {}): this {
    return this.at(0, { flags: tcpSyn, mss: 1460 }).at(us, { ack: 1, ...said });
  }

  close(): void {
    this.estimator.close!(this.#flow, 0);
  }

  /** Latencies of a kind in whole microseconds. */
  of(kind: AckKind): number[] {
    return this.heard.filter((one) => one.kind === kind).map(({ latency }) => Math.round(latency));
  }

  /** All samples but handshakes, as `kind latency`. */
  get samples(): string[] {
    return this.heard
      .filter(({ kind }) => kind !== 'handshake')
      .map(({ kind, latency }) => `${kind} ${Math.round(latency)}`);
  }

  /** What the backend's signals say at a time. */
  signals(us: number) {
    const signals = this.estimator.signals!.of(0);
    signals.update(ns(us * 1000));
    return signals;
  }
}
