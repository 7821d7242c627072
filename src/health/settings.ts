import { ipProtoTcp } from '../net/constants.ts';
import type { Ns } from '../units.ts';

/** What a backend is asked: `auto` is `tcp` of a TCP vip, and of a UDP vip `udp` if it says what to send, else `none`. */
export const checkChoices = ['auto', 'tcp', 'http', 'udp', 'none'] as const;
export type CheckChoice = (typeof checkChoices)[number];
/** What is left of a choice when the vip is known. */
export type CheckName = Exclude<CheckChoice, 'auto'>;

/** A request for a page, HTTP/1.1. */
export interface HttpSettings {
  /** What is asked for, with its query: from `/` on. */
  readonly path: string;
  /** The Host header; the vip unless it says. */
  readonly host?: string;
  /** Codes that are well: numbers and ranges such as `200-399,404`. */
  readonly status: string;
}

/** A datagram and what comes back: text, or bytes in hexadecimal after `0x`. */
export interface UdpSettings {
  readonly send: string;
  /** How the answer must begin; any is well unless it says. */
  readonly expect?: string;
}

/** When clients' packets alone are enough to take a backend out. Counts are of what followed its last sign of life. */
export interface PassiveSettings {
  readonly enabled: boolean;
  /** SYNs sent again without a handshake. */
  readonly unanswered: number;
  /** Segments sent again without a response or handshake. */
  readonly retransmits: number;
  /** Connections reset by clients without a response. */
  readonly resets: number;
  /** Age of the oldest request while nothing is answered. */
  readonly oldestNs: Ns;
  /** How long the first time, and at most; each further time doubles it. */
  readonly ejectionNs: Ns;
  readonly ejectionNsMax: Ns;
  /** Part of a pool's backends that may be out by this at a time, 0 to 1; one may in any case, the last one never. */
  readonly ejectedMax: number;
}

/** How it is found out whether the backends of a pool live. */
export interface HealthSettings {
  readonly check: CheckChoice;
  readonly intervalNs: Ns;
  /** Part of the interval, 0 to `jitterMax`, by which a check may come sooner. */
  readonly jitter: number;
  /** For a whole check, what is sent again included. */
  readonly timeoutNs: Ns;
  /** Checks in a row that bring a backend back up, and that bring it down. */
  readonly rise: number;
  readonly fall: number;
  readonly http: HttpSettings;
  readonly udp?: UdpSettings;
  /** Over how long a backend that came back gets its share. */
  readonly slowStartNs: Ns;
  readonly passive: PassiveSettings;
}

export const healthDefault: HealthSettings = {
  check: 'auto',
  intervalNs: 2e9 as Ns,
  jitter: 0.1,
  timeoutNs: 1e9 as Ns,
  rise: 2,
  fall: 3,
  http: { path: '/', status: '200-399' },
  slowStartNs: 10e9 as Ns,
  passive: {
    enabled: true,
    unanswered: 3,
    retransmits: 20,
    resets: 10,
    oldestNs: 5e9 as Ns,
    ejectionNs: 10e9 as Ns,
    ejectionNsMax: 300e9 as Ns,
    ejectedMax: 0.5,
  },
};

/** Bounds of the interval: faster would be traffic of its own, and a port would come again too soon (`checkPorts`). */
export const intervalNsMin = 100e6;
export const intervalNsMax = 3600e9;
/** Shortest time-out: the poll that looks for it comes every 10 ms. */
export const timeoutNsMin = 20e6;
export const timeoutNsMax = 60e9;
export const jitterMax = 0.5;
/** Most checks in a row that are asked for. */
export const riseFallMax = 100;
export const slowStartNsMax = 3600e9;
/** Bytes of a datagram that is sent or expected, and of a path or host: a request fits one segment of any path. */
export const udpBytesMax = 1024;
export const httpTextMax = 512;
/** Largest count of the passive settings. */
export const evidenceMax = 1_000_000;

/** The check that a vip's backends get. A check of another protocol than the vip's is none. */
export function checkOf({ check, udp }: HealthSettings, proto: number): CheckName {
  const isTcp = proto === ipProtoTcp;
  if (check === 'auto') return isTcp ? 'tcp' : udp === undefined ? 'none' : 'udp';
  return check === 'none' || (check === 'udp') !== isTcp ? check : 'none';
}

/** The bytes of a text that may be hexadecimal after `0x`; undefined if the digits are none or odd in number. */
export function bytesOf(text: string): Uint8Array | undefined {
  if (!text.startsWith('0x')) return new TextEncoder().encode(text);
  return /^0x([0-9a-f]{2})*$/i.test(text) ? Uint8Array.from(Buffer.from(text.slice(2), 'hex')) : undefined;
}

/** First and last code of each range of `200-399,404`; undefined if the text is not made of such. */
export function statusRangesOf(text: string): readonly (readonly [number, number])[] | undefined {
  if (!/^[1-5]\d\d(-[1-5]\d\d)?(,[1-5]\d\d(-[1-5]\d\d)?)*$/.test(text)) return undefined;
  const ranges = text.split(',').map((part): readonly [number, number] => {
    const [first, last = first] = part.split('-');
    return [Number(first), Number(last)];
  });
  return ranges.every(([first, last]) => first <= last) ? ranges : undefined;
}
