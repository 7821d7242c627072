import { describe, expect, it } from 'vitest';
import { ipv6HeadersMax, vlanTagsMax } from '../../src/net/constants.ts';
import { linkTypeNames, linkTypes } from '../../src/net/link.ts';
import { Packet, tcpAck, tcpSyn, type VerdictName, verdicts } from '../../src/net/packet.ts';
import { be16, buildFrame, concat, type Extension, type Frame, ip } from '../support/frames.ts';

const v4 = { src: ip('192.0.2.1'), dst: ip('198.51.100.2') };
const v6 = { src: ip('2001:db8::1'), dst: ip('2001:db8:ffff::2') };
const tcp = { srcPort: 40_000, dstPort: 80, seq: 0x80000001, ack: 7, flags: tcpAck, window: 512 };
const udp = { srcPort: 5353, dstPort: 53 };

interface Captured {
  link?: number;
  captured?: number;
  wire?: number;
}

/** Decodes the bytes on their own; whole, and as long on the wire, unless told otherwise. */
function decode(
  data: Uint8Array,
  { link = 1, captured = data.length, wire = data.length }: Captured = {},
): { verdict: VerdictName; packet: Packet } {
  const packet = new Packet();
  return { verdict: verdicts[packet.decode(data, 0, captured, wire, link)]!, packet };
}

const verdictOf = (data: Uint8Array, captured?: Captured) => decode(data, captured).verdict;
const decodeFrame = (frame: Frame) => decode(buildFrame(frame), { link: frame.link ?? 1 });

/** The frame's bytes with some of them changed. */
function patched(frame: Frame, changes: Record<number, number>): Uint8Array {
  const data = buildFrame(frame);
  for (const [at, value] of Object.entries(changes)) data[Number(at)] = value;
  return data;
}

describe('link types', () => {
  for (const [link, name] of linkTypes) {
    const families = link === 228 ? [v4] : link === 229 ? [v6] : [v4, v6];
    it(`LINKTYPE ${link} (${name}) decodes to the packet in it`, () => {
      for (const addresses of families) {
        const { verdict, packet } = decodeFrame({ link, ...addresses, tcp });
        expect(verdict).toBe('ok');
        expect(packet).toMatchObject({
          family: addresses.src.family,
          src0: addresses.src.words[0],
          dst0: addresses.dst.words[0],
          srcPort: 40_000,
          dstPort: 80,
          ethernetAt: link === 1 ? 0 : -1,
        });
      }
    });

    it(`LINKTYPE ${link} (${name}) without a byte is truncated`, () => {
      expect(verdictOf(new Uint8Array(0), { link, wire: 100 })).toBe('truncated');
    });
  }

  it('any other link type is unsupported, and named as such', () => {
    expect(verdictOf(buildFrame({ ...v4, tcp }), { link: 105 })).toBe('unsupported_link_type');
    expect(linkTypeNames).toBe('NULL, EN10MB, RAW, LOOP, LINUX_SLL, IPV4, IPV6, LINUX_SLL2');
  });

  it('BSD loopback is read in both byte orders and with the IPv6 family numbers of all systems', () => {
    const header4 = buildFrame({ link: 101, ...v4, tcp });
    const header6 = buildFrame({ link: 101, ...v6, tcp });
    for (const link of [0, 108]) {
      const loopback = (family: number[], rest: Uint8Array) =>
        verdictOf(concat(Uint8Array.from(family), rest), { link });
      expect(loopback([2, 0, 0, 0], header4)).toBe('ok');
      expect(loopback([0, 0, 0, 2], header4)).toBe('ok');
      for (const family of [10, 24, 28, 30]) {
        expect(loopback([family, 0, 0, 0], header6)).toBe('ok');
        expect(loopback([0, 0, 0, family], header6)).toBe('ok');
      }
      expect(loopback([0, 0, 0, 0], header4)).toBe('not_ip');
      expect(loopback([0, 2, 0, 0], header4)).toBe('not_ip');
      expect(loopback([2, 0, 0, 1], header4)).toBe('not_ip');
    }
  });

  it('raw IP is told apart by its version', () => {
    const data = buildFrame({ link: 101, ...v4, tcp });
    data[0] = 0x55;
    expect(verdictOf(data, { link: 101 })).toBe('not_ip');
  });

  it('a link type for one IP version refuses the other', () => {
    expect(verdictOf(buildFrame({ link: 101, ...v6, tcp }), { link: 228 })).toBe('malformed');
    expect(verdictOf(buildFrame({ link: 101, ...v4, tcp, payload: new Uint8Array(20) }), { link: 229 })).toBe(
      'malformed',
    );
  });

  it('the place of the Ethernet header is given within the larger data', () => {
    const frame = buildFrame({ ...v4, tcp });
    const packet = new Packet();
    const data = concat(new Uint8Array(10), frame);
    expect(packet.decode(data, 10, frame.length, frame.length, 1)).toBe(0);
    expect(packet.ethernetAt).toBe(10);
  });
});

