import { type Address, formatAddress } from '../net/address.ts';
import { type Packet, tcpAck, tcpFin, tcpPsh, tcpRst } from '../net/packet.ts';
import { formatDuration, type Ns } from '../units.ts';
import { Attempts, type Check, type Send, type Verdict } from './check.ts';
import { type Path, payloadOf, tcpPacket } from './packets.ts';
import { type HttpSettings, statusRangesOf } from './settings.ts';
import { lateSyn, resetOf, synAnswerOf, synPacket } from './tcp-check.ts';

/** Bytes within which the status line must end; it is `HTTP/1.1 200 OK` and hardly more. */
const statusLineMax = 256;
/** Bytes of an answer that are waited for, so as to part by FIN; longer ones are reset. */
const answerBytesMax = 65_536;
const httpPort = 80;

/**
 * Whether a page is there: a handshake, one request in one segment with `Connection: close`, and the status line of the
 * answer. Then the rest is acknowledged, and FIN answered with FIN, so that a server that sends little sees nothing unusual;
 * who sends much, or does not close in time, is reset.
 */
export class HttpCheck implements Check {
  verdict: Verdict | undefined;
  readonly #path: Path;
  readonly #settings: HttpSettings;
  readonly #request: Uint8Array;
  readonly #timeoutNs: Ns;
  readonly #send: Send;
  readonly #syns: Attempts;
  readonly #requests: Attempts;
  /** The number that the request begins with, and the next of theirs that is awaited. */
  #seq: number;
  #awaited = 0;
  #isOpen = false;
  /** Whether the server has the request. */
  #isAsked = false;
  #isDone = false;
  #line = '';
  #received = 0;

  /** @param seq a number that nobody can guess */
  constructor(path: Path, settings: HttpSettings, seq: number, timeoutNs: Ns, send: Send) {
    this.#path = path;
    this.#settings = settings;
    this.#request = requestOf(path, settings);
    this.#seq = seq;
    this.#timeoutNs = timeoutNs;
    this.#send = send;
    this.#syns = new Attempts(timeoutNs);
    this.#requests = new Attempts(timeoutNs);
  }

  get isOver(): boolean {
    return this.#isDone;
  }

  poll(now: Ns): void {
    if (this.#isDone) return;
    if (this.#syns.isLate(now)) this.#late();
    else if (!this.#isOpen) this.#syns.send(now, () => synPacket(this.#path, this.#seq), this.#send);
    else if (this.verdict === undefined && !this.#isAsked) this.#ask(now);
  }

  take(packet: Packet, data: Uint8Array, now: Ns): void {
    if (this.#isDone) return;
    if (this.#isOpen) this.#takeOpen(packet, data, now);
    else this.#takeOpening(packet, now);
  }

  #takeOpening(packet: Packet, now: Ns): void {
    const answer = synAnswerOf(packet, this.#seq);
    if (answer === 'refused') {
      this.#end({ passed: false, reason: 'connection refused' });
    } else if (answer === 'stray') {
      this.#send(resetOf(this.#path, packet));
    } else if (answer === 'accepted') {
      this.#isOpen = true;
      this.#seq = packet.ack;
      this.#awaited = (packet.seq + 1) | 0;
      this.#acknowledge();
      this.#requests.isLate(now);
      this.#ask(now);
    }
  }

  #takeOpen(packet: Packet, data: Uint8Array, now: Ns): void {
    const ahead = (packet.seq - this.#awaited) | 0;
    const acknowledged = (packet.ack - this.#seq) | 0;
    if ((packet.tcpFlags & tcpAck) !== 0 && acknowledged === this.#request.length) this.#isAsked = true;
    if ((packet.tcpFlags & tcpRst) !== 0) {
      // Only the exact number is believed (RFC 5961, 3.2).
      if (ahead === 0) this.#end({ passed: false, reason: 'connection reset before an answer' });
      return;
    }
    const isFin = (packet.tcpFlags & tcpFin) !== 0;
    const payload = payloadOf(packet, data);
    // What was received already is acknowledged again, as is what lies beyond a gap (RFC 9293, 3.10.7.4).
    if (ahead > 0 || -ahead > payload.length || (payload.length === 0 && !isFin)) {
      if (payload.length > 0 || isFin || ahead < 0) this.#acknowledge();
      return;
    }
    this.#receive(payload.subarray(-ahead), now);
    if (isFin) this.#close();
    else if (this.#received > answerBytesMax) this.#abort();
    else this.#acknowledge();
  }

  #receive(fresh: Uint8Array, now: Ns): void {
    this.#awaited = (this.#awaited + fresh.length) | 0;
    this.#received += fresh.length;
    if (this.verdict !== undefined) return;
    this.#line += Buffer.from(fresh.subarray(0, statusLineMax)).toString('latin1');
    this.verdict = this.#judge(now);
  }

  /** The verdict on what has come of the status line (RFC 9112, 4); undefined while it may go on. */
  #judge(now: Ns): Verdict | undefined {
    const match = /^HTTP\/1\.[01] (\d{3})[ \r\n]/.exec(this.#line);
    if (!match) {
      const isLong = this.#line.length >= statusLineMax || this.#line.includes('\n');
      const isHttp = 'HTTP/1.'.startsWith(this.#line.slice(0, 'HTTP/1.'.length));
      return isHttp && !isLong ? undefined : { passed: false, reason: 'the answer is not HTTP/1' };
    }
    const code = Number(match[1]);
    const ranges = statusRangesOf(this.#settings.status) ?? [];
    const passed = ranges.some(([first, last]) => code >= first && code <= last);
    const after = passed ? ` after ${formatDuration(this.#syns.sinceNs(now))}` : '';
    return { passed, reason: `HTTP ${code}${after}` };
  }

  #ask(now: Ns): void {
    const flags = tcpAck | tcpPsh;
    const segment = () =>
      tcpPacket(this.#path, { flags, seq: this.#seq, ack: this.#awaited, payload: this.#request });
    this.#requests.send(now, segment, this.#send);
  }

  #acknowledge(flags = tcpAck): void {
    const seq = this.#seq + (this.#isAsked ? this.#request.length : 0);
    this.#send(tcpPacket(this.#path, { flags, seq, ack: this.#awaited }));
  }

  /** The server has said everything. */
  #close(): void {
    this.#awaited = (this.#awaited + 1) | 0;
    this.verdict ??= { passed: false, reason: 'connection closed before an answer' };
    this.#acknowledge(tcpAck | tcpFin);
    this.#isDone = true;
  }

  #abort(): void {
    this.#acknowledge(tcpRst | tcpAck);
    this.#isDone = true;
  }

  #late(): void {
    if (!this.#isOpen) {
      this.#end(lateSyn(this.#syns, this.#timeoutNs));
      return;
    }
    const within = formatDuration(this.#timeoutNs);
    this.verdict ??= { passed: false, reason: `no answer to the request within ${within}` };
    this.#abort();
  }

  #end(verdict: Verdict): void {
    this.verdict ??= verdict;
    this.#isDone = true;
  }
}

/** The request (RFC 9112, 3). */
function requestOf({ vip }: Path, { path, host }: HttpSettings): Uint8Array {
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: ${host ?? hostOf(vip.address, vip.port)}`,
    'User-Agent: inband',
    'Accept: */*',
    'Connection: close',
  ];
  return new TextEncoder().encode(`${lines.join('\r\n')}\r\n\r\n`);
}

function hostOf(address: Address, port: number): string {
  const text = formatAddress(address.family, ...address.words);
  const host = address.family === 6 ? `[${text}]` : text;
  return port === httpPort ? host : `${host}:${port}`;
}
