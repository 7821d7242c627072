import { checksumAdd, checksumFinish } from '../src/net/checksum.ts';
import { CaptureWriter } from '../src/pcap/writer.ts';

/** Connections at a time, from 256 client addresses to one vip, 10.9.9.9:6379. */
const connections = 4096;
const clients = 256;
const timeBaseS = 1_700_000_000;
/** Server and path: at least this, plus an exponential part of this mean. */
const latencyNsMin = 500e3;
const latencyNsMean = 2e6;
/** Requests of a connection before it ends: at least one, geometric beyond. */
const requestsMean = 64;
const reconnectNs = 1e6;

const headerBytes = 14 + 20 + 32;
const synBytes = 14 + 20 + 40;

const flagFin = 0x01;
const flagSyn = 0x02;
const flagPshAck = 0x18;
const flagAck = 0x10;

/** What a connection does next. */
const actSyn = 0;
const actHandshakeAck = 1;
const actResponse = 2;
const actRequest = 3;
const actLastAck = 4;

/** xorshift32: seeded, so that every run generates the same bytes. */
class Random {
  #state = 0x2545f491;

  /** Uniform in (0, 1]. */
  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return ((x >>> 0) + 1) / 2 ** 32;
  }

  exponential(mean: number): number {
    return -mean * Math.log(this.next());
  }
}

/** Which connection acts next: a binary heap over their times, of fixed size. */
class Agenda {
  /** The connection that acts next. */
  get first(): number {
    return this.#heap[0]!;
  }
  readonly timeNs = new Float64Array(connections);
  readonly #heap = Int32Array.from({ length: connections }, (_, i) => i);

  /** Moves the first connection to its new, later time. */
  reschedule(timeNs: number): void {
    const heap = this.#heap;
    const times = this.timeNs;
    const moved = heap[0]!;
    times[moved] = timeNs;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= connections) break;
      if (child + 1 < connections && times[heap[child + 1]!]! < times[heap[child]!]!) child++;
      if (times[heap[child]!]! >= timeNs) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = moved;
  }
}

/**
 * Closed-loop clients of one vip, as their packets reach a load balancer in direct server return: each connection has
 * one request in flight, answered after 0.5 ms plus an exponential time of mean 2 ms; half of the responses are
 * acknowledged on their own before the next request, 10 us later, half by it. A connection ends after 64 requests in
 * the mean and its successor comes 1 ms later from another port.
 */
class Traffic {
  packets = 0;
  readonly #writer: CaptureWriter;
  readonly #random = new Random();
  readonly #agenda = new Agenda();
  readonly #act = new Uint8Array(connections);
  readonly #port = Uint16Array.from({ length: connections }, (_, i) => 1024 + (i >> 8));
  readonly #seq = new Int32Array(connections);
  readonly #ack = new Int32Array(connections);
  readonly #frame = new Uint8Array(2048);
  readonly #view = new DataView(this.#frame.buffer);

  constructor(writer: CaptureWriter) {
    this.#writer = writer;
    // In order of time, so that the agenda starts out as a heap.
    this.#agenda.timeNs.forEach((_, i, times) => {
      times[i] = i * 1000;
    });
    this.#frame.set([2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1, 0x08, 0x00, 0x45]);
    this.#view.setUint16(14 + 6, 0x4000);
    this.#view.setUint16(14 + 8, (64 << 8) | 6);
    this.#frame.set([10, 9, 9, 9], 14 + 16);
    this.#view.setUint16(34 + 2, 6379);
    this.#view.setUint16(34 + 14, 502);
  }

  run(packets: number): void {
    while (this.packets < packets) {
      const connection = this.#agenda.first;
      this.#agenda.reschedule(this.#step(connection, this.#agenda.timeNs[connection]!));
    }
  }

  /** Lets a connection act and returns when it acts next. */
  #step(c: number, now: number): number {
    const latency = latencyNsMin + this.#random.exponential(latencyNsMean);
    switch (this.#act[c]) {
      case actSyn:
        // The 16 connections of a client take every 16th port each, and start over above 65,500.
        this.#port[c] = this.#port[c]! >= 65_500 ? 1024 + (c >> 8) : this.#port[c]! + connections / clients;
        this.#seq[c] = Math.imul(c + this.packets, 0x9e3779b1);
        this.#ack[c] = 0;
        this.#send(c, now, flagSyn, 0);
        this.#seq[c]! += 1;
        this.#act[c] = actHandshakeAck;
        return now + latencyNsMin;
      case actHandshakeAck:
        this.#ack[c] = Math.imul(this.#seq[c]!, 0x85ebca6b);
        this.#send(c, now, flagAck, 0);
        this.#act[c] = actRequest;
        return now + 10e3;
      case actResponse:
        this.#ack[c]! += 20 + Math.floor(this.#random.next() * 1000);
        return this.#afterResponse(c, now);
      case actRequest:
        this.#send(c, now, flagPshAck, 40 + Math.floor(this.#random.next() * 80));
        this.#act[c] = actResponse;
        return now + latency;
      default:
        this.#send(c, now, flagAck, 0);
        this.#act[c] = actSyn;
        return now + reconnectNs;
    }
  }

  #afterResponse(c: number, now: number): number {
    if (this.#random.next() < 1 / requestsMean) {
      this.#send(c, now, flagFin | flagAck, 0);
      this.#seq[c]! += 1;
      this.#ack[c]! += 1;
      this.#act[c] = actLastAck;
      return now + latencyNsMin;
    }
    this.#act[c] = actRequest;
    if (this.#random.next() < 0.5) return now;
    this.#send(c, now, flagAck, 0);
    return now + 10e3;
  }

  #send(c: number, now: number, flags: number, payloadBytes: number): void {
    const view = this.#view;
    const isSyn = flags === flagSyn;
    const length = (isSyn ? synBytes : headerBytes) + payloadBytes;
    view.setUint16(14 + 2, length - 14);
    view.setUint16(14 + 4, this.packets & 0xffff);
    view.setUint32(14 + 12, 0x0a010000 + (c % clients));
    view.setUint16(14 + 10, 0);
    view.setUint16(14 + 10, checksumFinish(checksumAdd(0, this.#frame, 14, 34)));
    view.setUint16(34, this.#port[c]!);
    view.setUint32(34 + 4, this.#seq[c]!);
    view.setUint32(34 + 8, this.#ack[c]!);
    view.setUint8(34 + 12, isSyn ? 0xa0 : 0x80);
    view.setUint8(34 + 13, flags);
    const ms = Math.floor(now / 1e6);
    if (isSyn) {
      // MSS 1460, SACK permitted, timestamps, NOP, window scale 7: a SYN of Linux.
      view.setUint32(54, 0x020405b4);
      view.setUint32(58, 0x0402080a);
      view.setUint32(62, c * 7919 + ms);
      view.setUint32(66, 0);
      view.setUint32(70, 0x01030307);
    } else {
      view.setUint32(54, 0x0101080a);
      view.setUint32(58, c * 7919 + ms);
      view.setUint32(62, c * 104_729 + ms);
    }
    this.#seq[c]! += payloadBytes;
    this.#writer.write(this.#frame.subarray(0, length), now);
    this.packets++;
  }
}

/** Writes a capture of this many client->server packets; the same for the same number, a prefix of any longer one. */
export function generateCapture(path: string, packets: number): void {
  const writer = CaptureWriter.toFile(path, { timeBaseS });
  new Traffic(writer).run(packets);
  writer.close();
}