describe('VLAN tags', () => {
  for (const link of [1, 113, 276]) {
    it(`up to ${vlanTagsMax} are skipped on LINKTYPE ${link}, and the innermost is told`, () => {
      for (let tags = 0; tags <= vlanTagsMax; tags++) {
        const vlans = Array.from({ length: tags }, (_, i) => 4000 + i);
        const { verdict, packet } = decodeFrame({ link, ...v4, tcp, vlans });
        expect(verdict).toBe('ok');
        expect(packet.vlan).toBe(vlans.at(-1) ?? 0);
      }
    });

    it(`more than ${vlanTagsMax} are malformed on LINKTYPE ${link}`, () => {
      const vlans = new Array(vlanTagsMax + 1).fill(7);
      expect(decodeFrame({ link, ...v6, tcp, vlans }).verdict).toBe('malformed');
    });
  }

  it('the provider and the older tag types are known too', () => {
    const frame = { ...v4, tcp, vlans: [5] };
    expect(verdictOf(patched(frame, { 12: 0x88, 13: 0xa8 }))).toBe('ok');
    expect(verdictOf(patched(frame, { 12: 0x91, 13: 0x00 }))).toBe('ok');
  });

  it('priority bits are no part of the identifier', () => {
    expect(decode(patched({ ...v4, tcp, vlans: [5] }, { 14: 0xf0 })).packet.vlan).toBe(5);
  });

  it('a tag cut off is truncated', () => {
    const data = buildFrame({ ...v4, tcp, vlans: [5, 6] });
    expect(verdictOf(data, { captured: 14 })).toBe('truncated');
    expect(verdictOf(data, { captured: 17 })).toBe('truncated');
    expect(verdictOf(data, { captured: 21 })).toBe('truncated');
  });

  it('a tagged frame of another protocol is not IP', () => {
    expect(verdictOf(patched({ ...v4, tcp, vlans: [5] }, { 16: 0x08, 17: 0x06 }))).toBe('not_ip');
  });
});

