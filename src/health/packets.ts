import type { Address, Endpoint } from '../net/address.ts';
import { checksumAdd, checksumFinish } from '../net/checksum.ts';
import { ipProtoTcp, ipProtoUdp } from '../net/constants.ts';
import { type Packet, tcpSyn } from '../net/packet.ts';
import { put16, put32 } from '../net/put.ts';

/** Hops that a check may take. */
const hopLimit = 64;
/** Segments that answers come in: fits any path of IPv6 (RFC 8200, 5). */
const mss = 1220;
/** What a check lets a server send before it is acknowledged. */
const window = 16_384;

/** Where checks come from and go to. */
export interface Path {
  readonly source: Address;
  readonly sourcePort: number;
  /** Of the same family as the source. */
  readonly vip: Endpoint;
}

/** What is particular to a TCP segment; numbers are taken modulo 2^32. */
export interface Segment {
  readonly flags: number;
  readonly seq: number;
  readonly ack?: number;
  readonly payload?: Uint8Array;
}

const noBytes = new Uint8Array(0);

/** A whole packet of a TCP segment with its checksums; a SYN says the largest segment (RFC 9293, 3.7.1). */
export function tcpPacket(path: Path, { flags, seq, ack = 0, payload = noBytes }: Segment): Uint8Array {
  const options = (flags & tcpSyn) !== 0 ? 4 : 0;
  const [packet, at] = ipPacket(path, ipProtoTcp, 20 + options + payload.length);
  put16(packet, at, path.sourcePort);
  put16(packet, at + 2, path.vip.port);
  put32(packet, at + 4, seq);
  put32(packet, at + 8, ack);
  packet[at + 12] = ((20 + options) >> 2) << 4;
  packet[at + 13] = flags;
  put16(packet, at + 14, window);
  if (options > 0) put32(packet, at + 20, (2 << 24) | (4 << 16) | mss);
  packet.set(payload, at + 20 + options);
  put16(packet, at + 16, transportChecksum(packet, path, ipProtoTcp, at));
  return packet;
}

/** A whole packet of a UDP datagram with its checksums. */
export function udpPacket(path: Path, payload: Uint8Array): Uint8Array {
  const [packet, at] = ipPacket(path, ipProtoUdp, 8 + payload.length);
  put16(packet, at, path.sourcePort);
  put16(packet, at + 2, path.vip.port);
  put16(packet, at + 4, 8 + payload.length);
  packet.set(payload, at + 8);
  // 0 would say that there is none (RFC 768).
  put16(packet, at + 6, transportChecksum(packet, path, ipProtoUdp, at) || 0xffff);
  return packet;
}

/** The payload of a TCP or UDP packet that was decoded from the beginning of `data`, as far as it is there. */
export function payloadOf({ ipLength, payloadLength }: Packet, data: Uint8Array): Uint8Array {
  return data.subarray(ipLength - payloadLength, ipLength);
}

/** A packet of so many bytes after its IP header, and where that ends. */
function ipPacket({ source, vip }: Path, proto: number, length: number): [Uint8Array, number] {
  return vip.address.family === 4
    ? ipv4Packet(source, vip.address, proto, length)
    : ipv6Packet(source, vip.address, proto, length);
}

function ipv4Packet(
  source: Address,
  destination: Address,
  proto: number,
  length: number,
): [Uint8Array, number] {
  const packet = new Uint8Array(20 + length);
  packet[0] = 0x45;
  put16(packet, 2, packet.length);
  // Don't fragment: an identification means nothing then (RFC 6864).
  put16(packet, 6, 0x4000);
  packet[8] = hopLimit;
  packet[9] = proto;
  put32(packet, 12, source.words[0]);
  put32(packet, 16, destination.words[0]);
  put16(packet, 10, checksumFinish(checksumAdd(0, packet, 0, 20)));
  return [packet, 20];
}

function ipv6Packet(
  source: Address,
  destination: Address,
  proto: number,
  length: number,
): [Uint8Array, number] {
  const packet = new Uint8Array(40 + length);
  packet[0] = 0x60;
  put16(packet, 4, length);
  packet[6] = proto;
  packet[7] = hopLimit;
  for (let i = 0; i < 4; i++) {
    put32(packet, 8 + 4 * i, source.words[i]!);
    put32(packet, 24 + 4 * i, destination.words[i]!);
  }
  return [packet, 40];
}

/** Over the pseudo-header (RFC 9293, 3.1; RFC 8200, 8.1) and what begins at `at`, whose own checksum is 0. */
function transportChecksum(packet: Uint8Array, { vip }: Path, proto: number, at: number): number {
  const addresses = vip.address.family === 4 ? 12 : 8;
  const sum = checksumAdd(proto + packet.length - at, packet, addresses, at);
  return checksumFinish(checksumAdd(sum, packet, at));
}
