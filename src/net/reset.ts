import { checksumAdd, checksumFinish } from './checksum.ts';
import { ipProtoTcp } from './constants.ts';
import { type Packet, tcpAck, tcpFin, tcpRst } from './packet.ts';
import { put16, put32 } from './put.ts';

const macBytes = 6;
const ipv4Bytes = 20;
const ipv6Bytes = 40;
const tcpBytes = 20;
const hopLimit = 64;
/** "Don't fragment", which lets the identification be 0 (RFC 6864, 4.1). */
const dontFragment = 0x4000;
const dataOffset = (tcpBytes / 4) << 4;

/**
 * Turns a TCP segment that is no reset, in place, into the reset that a host without the connection answers it with
 * (RFC 9293, 3.10.7.1): addresses of both layers and ports swapped, VLAN tags kept.
 * @param frame begins with its Ethernet header, and is what the packet was decoded from; IP begins at `ipAt`
 * @returns length of the frame now, which is no more than it was
 */
export function writeReset(frame: Uint8Array, ipAt: number, packet: Packet): number {
  for (let i = 0; i < macBytes; i++) {
    const byte = frame[i]!;
    frame[i] = frame[macBytes + i]!;
    frame[macBytes + i] = byte;
  }
  const tcpAt = packet.family === 4 ? writeIpv4(frame, ipAt, packet) : writeIpv6(frame, ipAt, packet);
  writeTcp(frame, tcpAt, packet);
  const addressesAt = packet.family === 4 ? ipAt + 12 : ipAt + 8;
  const pseudo = checksumAdd(ipProtoTcp + tcpBytes, frame, addressesAt, tcpAt);
  put16(frame, tcpAt + 16, checksumFinish(checksumAdd(pseudo, frame, tcpAt, tcpAt + tcpBytes)));
  return tcpAt + tcpBytes;
}

function writeIpv4(frame: Uint8Array, at: number, { src0, dst0 }: Packet): number {
  frame[at] = 0x45;
  frame[at + 1] = 0;
  put16(frame, at + 2, ipv4Bytes + tcpBytes);
  put16(frame, at + 4, 0);
  put16(frame, at + 6, dontFragment);
  frame[at + 8] = hopLimit;
  frame[at + 9] = ipProtoTcp;
  put16(frame, at + 10, 0);
  put32(frame, at + 12, dst0);
  put32(frame, at + 16, src0);
  put16(frame, at + 10, checksumFinish(checksumAdd(0, frame, at, at + ipv4Bytes)));
  return at + ipv4Bytes;
}

function writeIpv6(frame: Uint8Array, at: number, packet: Packet): number {
  put32(frame, at, 0x6000_0000);
  put16(frame, at + 4, tcpBytes);
  frame[at + 6] = ipProtoTcp;
  frame[at + 7] = hopLimit;
  const { src0, src1, src2, src3, dst0, dst1, dst2, dst3 } = packet;
  put32(frame, at + 8, dst0);
  put32(frame, at + 12, dst1);
  put32(frame, at + 16, dst2);
  put32(frame, at + 20, dst3);
  put32(frame, at + 24, src0);
  put32(frame, at + 28, src1);
  put32(frame, at + 32, src2);
  put32(frame, at + 36, src3);
  return at + ipv6Bytes;
}

/** All but the checksum. */
function writeTcp(frame: Uint8Array, at: number, packet: Packet): void {
  const isAck = (packet.tcpFlags & tcpAck) !== 0;
  const length = packet.payloadLength + (packet.tcpFlags & tcpFin ? 1 : 0);
  put16(frame, at, packet.dstPort);
  put16(frame, at + 2, packet.srcPort);
  put32(frame, at + 4, isAck ? packet.ack : 0);
  put32(frame, at + 8, isAck ? 0 : packet.seq + length);
  frame[at + 12] = dataOffset;
  frame[at + 13] = isAck ? tcpRst : tcpRst | tcpAck;
  put32(frame, at + 14, 0);
  put16(frame, at + 18, 0);
}