describe('IPv4', () => {
  it('every field of a TCP packet is read, 32-bit ones as signed', () => {
    const { verdict, packet } = decodeFrame({ ...v4, tcp, payload: new Uint8Array(11) });
    expect(verdict).toBe('ok');
    expect(packet).toMatchObject({
      family: 4,
      src0: 0xc0000201 | 0,
      dst0: 0xc6336402 | 0,
      proto: 6,
      seq: 0x80000001 | 0,
      ack: 7,
      tcpFlags: tcpAck,
      window: 512,
      hasTimestamps: 0,
      mss: 0,
      windowScale: -1,
      sack: 0,
      payloadLength: 11,
      ipLength: 51,
    });
  });

  it('address words of an IPv6 packet before it are gone', () => {
    const packet = new Packet();
    const before = buildFrame({ ...v6, tcp });
    const after = buildFrame({ ...v4, tcp });
    packet.decode(before, 0, before.length, before.length, 1);
    packet.decode(after, 0, after.length, after.length, 1);
    expect([packet.src1, packet.src2, packet.src3]).toEqual([0, 0, 0]);
    expect([packet.dst1, packet.dst2, packet.dst3]).toEqual([0, 0, 0]);
  });

  it('options are skipped', () => {
    for (const length of [4, 20, 40]) {
      const { verdict, packet } = decodeFrame({ ...v4, udp, ipOptions: new Uint8Array(length).fill(1) });
      expect(verdict).toBe('ok');
      expect(packet.dstPort).toBe(53);
    }
  });

  it('a header of less than 20 bytes, of another version, or longer than the packet is malformed', () => {
    expect(verdictOf(patched({ ...v4, tcp }, { 14: 0x44 }))).toBe('malformed');
    expect(verdictOf(patched({ ...v4, tcp }, { 14: 0x65 }))).toBe('malformed');
    expect(verdictOf(patched({ ...v4, tcp }, { 17: 16 }))).toBe('malformed');
  });

  it('a total length beyond the wire is malformed', () => {
    expect(verdictOf(patched({ ...v4, tcp }, { 17: 41 }))).toBe('malformed');
  });

  it('a total length of 0 stands for the wire length, as with BIG TCP', () => {
    const data = patched({ ...v4, tcp, payload: new Uint8Array(100) }, { 16: 0, 17: 0 });
    const { verdict, packet } = decode(data, { captured: 54, wire: 14 + 40 + 90_000 });
    expect(verdict).toBe('ok');
    expect(packet.payloadLength).toBe(90_000);
    expect(packet.ipLength).toBe(90_040);
  });

  it("Ethernet's padding is no payload", () => {
    const { verdict, packet } = decodeFrame({ ...v4, tcp, trailer: new Uint8Array(6) });
    expect(verdict).toBe('ok');
    expect(packet.payloadLength).toBe(0);
  });

  it('the payload counts as the headers say when the capture cut it off', () => {
    const data = buildFrame({ ...v4, tcp, payload: new Uint8Array(1000) });
    const { verdict, packet } = decode(data, { captured: 64, wire: 1054 });
    expect(verdict).toBe('ok');
    expect(packet.payloadLength).toBe(1000);
  });

  it('a wire length below the captured length is taken as the captured length', () => {
    expect(verdictOf(buildFrame({ ...v4, tcp }), { wire: 0 })).toBe('ok');
  });

  it('a first fragment has its ports and what it carries, a later one is a fragment', () => {
    const payload = new Uint8Array(24);
    const first = { ...v4, fragment: { offset: 0, more: true }, payload };
    expect(decodeFrame({ ...first, tcp }).packet.payloadLength).toBe(24);
    // The datagram's length is that of all its fragments: 2000 bytes here.
    const { verdict, packet } = decode(patched({ ...first, udp }, { 38: 0x07, 39: 0xd0 }));
    expect(verdict).toBe('ok');
    expect(packet.dstPort).toBe(53);
    expect(packet.payloadLength).toBe(24);
    // Nothing of the datagram is left for the fragments announced; or not even its own header fits.
    expect(decode(patched({ ...first, udp }, { 38: 0, 39: 20 })).packet.payloadLength).toBe(12);
    expect(verdictOf(patched({ ...first, udp }, { 38: 0, 39: 7 }))).toBe('malformed');
    expect(decodeFrame({ ...v4, tcp, fragment: { offset: 3, more: true } }).verdict).toBe('fragment');
    expect(decodeFrame({ ...v4, tcp, fragment: { offset: 8191, more: false } }).verdict).toBe('fragment');
  });

  it('"do not fragment" is no fragment', () => {
    expect(verdictOf(patched({ ...v4, tcp }, { 20: 0x40 }))).toBe('ok');
  });

  it('another protocol is neither TCP nor UDP', () => {
    expect(decodeFrame({ ...v4, payload: new Uint8Array(8) }).verdict).toBe('not_tcp_or_udp');
  });

  it('a header cut off by the capture is truncated, one that the wire has no room for is malformed', () => {
    const data = buildFrame({ ...v4, tcp });
    expect(verdictOf(data, { captured: 33 })).toBe('truncated');
    expect(verdictOf(data, { captured: 33, wire: 33 })).toBe('malformed');
    expect(verdictOf(data, { captured: 53 })).toBe('truncated');
  });
});

