import { type Address, parseAddress } from '../../src/net/address.ts';
import { checksumAdd, checksumFinish } from '../../src/net/checksum.ts';
import { ipProtoTcp, ipProtoUdp } from '../../src/net/constants.ts';

/** A TCP header; what is left out is 0. */
export interface TcpHeader {
  srcPort: number;
  dstPort: number;
  seq?: number;
  ack?: number;
  flags?: number;
  window?: number;
  /** Padded with zeros to a multiple of 4 bytes, at most 40. */
  options?: Uint8Array;
}

export interface UdpHeader {
  srcPort: number;
  dstPort: number;
}

/** An IPv6 extension header: its type, and all of its bytes but the first (the type of the next one). */
export interface Extension {
  type: number;
  rest: Uint8Array;
}

/** What a frame is made of. Checksums and lengths are computed; everything not given is 0 or absent. */
export interface Frame {
  /** LINKTYPE_ number, 1 (Ethernet) if left out. */
  link?: number;
  srcMac?: Uint8Array;
  dstMac?: Uint8Array;
  /** VLAN identifiers, outermost first; on Ethernet and both cooked link types. */
  vlans?: readonly number[];
  src: Address;
  dst: Address;
  /** IPv4 options, padded to a multiple of 4 bytes, at most 40. */
  ipOptions?: Uint8Array;
  /** IPv6 extension headers in order. */
  extensions?: readonly Extension[];
  /** IPv4 only: offset in 8-byte units and the more-fragments flag. */
  fragment?: { offset: number; more: boolean };
  tcp?: TcpHeader;
  udp?: UdpHeader;
  payload?: Uint8Array;
  /** Bytes after the packet, such as Ethernet's padding. */
  trailer?: Uint8Array;
}

const none: Uint8Array = new Uint8Array(0);

/** The address that the text says; throws if it is none. */
export function ip(text: string): Address {
  const address = parseAddress(text);
  if (!address) throw new Error(`'${text}' is no address`);
  return address;
}

/** The frame in bytes, with IPv4, TCP and UDP checksums that are right. */
export function buildFrame(frame: Frame): Uint8Array {
  const transport = frame.tcp ? tcp(frame, frame.tcp) : frame.udp ? udp(frame, frame.udp) : none;
  const payload = frame.payload ?? none;
  const proto = frame.tcp ? ipProtoTcp : frame.udp ? ipProtoUdp : 253;
  const { src, dst } = frame;
  if (src.family !== dst.family) throw new Error('a packet has addresses of one family');
  const network = src.family === 4 ? ipv4 : ipv6;
  const header = network(frame, proto, transport.length + payload.length);
  return concat(linkHeader(frame), header, transport, payload, frame.trailer ?? none);
}

/** Bytes written after one another. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** `value` as 16 bits, most significant byte first. */
export const be16 = (value: number): number[] => [(value >>> 8) & 255, value & 255];
/** `value` as 32 bits, most significant byte first. */
export const be32 = (value: number): number[] => [...be16(value >>> 16), ...be16(value)];

/** Bytes of an address: 4 or 16. */
export function addressBytes({ family, words }: Address): Uint8Array {
  return Uint8Array.from((family === 4 ? words.slice(0, 1) : words).flatMap(be32));
}

function linkHeader({ link = 1, srcMac, dstMac, vlans = [], src }: Frame): Uint8Array {
  const etherType = src.family === 4 ? 0x0800 : 0x86dd;
  const types = [...vlans.map(() => 0x8100), etherType];
  // A tag is its own EtherType's payload: the identifier, then the type of what follows.
  const tags = vlans.flatMap((vlan, i) => [...be16(vlan), ...be16(types[i + 1]!)]);
  const mac = (bytes?: Uint8Array) => [...(bytes ?? new Uint8Array(6))];
  switch (link) {
    case 0:
      return Uint8Array.of(src.family === 4 ? 2 : 30, 0, 0, 0);
    case 1:
      return Uint8Array.from([...mac(dstMac), ...mac(srcMac), ...be16(types[0]!), ...tags]);
    case 108:
      return Uint8Array.of(0, 0, 0, src.family === 4 ? 2 : 30);
    case 113:
      return Uint8Array.from([0, 0, 0, 1, 0, 6, ...mac(srcMac), 0, 0, ...be16(types[0]!), ...tags]);
    case 276:
      return Uint8Array.from([
        ...be16(types[0]!),
        0,
        0,
        ...be32(2),
        0,
        1,
        0,
        6,
        ...mac(srcMac),
        0,
        0,
        ...tags,
      ]);
    default:
      return none;
  }
}

function ipv4(frame: Frame, proto: number, length: number): Uint8Array {
  const options = padded(frame.ipOptions ?? none);
  const headerLength = 20 + options.length;
  const { offset, more } = frame.fragment ?? { offset: 0, more: false };
  const header = Uint8Array.from([
    ...[0x40 | (headerLength >> 2), 0],
    ...be16(headerLength + length),
    ...be16(0),
    ...be16((more ? 0x2000 : 0) | offset),
    ...[64, proto, 0, 0],
    ...addressBytes(frame.src),
    ...addressBytes(frame.dst),
    ...options,
  ]);
  header.set(be16(checksumFinish(checksumAdd(0, header))), 10);
  return header;
}

function ipv6(frame: Frame, proto: number, length: number): Uint8Array {
  const extensions = frame.extensions ?? [];
  const types = [...extensions.map(({ type }) => type), proto];
  const rest = concat(...extensions.map(({ rest }, i) => concat(Uint8Array.of(types[i + 1]!), rest)));
  return concat(
    Uint8Array.from([0x60, 0, 0, 0, ...be16(rest.length + length), types[0]!, 64]),
    addressBytes(frame.src),
    addressBytes(frame.dst),
    rest,
  );
}

function tcp(frame: Frame, header: TcpHeader): Uint8Array {
  const { srcPort, dstPort, seq = 0, ack = 0, flags = 0, window = 0 } = header;
  const options = padded(header.options ?? none);
  const bytes = Uint8Array.from([
    ...be16(srcPort),
    ...be16(dstPort),
    ...be32(seq),
    ...be32(ack),
    ...[((20 + options.length) >> 2) << 4, flags],
    ...be16(window),
    ...[0, 0, 0, 0],
    ...options,
  ]);
  bytes.set(be16(transportChecksum(frame, ipProtoTcp, bytes)), 16);
  return bytes;
}

function udp(frame: Frame, { srcPort, dstPort }: UdpHeader): Uint8Array {
  const length = 8 + (frame.payload?.length ?? 0);
  const bytes = Uint8Array.from([...be16(srcPort), ...be16(dstPort), ...be16(length), 0, 0]);
  // 0 would say that there is no checksum (RFC 768).
  bytes.set(be16(transportChecksum(frame, ipProtoUdp, bytes) || 0xffff), 6);
  return bytes;
}

/** The checksum over pseudo header, transport header and payload (RFC 9293, 3.1; RFC 8200, 8.1). */
function transportChecksum({ src, dst, payload = none }: Frame, proto: number, header: Uint8Array): number {
  let sum = checksumAdd(proto + header.length + payload.length, addressBytes(src));
  sum = checksumAdd(sum, addressBytes(dst));
  sum = checksumAdd(sum, header);
  return checksumFinish(checksumAdd(sum, payload));
}

function padded(options: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(options.length / 4) * 4);
  if (bytes.length > 40) throw new Error('options take at most 40 bytes');
  bytes.set(options);
  return bytes;
}
