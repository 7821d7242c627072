import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checksumAdd, checksumFinish } from '../../src/net/checksum.ts';
import { Packet, tcpAck, tcpFin, tcpPsh, tcpRst } from '../../src/net/packet.ts';
import { writeReset } from '../../src/net/reset.ts';
import { buildFrame, type Frame, ip } from '../support/frames.ts';

const client = Uint8Array.of(2, 0, 0, 0, 0, 9);
const own = Uint8Array.of(2, 0, 0, 0, 0, 1);
const ethernet = 14;

/** What a segment to 10.0.0.1:80 is answered with. */
function answerTo(frame: Frame): Uint8Array {
  const data = buildFrame({ srcMac: client, dstMac: own, ...frame });
  const packet = new Packet();
  expect(packet.decode(data, 0, data.length, data.length, 1)).toBe(0);
  const length = writeReset(data, ethernet + 4 * (frame.vlans?.length ?? 0), packet);
  return data.subarray(0, length);
}

const segment = (tcp: Partial<Frame['tcp']> = {}, rest: Partial<Frame> = {}): Frame => ({
  src: ip('192.0.2.1'),
  dst: ip('10.0.0.1'),
  tcp: { srcPort: 0x1234, dstPort: 80, seq: 1_000, ack: 0x01020304, flags: tcpAck | tcpPsh, ...tcp },
  ...rest,
});

/** Whether the checksums of the answer are right, and what it says. */
function read(frame: Uint8Array) {
  const packet = new Packet();
  expect(packet.decode(frame, 0, frame.length, frame.length, 1)).toBe(0);
  const ipAt = frame.length - packet.ipLength;
  if (packet.family === 4) expect(checksumFinish(checksumAdd(0, frame, ipAt, ipAt + 20))).toBe(0);
  const tcpAt = frame.length - 20;
  const pseudo = checksumAdd(6 + 20, frame, packet.family === 4 ? ipAt + 12 : ipAt + 8, tcpAt);
  expect(checksumFinish(checksumAdd(pseudo, frame, tcpAt))).toBe(0);
  return packet;
}

describe('a reset', () => {
  it('is right byte by byte', () => {
    const answer = answerTo(segment({ window: 500 }, { payload: Uint8Array.of(1, 2, 3) }));
    const header = [0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1];
    const headerSum = checksumFinish(checksumAdd(0, Uint8Array.from(header)));
    header.splice(10, 2, headerSum >> 8, headerSum & 255);
    const tcp = [0, 80, 0x12, 0x34, 1, 2, 3, 4, 0, 0, 0, 0, 0x50, tcpRst, 0, 0, 0, 0, 0, 0];
    const pseudo = [10, 0, 0, 1, 192, 0, 2, 1, 0, 6, 0, 20];
    const tcpSum = checksumFinish(checksumAdd(0, Uint8Array.from([...pseudo, ...tcp])));
    tcp.splice(16, 2, tcpSum >> 8, tcpSum & 255);
    expect([...answer]).toEqual([...client, ...own, 8, 0, ...header, ...tcp]);
  });

  it('of a segment that acknowledges nothing acknowledges it (RFC 9293, 3.10.7.1)', () => {
    const { seq, ack, tcpFlags } = read(answerTo(segment({ flags: tcpFin }, { payload: new Uint8Array(7) })));
    expect({ seq, ack, tcpFlags }).toEqual({ seq: 0, ack: 1_008, tcpFlags: tcpRst | tcpAck });
    expect(read(answerTo(segment({ flags: 0, seq: -1 }))).ack).toBe(-1);
  });

  it('keeps VLAN tags, and nothing that came behind them but the addresses', () => {
    const answer = answerTo(
      segment(
        { options: new Uint8Array(20).fill(1) },
        { vlans: [7, 8], ipOptions: new Uint8Array(8).fill(1), trailer: new Uint8Array(9) },
      ),
    );
    expect(answer.length).toBe(ethernet + 8 + 40);
    expect(read(answer).vlan).toBe(8);
  });

  it('of IPv6 is one of IPv6, without extension headers', () => {
    const extensions = [{ type: 60, rest: new Uint8Array(7) }];
    const answer = answerTo(segment({}, { src: ip('2001:db8::9'), dst: ip('2001:db8::1'), extensions }));
    const { src3, dst3, srcPort, dstPort, seq, tcpFlags } = read(answer);
    expect(answer.length).toBe(ethernet + 60);
    expect({ src3, dst3, srcPort, dstPort, seq, tcpFlags }).toEqual({
      ...{ src3: 1, dst3: 9, srcPort: 80, dstPort: 0x1234, seq: 0x01020304, tcpFlags: tcpRst },
    });
  });

  it('of any segment goes back to where that came from, with right checksums', () => {
    const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
    fc.assert(
      fc.property(
        fc.record({ seq: word, ack: word, flags: fc.constantFrom(0, tcpFin, tcpAck, tcpAck | tcpFin) }),
        fc.nat(1400),
        fc.constantFrom<[string, string]>(['192.0.2.255', '10.255.0.1'], ['ff:1::ffff', '2001:db8::1']),
        fc.integer({ min: 1, max: 65_535 }),
        (tcp, bytes, [from, to], port) => {
          const answer = answerTo(
            segment(
              { ...tcp, srcPort: port },
              { src: ip(from), dst: ip(to), payload: new Uint8Array(bytes).fill(0xa5) },
            ),
          );
          const packet = read(answer);
          expect([packet.src0, packet.dst0]).toEqual([ip(to).words[0], ip(from).words[0]]);
          expect([packet.srcPort, packet.dstPort, packet.payloadLength]).toEqual([80, port, 0]);
          expect(packet.seq).toBe(tcp.flags & tcpAck ? tcp.ack : 0);
        },
      ),
    );
  });
});