describe('IPv6', () => {
  const extension = (type: number, size: number, length: number): Extension => {
    const rest = new Uint8Array(size - 1);
    rest[0] = length;
    return { type, rest };
  };

  it('all words of both addresses are read', () => {
    const { verdict, packet } = decodeFrame({ ...v6, udp, payload: new Uint8Array(5) });
    expect(verdict).toBe('ok');
    expect([packet.src0, packet.src1, packet.src2, packet.src3]).toEqual(v6.src.words);
    expect([packet.dst0, packet.dst1, packet.dst2, packet.dst3]).toEqual(v6.dst.words);
    expect(packet).toMatchObject({ family: 6, proto: 17, payloadLength: 5, ipLength: 53 });
  });

  for (const [type, name] of [
    [0, 'hop-by-hop options'],
    [43, 'routing'],
    [60, 'destination options'],
    [135, 'mobility'],
    [139, 'host identity'],
    [140, 'shim6'],
  ] as const) {
    it(`a ${name} header is skipped`, () => {
      for (const units of [0, 1, 30]) {
        const extensions = [extension(type, 8 * (units + 1), units)];
        const { verdict, packet } = decodeFrame({ ...v6, tcp, extensions, payload: new Uint8Array(3) });
        expect(verdict).toBe('ok');
        expect(packet).toMatchObject({ proto: 6, dstPort: 80, payloadLength: 3 });
      }
    });
  }

  it('an authentication header counts in units of 4 bytes', () => {
    for (const size of [12, 24, 28]) {
      const { verdict, packet } = decodeFrame({
        ...v6,
        udp,
        extensions: [extension(51, size, size / 4 - 2)],
      });
      expect(verdict).toBe('ok');
      expect(packet.dstPort).toBe(53);
    }
  });

  it('an atomic fragment and a first one have their ports, a later one is a fragment', () => {
    const fragment = (offsetAndMore: number): Extension => ({
      type: 44,
      rest: Uint8Array.from([0, ...be16(offsetAndMore), 0, 0, 0, 9]),
    });
    const verdictAt = (offsetAndMore: number) =>
      decodeFrame({ ...v6, tcp, extensions: [fragment(offsetAndMore)] }).verdict;
    expect(verdictAt(0)).toBe('ok');
    expect(verdictAt(1)).toBe('ok');
    expect(verdictAt(8)).toBe('fragment');
    expect(verdictAt(0xfff8)).toBe('fragment');
    // Of a UDP datagram of 2000 bytes this carries 16.
    const first = { ...v6, udp, extensions: [fragment(1)], payload: new Uint8Array(16) };
    const { verdict, packet } = decode(patched(first, { 66: 0x07, 67: 0xd0 }));
    expect(verdict).toBe('ok');
    expect(packet.payloadLength).toBe(16);
  });

  it('reserved bits of the fragment header do not make a fragment', () => {
    const rest = Uint8Array.from([0, ...be16(6), 0, 0, 0, 9]);
    expect(decodeFrame({ ...v6, tcp, extensions: [{ type: 44, rest }] }).verdict).toBe('ok');
  });

  it(`up to ${ipv6HeadersMax} extension headers are followed, more are malformed`, () => {
    const many = (count: number) => new Array(count).fill(extension(60, 8, 0));
    expect(decodeFrame({ ...v6, tcp, extensions: many(ipv6HeadersMax) }).verdict).toBe('ok');
    expect(decodeFrame({ ...v6, tcp, extensions: many(ipv6HeadersMax + 1) }).verdict).toBe('malformed');
  });

  it('an extension header that runs past the packet is malformed', () => {
    expect(decodeFrame({ ...v6, tcp, extensions: [extension(60, 8, 200)] }).verdict).toBe('malformed');
    expect(decodeFrame({ ...v6, extensions: [extension(60, 5, 0)] }).verdict).toBe('malformed');
  });

  it('an extension header is not continued in what comes after the packet', () => {
    const trailer = new Uint8Array(40);
    expect(verdictOf(patched({ ...v6, extensions: [extension(60, 8, 0)], trailer }, { 19: 4 }))).toBe(
      'malformed',
    );
  });

  it('an extension header cut off by the capture is truncated', () => {
    const data = buildFrame({ ...v6, tcp, extensions: [extension(60, 264, 32)] });
    expect(verdictOf(data, { captured: 14 + 40 + 7 })).toBe('truncated');
    expect(verdictOf(data, { captured: 14 + 40 + 8 })).toBe('truncated');
    expect(verdictOf(data, { captured: 14 + 40 + 264 + 19 })).toBe('truncated');
  });

  it('no next header, encryption and unknown protocols are neither TCP nor UDP', () => {
    for (const next of [58, 59, 50, 4, 255]) {
      expect(verdictOf(patched({ ...v6, tcp }, { 20: next }))).toBe('not_tcp_or_udp');
    }
  });

  it('a payload length of 0 stands for the wire length, as with jumbograms', () => {
    const data = patched({ ...v6, tcp, extensions: [extension(0, 8, 0)] }, { 18: 0, 19: 0 });
    const { verdict, packet } = decode(data, { wire: 14 + 40 + 8 + 20 + 100_000 });
    expect(verdict).toBe('ok');
    expect(packet.payloadLength).toBe(100_000);
    expect(packet.ipLength).toBe(100_068);
  });

  it('a payload length beyond the wire, or another version, is malformed', () => {
    expect(verdictOf(patched({ ...v6, tcp }, { 19: 21 }))).toBe('malformed');
    expect(verdictOf(patched({ ...v6, tcp }, { 14: 0x40 }))).toBe('malformed');
  });

  it('a header cut off by the capture is truncated, one that the wire has no room for is malformed', () => {
    const data = buildFrame({ ...v6, tcp });
    expect(verdictOf(data, { captured: 53 })).toBe('truncated');
    expect(verdictOf(data, { captured: 53, wire: 53 })).toBe('malformed');
  });
});

