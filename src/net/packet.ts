import {
  etherTypeIpv4,
  etherTypeIpv6,
  ipProtoTcp,
  ipProtoUdp,
  ipv6HeadersMax,
  vlanTagsMax,
} from './constants.ts';

/**
 * Why a packet was not decoded to its ports. `ok` is 0, so that a verdict can be tested as a truth value.
 * Every packet ends in exactly one of these.
 */
export const verdicts = [
  'ok',
  'unsupported_link_type',
  'not_ip',
  'not_tcp_or_udp',
  'fragment',
  'truncated',
  'malformed',
] as const;

export type VerdictName = (typeof verdicts)[number];

const ok = 0;
const unsupportedLinkType = 1;
const notIp = 2;
const notTcpOrUdp = 3;
const fragment = 4;
const truncated = 5;
const malformed = 6;

/** TCP flag bits of `Packet.tcpFlags` (RFC 9293, 3.1). */
export const tcpFin = 0x01;
export const tcpSyn = 0x02;
export const tcpRst = 0x04;
export const tcpPsh = 0x08;
export const tcpAck = 0x10;

/**
 * A view of one packet's headers, filled in place by `decode` and used again for the next packet: nothing is allocated.
 * UDP packets have `tcpFlags` and `hasTimestamps` 0; the other TCP fields are then undefined.
 *
 * 32-bit fields (addresses, sequence numbers, timestamps) are *signed* integers holding the 32 bits: V8 keeps those
 * unboxed, and sequence arithmetic is signed anyway. Use `>>> 0` to print one.
 */
export class Packet {
  /** 4 or 6. */
  family = 0;
  /** Source address, most significant word first; IPv4 uses word 0 alone, the others are 0. */
  src0 = 0;
  src1 = 0;
  src2 = 0;
  src3 = 0;
  dst0 = 0;
  dst1 = 0;
  dst2 = 0;
  dst3 = 0;
  /** 6 (TCP) or 17 (UDP). */
  proto = 0;
  srcPort = 0;
  dstPort = 0;
  tcpFlags = 0;
  seq = 0;
  ack = 0;
  /** TCP window as in the header, not scaled. */
  window = 0;
  /** 1 if the packet carries a TCP timestamps option (RFC 7323). */
  hasTimestamps = 0;
  tsVal = 0;
  tsEcr = 0;
  /** Maximum segment size of a SYN (RFC 9293, 3.7.1); 0 without the option. */
  mss = 0;
  /** Window scale shift of a SYN (RFC 7323, 2.2); -1 without the option. */
  windowScale = 0;
  /** 1 if SACK is permitted (SYN) or blocks are present (RFC 2018). */
  sack = 0;
  /** Transport payload in bytes according to the headers, whatever was captured; of a first fragment, what it carries. */
  payloadLength = 0;
  /** Whole packet in bytes from the IP header on. */
  ipLength = 0;
  /** Where the Ethernet header starts in the data given to `decode`; -1 if the link has none. */
  ethernetAt = -1;
  /** Innermost VLAN identifier, 0 without a tag. */
  vlan = 0;

  /**
   * Decodes the packet at `data[at, at + capturedLength)`.
   * Reads nothing outside that range, never throws, and leaves the fields undefined unless it returns 0.
   * @param wireLength length of the packet on the wire, >= capturedLength; a shorter one is taken as capturedLength
   * @returns index into `verdicts`, 0 for a TCP or UDP packet with its ports
   */
  decode(data: Uint8Array, at: number, capturedLength: number, wireLength: number, linkType: number): number {
    const end = at + capturedLength;
    const wireEnd = wireLength > capturedLength ? at + wireLength : end;
    this.ethernetAt = -1;
    this.vlan = 0;
    switch (linkType) {
      case 1:
        if (capturedLength < 14) return truncated;
        this.ethernetAt = at;
        return this.#byEtherType(data, at + 12, at + 14, end, wireEnd);
      case 12:
      case 14:
      case 101:
        return this.#byVersion(data, at, end, wireEnd);
      case 228:
        return this.#ipv4(data, at, end, wireEnd);
      case 229:
        return this.#ipv6(data, at, end, wireEnd);
      case 0:
      case 108:
        return this.#loopback(data, at, end, wireEnd);
      case 113:
        if (capturedLength < 16) return truncated;
        return this.#byEtherType(data, at + 14, at + 16, end, wireEnd);
      case 276:
        if (capturedLength < 20) return truncated;
        return this.#byEtherType(data, at, at + 20, end, wireEnd);
      default:
        return unsupportedLinkType;
    }
  }

