import { type Packet, tcpAck, tcpRst, tcpSyn } from '../net/packet.ts';
import { formatDuration, type Ns } from '../units.ts';
import { type Attempts, Exchange, type Send, type Verdict } from './check.ts';
import { type Path, tcpPacket } from './packets.ts';

/** What a segment says to who sent a SYN (RFC 9293, 3.10.7.3). */
export type SynAnswer = 'accepted' | 'refused' | 'stray' | 'none';

/**
 * Reads the answer to a SYN with this sequence number. `stray` acknowledges something else, as a server does that
 * remembers a former connection, and is to be reset; `none` says nothing.
 */
export function synAnswerOf({ tcpFlags, ack }: Packet, seq: number): SynAnswer {
  if ((tcpFlags & tcpAck) === 0) return 'none';
  const isOurs = ((ack - seq) | 0) === 1;
  if ((tcpFlags & tcpRst) !== 0) return isOurs ? 'refused' : 'none';
  if (!isOurs) return 'stray';
  return (tcpFlags & tcpSyn) !== 0 ? 'accepted' : 'none';
}

/** Resets the connection that a segment belongs to (RFC 9293, 3.5.2): it is taken for one that the segment acknowledges. */
export const resetOf = (path: Path, { ack }: Packet): Uint8Array =>
  tcpPacket(path, { flags: tcpRst, seq: ack });

/**
 * Whether the vip's port is open on the backend: a SYN, and a reset when its SYN-ACK came, so that the application sees
 * nothing of it. What is lost is sent again.
 */
export class TcpCheck extends Exchange {
  readonly #path: Path;
  readonly #seq: number;

  /** @param seq a number that nobody can guess */
  constructor(path: Path, seq: number, timeoutNs: Ns, send: Send) {
    super(timeoutNs, send);
    this.#path = path;
    this.#seq = seq;
  }

  override take(packet: Packet, _data: Uint8Array, now: Ns): void {
    if (this.isOver) return;
    const answer = synAnswerOf(packet, this.#seq);
    if (answer === 'refused') {
      this.verdict = { passed: false, reason: 'connection refused' };
    } else if (answer !== 'none') {
      this.send(resetOf(this.#path, packet));
      if (answer === 'stray') return;
      this.verdict = { passed: true, reason: `SYN-ACK after ${formatDuration(this.attempts.sinceNs(now))}` };
    }
  }

  protected override packet(): Uint8Array {
    return synPacket(this.#path, this.#seq);
  }

  protected override late(): Verdict {
    return lateSyn(this.attempts, this.timeoutNs);
  }
}

export const synPacket = (path: Path, seq: number): Uint8Array => tcpPacket(path, { flags: tcpSyn, seq });

/** The verdict on a SYN that nobody answered. */
export function lateSyn({ sent }: Attempts, timeoutNs: Ns): Verdict {
  const what = sent ? 'no SYN-ACK' : notSent;
  return { passed: false, reason: `${what} within ${formatDuration(timeoutNs)}` };
}

/** The beginning of a reason: the datapath has no way to the backend. */
export const notSent = 'nothing could be sent there';