describe('TCP', () => {
  const decodeOptions = (...options: number[]) => {
    const { verdict, packet } = decodeFrame({ ...v4, tcp: { ...tcp, options: Uint8Array.from(options) } });
    expect(verdict).toBe('ok');
    return packet;
  };
  const timestamps = [8, 10, 0x80, 0, 0, 1, 0, 0, 0, 2];

  it('timestamps after two no-operations are read, as nearly every segment has them', () => {
    expect(decodeOptions(1, 1, ...timestamps)).toMatchObject({
      hasTimestamps: 1,
      tsVal: 0x80000001 | 0,
      tsEcr: 2,
    });
  });

  it('options in any order are read', () => {
    const packet = decodeOptions(2, 4, 0x05, 0xb4, 4, 2, ...timestamps, 1, 3, 3, 7);
    expect(packet).toMatchObject({ mss: 1460, sack: 1, hasTimestamps: 1, tsEcr: 2, windowScale: 7 });
  });

  it('SACK blocks and unknown options are skipped over', () => {
    const packet = decodeOptions(5, 10, 0, 0, 0, 1, 0, 0, 0, 2, 254, 4, 1, 2, 1, 3, 3, 9);
    expect(packet).toMatchObject({ sack: 1, windowScale: 9 });
  });

  it('nothing after the end of the list is read', () => {
    expect(decodeOptions(0, 3, 3, 9)).toMatchObject({ windowScale: -1 });
  });

  it('an option of a wrong length is ignored, an impossible one ends the list', () => {
    expect(decodeOptions(2, 3, 9, 3, 3, 5)).toMatchObject({ mss: 0, windowScale: 5 });
    expect(decodeOptions(8, 4, 0, 0, 3, 3, 5)).toMatchObject({ hasTimestamps: 0, windowScale: 5 });
    expect(decodeOptions(2, 0, 3, 3, 5)).toMatchObject({ windowScale: -1 });
    expect(decodeOptions(2, 1, 3, 3, 5)).toMatchObject({ windowScale: -1 });
    expect(decodeOptions(3, 3, 5, 254, 40, 2, 4, 1)).toMatchObject({ windowScale: 5, mss: 0 });
    expect(decodeOptions(1, 1, 1, 2)).toMatchObject({ mss: 0 });
  });

  it('options of the packet before are gone', () => {
    const packet = new Packet();
    const options = Uint8Array.from([2, 4, 5, 0xb4, 4, 2, 3, 3, 7, ...timestamps]);
    for (const header of [{ ...tcp, options }, tcp]) {
      const data = buildFrame({ ...v4, tcp: header });
      expect(packet.decode(data, 0, data.length, data.length, 1)).toBe(0);
    }
    expect(packet).toMatchObject({ hasTimestamps: 0, tsVal: 0, tsEcr: 0, mss: 0, sack: 0, windowScale: -1 });
  });

  it('options cut off by the capture leave the packet valid', () => {
    const options = Uint8Array.from([1, 1, ...timestamps]);
    const data = buildFrame({ ...v4, tcp: { ...tcp, options } });
    for (let captured = 54; captured < 66; captured++) {
      const { verdict, packet } = decode(data, { captured, wire: 66 });
      expect(verdict).toBe('ok');
      expect(packet.hasTimestamps).toBe(0);
      expect(packet.payloadLength).toBe(0);
    }
    expect(decode(data, { captured: 66 }).packet.hasTimestamps).toBe(1);
  });

  it('what follows a header of 20 bytes is payload, not options', () => {
    const { packet } = decodeFrame({ ...v4, tcp, payload: Uint8Array.from([1, 1, ...timestamps]) });
    expect(packet).toMatchObject({ hasTimestamps: 0, payloadLength: 12 });
  });

  it('a header of less than 20 bytes or longer than the packet is malformed', () => {
    expect(verdictOf(patched({ ...v4, tcp }, { 46: 0x40 }))).toBe('malformed');
    expect(verdictOf(patched({ ...v4, tcp }, { 46: 0x60 }))).toBe('malformed');
  });

  it('a packet too short for a header is malformed', () => {
    expect(verdictOf(patched({ ...v4, payload: new Uint8Array(19) }, { 23: 6 }))).toBe('malformed');
  });

  it('flags are as in the header', () => {
    expect(decodeFrame({ ...v4, tcp: { ...tcp, flags: 0xc0 | tcpSyn } }).packet.tcpFlags).toBe(0xc2);
  });
});

