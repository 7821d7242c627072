import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Path, payloadOf, tcpPacket, udpPacket } from '../../src/health/packets.ts';
import { formatAddress } from '../../src/net/address.ts';
import { ipProtoTcp, ipProtoUdp } from '../../src/net/constants.ts';
import { tcpAck, tcpPsh, tcpSyn } from '../../src/net/packet.ts';
import { anyAddress } from '../support/arbitraries.ts';
import { areChecksumsRight, decoded, path, path6, udpPath } from './support.ts';

const anyPath = (proto: number): fc.Arbitrary<Path> =>
  fc.constantFrom<4 | 6>(4, 6).chain((family) =>
    fc.record({
      source: anyAddress(family),
      sourcePort: fc.integer({ min: 1, max: 65_535 }),
      vip: fc.record({
        address: anyAddress(family),
        port: fc.integer({ min: 1, max: 65_535 }),
        proto: fc.constant(proto),
      }),
    }),
  );
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const content = fc.uint8Array({ maxLength: 1_100, size: 'max' });

describe('packets of checks', () => {
  test('a SYN over IPv4 is these bytes', () => {
    const hex = Buffer.from(tcpPacket(path, { flags: tcpSyn, seq: 0x01020304 })).toString('hex');
    // Worked out by hand: 0x45, 44 bytes, DF, ttl 64, TCP; ports 61000 and 80, MSS 1220.
    expect(hex.replace(/(.{8})/g, '$1 ').trim()).toBe(
      '4500002c 00004000 40062664 0a000005 0a000064 ee480050 01020304 00000000 60024000 520f0000 020404c4',
    );
  });

  test('are read as what they were made of', () => {
    const payload = new TextEncoder().encode('GET /');
    const data = tcpPacket(path6, { flags: tcpAck | tcpPsh, seq: 5, ack: 0xfffffff0, payload });
    const packet = decoded(data);
    expect(packet).toMatchObject({ family: 6, proto: ipProtoTcp, srcPort: 61_001, dstPort: 8080 });
    expect(packet).toMatchObject({ seq: 5, ack: -16, tcpFlags: tcpAck | tcpPsh, payloadLength: 5, mss: 0 });
    expect(formatAddress(6, packet.dst0, packet.dst1, packet.dst2, packet.dst3)).toBe('2001:db8::100');
    expect(payloadOf(packet, data)).toEqual(payload);
  });

  test('a SYN says which segments the answer may come in, and no other segment does', () => {
    expect(decoded(tcpPacket(path, { flags: tcpSyn, seq: 0 })).mss).toBe(1_220);
    expect(tcpPacket(path, { flags: tcpAck, seq: 0 })).toHaveLength(40);
  });

  test('a UDP checksum of 0 is written as all ones', () => {
    const bytes = [...Array(0x10000).keys()];
    const sum = (data: Uint8Array) => new DataView(data.buffer).getUint16(26);
    const zero = bytes.find((word) => sum(udpPacket(udpPath, Uint8Array.of(word >> 8, word))) === 0xffff);
    expect(zero).toBeDefined();
    expect(areChecksumsRight(udpPacket(udpPath, Uint8Array.of(zero! >> 8, zero!)))).toBe(true);
  });

  test('of any content have right checksums and lengths', () => {
    fc.assert(
      fc.property(anyPath(ipProtoTcp), u32, u32, fc.nat(0x3f), content, (way, seq, ack, flags, payload) => {
        const data = tcpPacket(way, { flags, seq, ack, payload });
        expect(areChecksumsRight(data)).toBe(true);
        expect(decoded(data)).toMatchObject({ seq: seq | 0, ack: ack | 0, tcpFlags: flags });
        expect(payloadOf(decoded(data), data)).toEqual(payload);
      }),
    );
    fc.assert(
      fc.property(anyPath(ipProtoUdp), content, (way, payload) => {
        const data = udpPacket(way, payload);
        expect(areChecksumsRight(data)).toBe(true);
        expect(payloadOf(decoded(data), data)).toEqual(payload);
      }),
    );
  });
});