  /**
   * The EtherType is at `typeAt` and what it describes at `next`, which need not follow it (LINKTYPE_LINUX_SLL2).
   * VLAN tags (802.1Q, 802.1ad and the older 0x9100) are skipped.
   */
  #byEtherType(data: Uint8Array, typeAt: number, next: number, end: number, wireEnd: number): number {
    for (let tags = 0; ; tags++) {
      const type = (data[typeAt]! << 8) | data[typeAt + 1]!;
      if (type === etherTypeIpv4) return this.#ipv4(data, next, end, wireEnd);
      if (type === etherTypeIpv6) return this.#ipv6(data, next, end, wireEnd);
      if (type !== 0x8100 && type !== 0x88a8 && type !== 0x9100) return notIp;
      if (tags === vlanTagsMax) return malformed;
      if (next + 4 > end) return truncated;
      this.vlan = ((data[next]! & 0x0f) << 8) | data[next + 1]!;
      typeAt = next + 2;
      next += 4;
    }
  }

  /** BSD loopback: a 4-byte address family, in either byte order as hosts differ. */
  #loopback(data: Uint8Array, at: number, end: number, wireEnd: number): number {
    if (at + 4 > end) return truncated;
    const low = data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16);
    const family = low === 0 ? data[at + 3]! : data[at + 3]! === 0 ? low : 0;
    if (family === 2) return this.#ipv4(data, at + 4, end, wireEnd);
    // AF_INET6 is 10 on Linux, 24 on NetBSD and OpenBSD, 28 on FreeBSD, 30 on macOS.
    if (family === 10 || family === 24 || family === 28 || family === 30) {
      return this.#ipv6(data, at + 4, end, wireEnd);
    }
    return notIp;
  }

  #byVersion(data: Uint8Array, at: number, end: number, wireEnd: number): number {
    if (at >= end) return truncated;
    const version = data[at]! >> 4;
    if (version === 4) return this.#ipv4(data, at, end, wireEnd);
    if (version === 6) return this.#ipv6(data, at, end, wireEnd);
    return notIp;
  }

  #ipv4(data: Uint8Array, at: number, end: number, wireEnd: number): number {
    if (at + 20 > end) return at + 20 > wireEnd ? malformed : truncated;
    const headerLength = (data[at]! & 0x0f) << 2;
    if (data[at]! >> 4 !== 4 || headerLength < 20) return malformed;
    let ipLength = (data[at + 2]! << 8) | data[at + 3]!;
    // BIG TCP and segmentation offload write 0 where 16 bits do not suffice: the wire length stands in.
    if (ipLength === 0) ipLength = wireEnd - at;
    if (ipLength < headerLength || at + ipLength > wireEnd) return malformed;
    this.family = 4;
    this.ipLength = ipLength;
    this.src0 = word(data, at + 12);
    this.dst0 = word(data, at + 16);
    this.src1 = this.src2 = this.src3 = this.dst1 = this.dst2 = this.dst3 = 0;
    this.proto = data[at + 9]!;
    if ((((data[at + 6]! & 0x1f) << 8) | data[at + 7]!) !== 0) return fragment;
    const moreFragments = (data[at + 6]! & 0x20) !== 0;
    const next = at + headerLength;
    const stop = end < at + ipLength ? end : at + ipLength;
    return this.#transport(data, next, stop, ipLength - headerLength, moreFragments);
  }

  #ipv6(data: Uint8Array, at: number, end: number, wireEnd: number): number {
    if (at + 40 > end) return at + 40 > wireEnd ? malformed : truncated;
    if (data[at]! >> 4 !== 6) return malformed;
    const length = (data[at + 4]! << 8) | data[at + 5]!;
    this.family = 6;
    this.src0 = word(data, at + 8);
    this.src1 = word(data, at + 12);
    this.src2 = word(data, at + 16);
    this.src3 = word(data, at + 20);
    this.dst0 = word(data, at + 24);
    this.dst1 = word(data, at + 28);
    this.dst2 = word(data, at + 32);
    this.dst3 = word(data, at + 36);
    // Length 0 announces a jumbo payload (RFC 2675): the wire length stands in.
    const ipEnd = length === 0 ? wireEnd : at + 40 + length;
    if (ipEnd > wireEnd) return malformed;
    this.ipLength = ipEnd - at;
    const stop = end < ipEnd ? end : ipEnd;
    let header = data[at + 6]!;
    let next = at + 40;
    let moreFragments = false;
    for (let headers = 0; header !== ipProtoTcp && header !== ipProtoUdp; headers++) {
      if (!isExtensionHeader(header)) return notTcpOrUdp;
      if (headers === ipv6HeadersMax) return malformed;
      if (next + 8 > stop) return next + 8 > ipEnd ? malformed : truncated;
      if (header === 44) {
        if ((((data[next + 2]! << 8) | data[next + 3]!) & 0xfff8) !== 0) return fragment;
        moreFragments = (data[next + 3]! & 1) !== 0;
        header = data[next]!;
        next += 8;
      } else {
        // AH counts 4-byte units less 2 (RFC 4302), all others 8-byte units less 1 (RFC 8200).
        const size = header === 51 ? (data[next + 1]! + 2) << 2 : (data[next + 1]! + 1) << 3;
        header = data[next]!;
        next += size;
      }
    }
    this.proto = header;
    return this.#transport(data, next, stop, ipEnd - next, moreFragments);
  }

  /** `end` bounds what was captured, `length` is what the headers promise from `at` on. */
  #transport(data: Uint8Array, at: number, end: number, length: number, moreFragments: boolean): number {
    if (this.proto === ipProtoTcp) return this.#tcp(data, at, end, length);
    if (this.proto !== ipProtoUdp) return notTcpOrUdp;
    if (at + 8 > end) return length < 8 ? malformed : truncated;
    this.srcPort = (data[at]! << 8) | data[at + 1]!;
    this.dstPort = (data[at + 2]! << 8) | data[at + 3]!;
    let udpLength = (data[at + 4]! << 8) | data[at + 5]!;
    // 0 is a jumbogram (RFC 2675, 4); a first fragment states the length of the whole datagram.
    if (udpLength === 0 || (moreFragments && udpLength > length)) udpLength = length;
    if (udpLength < 8 || udpLength > length) return malformed;
    this.payloadLength = udpLength - 8;
    this.tcpFlags = this.hasTimestamps = 0;
    return ok;
  }

  #tcp(data: Uint8Array, at: number, end: number, length: number): number {
    if (at + 20 > end) return length < 20 ? malformed : truncated;
    const headerLength = (data[at + 12]! >> 4) << 2;
    if (headerLength < 20 || headerLength > length) return malformed;
    this.srcPort = (data[at]! << 8) | data[at + 1]!;
    this.dstPort = (data[at + 2]! << 8) | data[at + 3]!;
    this.seq = word(data, at + 4);
    this.ack = word(data, at + 8);
    this.tcpFlags = data[at + 13]!;
    this.window = (data[at + 14]! << 8) | data[at + 15]!;
    this.payloadLength = length - headerLength;
    this.hasTimestamps = this.tsVal = this.tsEcr = this.mss = this.sack = 0;
    this.windowScale = -1;
    if (headerLength === 20) return ok;
    const options = at + 20;
    // Nearly every segment with options carries just NOP NOP timestamps.
    if (headerLength === 32 && options + 12 <= end && word(data, options) === 0x0101080a) {
      this.hasTimestamps = 1;
      this.tsVal = word(data, options + 4);
      this.tsEcr = word(data, options + 8);
      return ok;
    }
    return this.#tcpOptions(data, options, end < at + headerLength ? end : at + headerLength);
  }

  /** Options cut off by the snap length or malformed end the list; the segment itself stays valid (RFC 9293, 3.2). */
  #tcpOptions(data: Uint8Array, at: number, end: number): number {
    while (at < end) {
      const kind = data[at]!;
      if (kind === 0) break;
      if (kind === 1) {
        at++;
        continue;
      }
      const size = at + 1 < end ? data[at + 1]! : 0;
      if (size < 2 || at + size > end) break;
      if (kind === 2 && size === 4) {
        this.mss = (data[at + 2]! << 8) | data[at + 3]!;
      } else if (kind === 3 && size === 3) {
        this.windowScale = data[at + 2]!;
      } else if (kind === 4 || kind === 5) {
        this.sack = 1;
      } else if (kind === 8 && size === 10) {
        this.hasTimestamps = 1;
        this.tsVal = word(data, at + 2);
        this.tsEcr = word(data, at + 6);
      }
      at += size;
    }
    return ok;
  }
}

/** The big-endian 32-bit word at `at`, as a signed integer. */
function word(data: Uint8Array, at: number): number {
  return (data[at]! << 24) | (data[at + 1]! << 16) | (data[at + 2]! << 8) | data[at + 3]!;
}

/** Hop-by-hop, routing, fragment, authentication, destination options, mobility, HIP, shim6 (IANA protocol numbers). */
function isExtensionHeader(header: number): boolean {
  return (
    header === 0 ||
    header === 43 ||
    header === 44 ||
    header === 51 ||
    header === 60 ||
    header === 135 ||
    header === 139 ||
    header === 140
  );
}