describe('UDP', () => {
  it('bytes of the payload are read as far as they were captured, and nothing beyond', () => {
    const payload = Uint8Array.of(0xc3, 0x80, 0, 0, 1, 8);
    const frame = buildFrame({ ...v4, udp, payload, trailer: new Uint8Array(9).fill(0x77) });
    const { packet } = decode(frame);
    expect([0, 1, 5, 6].map((i) => packet.udpByte(i))).toEqual([0xc3, 0x80, 8, -1]);
    expect([0, 1, 2, 3].map((i) => packet.udpWord(i))).toEqual([-0x3c800000, -0x7fffffff, 0x108, 0]);
    const cut = decode(frame, { captured: 14 + 20 + 8 + 4, wire: frame.length }).packet;
    expect([0, 3, 4].map((i) => cut.udpByte(i))).toEqual([0xc3, 0, -1]);
    expect([0, 1].map((i) => cut.udpWord(i))).toEqual([-0x3c800000, 0]);
  });

  it('a packet without a UDP payload has no bytes of one, whatever was decoded before', () => {
    const packet = new Packet();
    for (const frame of [
      { ...v4, udp },
      { ...v4, tcp, payload: new Uint8Array(9) },
    ]) {
      const withPayload = buildFrame({ ...v4, udp, payload: new Uint8Array(500).fill(1) });
      packet.decode(withPayload, 0, withPayload.length, withPayload.length, 1);
      expect(packet.udpByte(0)).toBe(1);
      const data = buildFrame(frame);
      packet.decode(data, 0, data.length, data.length, 1);
      expect([packet.udpByte(0), packet.udpWord(0)]).toEqual([-1, 0]);
    }
  });

  /** A datagram of 4 bytes whose header says another length. */
  const decodeLength = (length: number) => {
    const [high, low] = be16(length) as [number, number];
    return decode(patched({ ...v4, udp, payload: new Uint8Array(4) }, { 38: high, 39: low }));
  };

  it('the payload is what the length says, and no TCP flag stays from the packet before', () => {
    const packet = new Packet();
    const options = Uint8Array.from([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
    const before = buildFrame({ ...v4, tcp: { ...tcp, options } });
    const data = buildFrame({ ...v4, udp, payload: new Uint8Array(9) });
    packet.decode(before, 0, before.length, before.length, 1);
    expect(packet.decode(data, 0, data.length, data.length, 1)).toBe(0);
    expect(packet).toMatchObject({ proto: 17, payloadLength: 9, tcpFlags: 0, hasTimestamps: 0 });
  });

  it('a length below its header or beyond the packet is malformed', () => {
    expect(decodeLength(7).verdict).toBe('malformed');
    expect(decodeLength(13).verdict).toBe('malformed');
  });

  it('a length shorter than the packet holds', () => {
    expect(decodeLength(8).packet.payloadLength).toBe(0);
    expect(decodeLength(11).packet.payloadLength).toBe(3);
  });

  it('a length of 0 is all of the packet, as with jumbograms', () => {
    expect(decodeLength(0).packet.payloadLength).toBe(4);
  });

  it('a header cut off by the capture is truncated, one that the packet has no room for is malformed', () => {
    expect(verdictOf(buildFrame({ ...v4, udp }), { captured: 41 })).toBe('truncated');
    expect(verdictOf(patched({ ...v4, payload: new Uint8Array(7) }, { 23: 17 }))).toBe('malformed');
  });
});
