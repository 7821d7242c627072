import type { Packet } from '../net/packet.ts';
import { formatDuration, type Ns } from '../units.ts';
import { Exchange, type Send, type Verdict } from './check.ts';
import { type Path, payloadOf, udpPacket } from './packets.ts';
import { bytesOf, type UdpSettings } from './settings.ts';
import { notSent } from './tcp-check.ts';

/** Bytes of an unexpected answer that are shown. */
const shownMax = 16;

/**
 * Whether a datagram is answered, as expected if it says what is. That the port is closed cannot be seen, as ICMP is not
 * forwarded: it is a time-out.
 */
export class UdpCheck extends Exchange {
  readonly #path: Path;
  readonly #content: Uint8Array;
  readonly #expected: Uint8Array;
  /** An answer that was not the expected one: a better one may follow. */
  #other = '';

  constructor(path: Path, { send: content, expect = '' }: UdpSettings, timeoutNs: Ns, send: Send) {
    super(timeoutNs, send);
    this.#path = path;
    this.#content = bytesOf(content) ?? new Uint8Array(0);
    this.#expected = bytesOf(expect) ?? new Uint8Array(0);
  }

  override take(packet: Packet, data: Uint8Array, now: Ns): void {
    if (this.isOver) return;
    const payload = payloadOf(packet, data);
    if (this.#expected.every((byte, i) => payload[i] === byte)) {
      this.verdict = { passed: true, reason: `answer after ${formatDuration(this.attempts.sinceNs(now))}` };
    } else {
      this.#other = `unexpected answer ${shown(payload)}`;
    }
  }

  protected override packet(): Uint8Array {
    return udpPacket(this.#path, this.#content);
  }

  protected override late(): Verdict {
    const what = this.attempts.sent ? 'no answer' : notSent;
    return { passed: false, reason: this.#other || `${what} within ${formatDuration(this.timeoutNs)}` };
  }
}

function shown(payload: Uint8Array): string {
  if (payload.length === 0) return 'without content';
  const digits = Buffer.from(payload.subarray(0, shownMax)).toString('hex');
  return `0x${digits}${payload.length > shownMax ? '...' : ''}`;
}
