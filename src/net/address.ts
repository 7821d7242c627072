import ipaddr from 'ipaddr.js';
import { InbandError } from '../errors.ts';
import { ipProtoTcp, ipProtoUdp } from './constants.ts';

/** An address as four 32-bit words (signed, as in `Packet`), most significant first; IPv4 uses word 0 alone. */
export interface Address {
  readonly family: 4 | 6;
  readonly words: readonly [number, number, number, number];
}

/** An address, a port (1 to 65535) and a transport protocol: what a client connects to. */
export interface Endpoint {
  readonly address: Address;
  readonly port: number;
  /** 6 (TCP) or 17 (UDP). */
  readonly proto: number;
}

/** Parses an IPv4 or IPv6 address; undefined if it is none. IPv4 needs all four decimal parts. */
export function parseAddress(text: string): Address | undefined {
  if (!(ipaddr.IPv4.isValidFourPartDecimal(text) || ipaddr.IPv6.isValid(text)) || text.includes('%')) {
    return undefined;
  }
  const bytes = ipaddr.parse(text).toByteArray();
  const word = (at: number) =>
    at < bytes.length
      ? (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
      : 0;
  return { family: bytes.length === 4 ? 4 : 6, words: [word(0), word(4), word(8), word(12)] };
}

/** `10.0.0.1` or the RFC 5952 form of an IPv6 address. */
export function formatAddress(family: number, w0: number, w1: number, w2: number, w3: number): string {
  const bytes = [w0, w1, w2, w3]
    .slice(0, family === 4 ? 1 : 4)
    .flatMap((w) => [(w >>> 24) & 255, (w >>> 16) & 255, (w >>> 8) & 255, w & 255]);
  return ipaddr.fromByteArray(bytes).toString();
}

/** `tcp`, `udp`, or the number. */
export function formatProto(proto: number): string {
  return proto === ipProtoTcp ? 'tcp' : proto === ipProtoUdp ? 'udp' : String(proto);
}

/** `10.0.0.1:80/tcp`, `[2001:db8::1]:443/udp`. */
export function formatEndpoint({ address, port, proto }: Endpoint): string {
  const text = formatAddress(address.family, ...address.words);
  return `${address.family === 6 ? `[${text}]` : text}:${port}/${formatProto(proto)}`;
}

/**
 * Parses `ADDR:PORT/PROTO`, with brackets around an IPv6 address and PROTO `tcp` or `udp`.
 * @throws InbandError `USAGE` naming `what`, what was given and what is allowed.
 */
export function parseEndpoint(text: string, what: string): Endpoint {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})\/(tcp|udp)$/i.exec(text.trim());
  const address = match ? parseAddress(match[1] ?? match[2]!) : undefined;
  const port = match ? Number(match[3]) : 0;
  if (!match || !address || (match[1] === undefined) !== (address.family === 4) || port < 1 || port > 65535) {
    throw new InbandError('USAGE', `${what}: '${text}' is not ADDR:PORT/PROTO`, {
      hint: 'for example 10.0.0.1:80/tcp or [2001:db8::1]:443/udp',
    });
  }
  return { address, port, proto: match[4]!.toLowerCase() === 'tcp' ? ipProtoTcp : ipProtoUdp };
}
