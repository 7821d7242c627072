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
  /** The data last decoded from, and a view of it: one bounds check and one load per field instead of one per byte. */
  #data: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(this.#data.buffer);
  /** Where the payload of the UDP packet last decoded starts, and where what was captured of it ends. */
  #payloadAt = 0;
  #payloadEnd = 0;

  /**
   * Decodes the packet at `data[at, at + capturedLength)`.
   * Reads nothing outside that range, never throws, and leaves the fields undefined unless it returns 0.
   * @param wireLength length of the packet on the wire, >= capturedLength; a shorter one is taken as capturedLength
   * @returns index into `verdicts`, 0 for a TCP or UDP packet with its ports
   */
  decode(data: Uint8Array, at: number, capturedLength: number, wireLength: number, linkType: number): number {
    if (data !== this.#data) {
      this.#data = data;
      this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    }
    const view = this.#view;
    const end = at + capturedLength;
    const wireEnd = wireLength > capturedLength ? at + wireLength : end;
    this.ethernetAt = -1;
    this.vlan = 0;
    switch (linkType) {
      case 1:
        if (capturedLength < 14) return truncated;
        this.ethernetAt = at;
        return this.#byEtherType(view, at + 12, at + 14, end, wireEnd);
      case 12:
      case 14:
      case 101:
        return this.#byVersion(view, at, end, wireEnd);
      case 228:
        return this.#ipv4(view, at, end, wireEnd);
      case 229:
        return this.#ipv6(view, at, end, wireEnd);
      case 0:
      case 108:
        return this.#loopback(view, at, end, wireEnd);
      case 113:
        if (capturedLength < 16) return truncated;
        return this.#byEtherType(view, at + 14, at + 16, end, wireEnd);
      case 276:
        if (capturedLength < 20) return truncated;
        return this.#byEtherType(view, at, at + 20, end, wireEnd);
      default:
        return unsupportedLinkType;
    }
  }

  /**
   * Byte `index` (0 and up) of the payload of a UDP packet; -1 where none was captured, and of a packet that is not UDP.
   * Reads the data given to `decode`: valid until that changes.
   */
  udpByte(index: number): number {
    const at = this.#payloadAt + index;
    return at < this.#payloadEnd ? this.#view.getUint8(at) : -1;
  }

  /** Bytes `index` to `index` + 3 of the same, as a signed integer; 0 where one of them was not captured. */
  udpWord(index: number): number {
    const at = this.#payloadAt + index;
    return at + 4 <= this.#payloadEnd ? this.#view.getInt32(at) : 0;
  }

  /**
   * The EtherType is at `typeAt` and what it describes at `next`, which need not follow it (LINKTYPE_LINUX_SLL2).
   * VLAN tags (802.1Q, 802.1ad and the older 0x9100) are skipped.
   */
  #byEtherType(view: DataView, typeAt: number, next: number, end: number, wireEnd: number): number {
    for (let tags = 0; ; tags++) {
      const type = view.getUint16(typeAt);
      if (type === etherTypeIpv4) return this.#ipv4(view, next, end, wireEnd);
      if (type === etherTypeIpv6) return this.#ipv6(view, next, end, wireEnd);
      if (type !== 0x8100 && type !== 0x88a8 && type !== 0x9100) return notIp;
      if (tags === vlanTagsMax) return malformed;
      if (next + 4 > end) return truncated;
      this.vlan = view.getUint16(next) & 0x0fff;
      typeAt = next + 2;
      next += 4;
    }
  }

  /** BSD loopback: a 4-byte address family, in either byte order as hosts differ. */
  #loopback(view: DataView, at: number, end: number, wireEnd: number): number {
    if (at + 4 > end) return truncated;
    const low = view.getUint8(at) | (view.getUint8(at + 1) << 8) | (view.getUint8(at + 2) << 16);
    const family = low === 0 ? view.getUint8(at + 3) : view.getUint8(at + 3) === 0 ? low : 0;
    if (family === 2) return this.#ipv4(view, at + 4, end, wireEnd);
    // AF_INET6 is 10 on Linux, 24 on NetBSD and OpenBSD, 28 on FreeBSD, 30 on macOS.
    if (family === 10 || family === 24 || family === 28 || family === 30) {
      return this.#ipv6(view, at + 4, end, wireEnd);
    }
    return notIp;
  }

  #byVersion(view: DataView, at: number, end: number, wireEnd: number): number {
    if (at >= end) return truncated;
    const version = view.getUint8(at) >> 4;
    if (version === 4) return this.#ipv4(view, at, end, wireEnd);
    if (version === 6) return this.#ipv6(view, at, end, wireEnd);
    return notIp;
  }

  #ipv4(view: DataView, at: number, end: number, wireEnd: number): number {
    if (at + 20 > end) return at + 20 > wireEnd ? malformed : truncated;
    const headerLength = (view.getUint8(at) & 0x0f) << 2;
    if (view.getUint8(at) >> 4 !== 4 || headerLength < 20) return malformed;
    let ipLength = view.getUint16(at + 2);
    // BIG TCP and segmentation offload write 0 where 16 bits do not suffice: the wire length stands in.
    if (ipLength === 0) ipLength = wireEnd - at;
    if (ipLength < headerLength || at + ipLength > wireEnd) return malformed;
    this.family = 4;
    this.ipLength = ipLength;
    this.src0 = view.getInt32(at + 12);
    this.dst0 = view.getInt32(at + 16);
    this.src1 = this.src2 = this.src3 = this.dst1 = this.dst2 = this.dst3 = 0;
    this.proto = view.getUint8(at + 9);
    if ((view.getUint16(at + 6) & 0x1fff) !== 0) return fragment;
    const moreFragments = (view.getUint8(at + 6) & 0x20) !== 0;
    const next = at + headerLength;
    const stop = end < at + ipLength ? end : at + ipLength;
    return this.#transport(view, next, stop, ipLength - headerLength, moreFragments);
  }

  #ipv6(view: DataView, at: number, end: number, wireEnd: number): number {
    if (at + 40 > end) return at + 40 > wireEnd ? malformed : truncated;
    if (view.getUint8(at) >> 4 !== 6) return malformed;
    const length = view.getUint16(at + 4);
    this.family = 6;
    this.src0 = view.getInt32(at + 8);
    this.src1 = view.getInt32(at + 12);
    this.src2 = view.getInt32(at + 16);
    this.src3 = view.getInt32(at + 20);
    this.dst0 = view.getInt32(at + 24);
    this.dst1 = view.getInt32(at + 28);
    this.dst2 = view.getInt32(at + 32);
    this.dst3 = view.getInt32(at + 36);
    // Length 0 announces a jumbo payload (RFC 2675): the wire length stands in.
    const ipEnd = length === 0 ? wireEnd : at + 40 + length;
    if (ipEnd > wireEnd) return malformed;
    this.ipLength = ipEnd - at;
    const stop = end < ipEnd ? end : ipEnd;
    let header = view.getUint8(at + 6);
    let next = at + 40;
    let moreFragments = false;
    for (let headers = 0; header !== ipProtoTcp && header !== ipProtoUdp; headers++) {
      if (!isExtensionHeader(header)) return notTcpOrUdp;
      if (headers === ipv6HeadersMax) return malformed;
      if (next + 8 > stop) return next + 8 > ipEnd ? malformed : truncated;
      if (header === 44) {
        if ((view.getUint16(next + 2) & 0xfff8) !== 0) return fragment;
        moreFragments = (view.getUint8(next + 3) & 1) !== 0;
        header = view.getUint8(next);
        next += 8;
      } else {
        // AH counts 4-byte units less 2 (RFC 4302), all others 8-byte units less 1 (RFC 8200).
        const size = header === 51 ? (view.getUint8(next + 1) + 2) << 2 : (view.getUint8(next + 1) + 1) << 3;
        header = view.getUint8(next);
        next += size;
      }
    }
    this.proto = header;
    return this.#transport(view, next, stop, ipEnd - next, moreFragments);
  }

  /** `end` bounds what was captured, `length` is what the headers promise from `at` on. */
  #transport(view: DataView, at: number, end: number, length: number, moreFragments: boolean): number {
    if (this.proto === ipProtoTcp) return this.#tcp(view, at, end, length);
    if (this.proto !== ipProtoUdp) return notTcpOrUdp;
    if (at + 8 > end) return length < 8 ? malformed : truncated;
    this.srcPort = view.getUint16(at);
    this.dstPort = view.getUint16(at + 2);
    let udpLength = view.getUint16(at + 4);
    // 0 is a jumbogram (RFC 2675, 4); a first fragment states the length of the whole datagram.
    if (udpLength === 0 || (moreFragments && udpLength > length)) udpLength = length;
    if (udpLength < 8 || udpLength > length) return malformed;
    this.payloadLength = udpLength - 8;
    this.#payloadAt = at + 8;
    this.#payloadEnd = end < at + udpLength ? end : at + udpLength;
    this.tcpFlags = this.hasTimestamps = 0;
    return ok;
  }

  #tcp(view: DataView, at: number, end: number, length: number): number {
    if (at + 20 > end) return length < 20 ? malformed : truncated;
    const headerLength = (view.getUint8(at + 12) >> 4) << 2;
    if (headerLength < 20 || headerLength > length) return malformed;
    this.#payloadEnd = 0;
    this.srcPort = view.getUint16(at);
    this.dstPort = view.getUint16(at + 2);
    this.seq = view.getInt32(at + 4);
    this.ack = view.getInt32(at + 8);
    this.tcpFlags = view.getUint8(at + 13);
    this.window = view.getUint16(at + 14);
    this.payloadLength = length - headerLength;
    this.hasTimestamps = this.tsVal = this.tsEcr = this.mss = this.sack = 0;
    this.windowScale = -1;
    if (headerLength === 20) return ok;
    const options = at + 20;
    // Nearly every segment with options carries just NOP NOP timestamps.
    if (headerLength === 32 && options + 12 <= end && view.getInt32(options) === 0x0101080a) {
      this.hasTimestamps = 1;
      this.tsVal = view.getInt32(options + 4);
      this.tsEcr = view.getInt32(options + 8);
      return ok;
    }
    return this.#tcpOptions(view, options, end < at + headerLength ? end : at + headerLength);
  }

  /** Options cut off by the snap length or malformed end the list; the segment itself stays valid (RFC 9293, 3.2). */
  #tcpOptions(view: DataView, at: number, end: number): number {
    while (at < end) {
      const kind = view.getUint8(at);
      if (kind === 0) break;
      if (kind === 1) {
        at++;
        continue;
      }
      const size = at + 1 < end ? view.getUint8(at + 1) : 0;
      if (size < 2 || at + size > end) break;
      if (kind === 2 && size === 4) {
        this.mss = view.getUint16(at + 2);
      } else if (kind === 3 && size === 3) {
        this.windowScale = view.getUint8(at + 2);
      } else if (kind === 4 || kind === 5) {
        this.sack = 1;
      } else if (kind === 8 && size === 10) {
        this.hasTimestamps = 1;
        this.tsVal = view.getInt32(at + 2);
        this.tsEcr = view.getInt32(at + 6);
      }
      at += size;
    }
    return ok;
  }
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
