import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tcpPacket } from '../../src/health/packets.ts';
import { TcpCheck } from '../../src/health/tcp-check.ts';
import { tcpAck, tcpRst, tcpSyn } from '../../src/net/packet.ts';
import { backwards, decoded, ms, path, path6, shown } from './support.ts';

const seq = 0xffffffff;
const back = backwards(path);
const synAck = tcpPacket(back, { flags: tcpSyn | tcpAck, seq: 500, ack: 0 });

/** A check with a random number of all ones, and what it sends. */
function begun(canSend = () => true) {
  const sent: string[] = [];
  const check = new TcpCheck(path, seq, ms(900), (packet) => {
    if (!canSend()) return false;
    sent.push(shown(packet));
    return true;
  });
  const take = (data: Uint8Array, atMs: number) => check.take(decoded(data), data, ms(atMs));
  check.poll(ms(0));
  return { check, sent, take };
}

describe('a check by handshake', () => {
  test('is passed by a SYN-ACK, and resets the connection', () => {
    const { check, sent, take } = begun();
    expect(check.verdict).toBeUndefined();
    take(synAck, 2);
    expect(check.verdict).toEqual({ passed: true, reason: 'SYN-ACK after 2ms' });
    expect(check.isOver).toBe(true);
    expect(sent).toEqual(['SYN 4294967295', 'RST 0']);
  });

  test('is failed by a reset of that SYN', () => {
    const { check, sent, take } = begun();
    take(tcpPacket(back, { flags: tcpRst | tcpAck, seq: 0, ack: 0 }), 1);
    expect(check.verdict).toEqual({ passed: false, reason: 'connection refused' });
    expect(sent).toEqual(['SYN 4294967295']);
  });

  test('sends a lost SYN again twice, and gives up at the time-out', () => {
    const { check, sent } = begun();
    for (let at = 0; at < 900; at += 10) check.poll(ms(at));
    expect(sent).toHaveLength(3);
    expect(check.verdict).toBeUndefined();
    check.poll(ms(900));
    expect(check.verdict).toEqual({ passed: false, reason: 'no SYN-ACK within 900ms' });
    check.poll(ms(2_000));
    expect(sent).toHaveLength(3);
  });

  test('is passed by the answer to a SYN that was sent again', () => {
    const { check, take } = begun();
    check.poll(ms(300));
    take(synAck, 310);
    expect(check.verdict?.passed).toBe(true);
  });

  test('resets a connection that the server remembers from before, and asks again', () => {
    const { check, sent, take } = begun();
    take(tcpPacket(back, { flags: tcpAck, seq: 9, ack: 1_234 }), 1);
    expect(check.verdict).toBeUndefined();
    check.poll(ms(300));
    take(synAck, 301);
    expect(sent).toEqual(['SYN 4294967295', 'RST 1234', 'SYN 4294967295', 'RST 0']);
    expect(check.verdict?.passed).toBe(true);
  });

  test('believes no reset and no SYN-ACK that acknowledges something else', () => {
    const { check, take } = begun();
    take(tcpPacket(back, { flags: tcpRst | tcpAck, seq: 0, ack: 17 }), 1);
    take(tcpPacket(back, { flags: tcpRst, seq: 0 }), 1);
    take(tcpPacket(back, { flags: tcpSyn | tcpAck, seq: 0, ack: 17 }), 1);
    take(tcpPacket(back, { flags: tcpAck, seq: 0, ack: 0 }), 1);
    expect(check.verdict).toBeUndefined();
  });

  test('says that nothing could be sent, and sends as soon as it can', () => {
    const never = begun(() => false);
    never.check.poll(ms(900));
    expect(never.check.verdict?.reason).toBe('nothing could be sent there within 900ms');
    let isReady = false;
    const late = begun(() => isReady);
    late.check.poll(ms(10));
    isReady = true;
    late.check.poll(ms(20));
    late.take(synAck, 21);
    expect(late.sent).toEqual(['SYN 4294967295', 'RST 0']);
    expect(late.check.verdict?.passed).toBe(true);
  });

  test('goes over IPv6, too', () => {
    const sent: Uint8Array[] = [];
    const check = new TcpCheck(path6, 41, ms(900), (packet) => sent.push(packet) > 0);
    check.poll(ms(0));
    const data = tcpPacket(backwards(path6), { flags: tcpSyn | tcpAck, seq: 500, ack: 42 });
    check.take(decoded(data), data, ms(1));
    expect(sent.map(shown)).toEqual(['SYN 41', 'RST 42']);
    expect(check.verdict?.passed).toBe(true);
  });

  test('is over by its time-out whatever it is sent, and passed only by a SYN-ACK that acknowledges its SYN', () => {
    const segment = fc.record({
      flags: fc.nat(0x3f),
      seq: fc.integer({ min: 0, max: 3 }),
      ack: fc.constantFrom(0, 1, 0xffffffff),
    });
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 20 }), (segments) => {
        const { check, take } = begun();
        for (const one of segments) take(tcpPacket(back, one), 5);
        check.poll(ms(900));
        const isOpen = ({ flags, ack }: (typeof segments)[0]) =>
          (flags & (tcpSyn | tcpAck | tcpRst)) === (tcpSyn | tcpAck) && ack === 0;
        const isRefused = ({ flags, ack }: (typeof segments)[0]) =>
          (flags & (tcpRst | tcpAck)) === (tcpRst | tcpAck) && ack === 0;
        const first = segments.find((one) => isOpen(one) || isRefused(one));
        expect(check.isOver).toBe(true);
        expect(check.verdict!.passed).toBe(first !== undefined && isOpen(first));
      }),
    );
  });
});
