import type { Packet } from '../net/packet.ts';
import type { Ns } from '../units.ts';

/** What a check found out: that the backend is well, or in words why not. */
export interface Verdict {
  readonly passed: boolean;
  /** `SYN-ACK after 0.3ms`, `connection refused`, `HTTP 503`, `no answer within 1s`. */
  readonly reason: string;
}

/** Sends a whole packet by way of the backend; false while it cannot be sent there. */
export type Send = (packet: Uint8Array) => boolean;

/**
 * One check of one backend. It makes and takes whole packets, reads no clock, and is over by its deadline whatever it is
 * given: packets that do not belong to it are left alone.
 */
export interface Check {
  /** Known once, and then the same. */
  readonly verdict: Verdict | undefined;
  /** Whether it needs neither packets nor time any more; it may go on a little after its verdict, to part politely. */
  readonly isOver: boolean;
  /** Begins at the first call; later sends again what may be lost, and ends at the deadline. */
  poll(now: Ns): void;
  /** A packet from the vip's address and port to the check's own, decoded, and its bytes. */
  take(packet: Packet, data: Uint8Array, now: Ns): void;
}

/** Times that something is sent within the time-out: at its begin, and after a third and two thirds of it. */
export const sendsMax = 3;

/** When to send, and when to give up: a time-out cut into `sendsMax` parts. */
export class Attempts {
  readonly #timeoutNs: number;
  #beganNs = Number.NaN;
  #sent = 0;

  constructor(timeoutNs: Ns) {
    this.#timeoutNs = timeoutNs;
  }

  /** Whether anything was sent. */
  get sent(): boolean {
    return this.#sent > 0;
  }

  /** Ns since the first call of `due`. */
  sinceNs(now: Ns): number {
    return now - this.#beganNs;
  }

  /** Whether the time-out is over; starts it. */
  isLate(now: Ns): boolean {
    if (Number.isNaN(this.#beganNs)) this.#beganNs = now;
    return now - this.#beganNs >= this.#timeoutNs;
  }

  /** Sends when it is time to; what could not be sent is tried again at the next call. */
  send(now: Ns, packet: () => Uint8Array, send: Send): void {
    if (this.sinceNs(now) < (this.#sent * this.#timeoutNs) / sendsMax) return;
    if (this.#sent >= sendsMax) return;
    if (send(packet())) this.#sent++;
  }
}

/** A check that sends one packet, again as it may be lost, until an answer decides or the time-out comes. */
export abstract class Exchange implements Check {
  verdict: Verdict | undefined;
  protected readonly timeoutNs: Ns;
  protected readonly attempts: Attempts;
  protected readonly send: Send;

  constructor(timeoutNs: Ns, send: Send) {
    this.timeoutNs = timeoutNs;
    this.send = send;
    this.attempts = new Attempts(timeoutNs);
  }

  get isOver(): boolean {
    return this.verdict !== undefined;
  }

  poll(now: Ns): void {
    if (this.isOver) return;
    if (this.attempts.isLate(now)) this.verdict = this.late();
    else this.attempts.send(now, () => this.packet(), this.send);
  }

  abstract take(packet: Packet, data: Uint8Array, now: Ns): void;

  /** What is sent. */
  protected abstract packet(): Uint8Array;

  /** The verdict when the time-out has come. */
  protected abstract late(): Verdict;
}
