import { describe, expect, test } from 'vitest';
import { payloadOf, udpPacket } from '../../src/health/packets.ts';
import type { UdpSettings } from '../../src/health/settings.ts';
import { UdpCheck } from '../../src/health/udp-check.ts';
import { backwards, decoded, ms, udpPath } from './support.ts';

function begun(settings: UdpSettings) {
  const sent: string[] = [];
  const check = new UdpCheck(udpPath, settings, ms(900), (packet) => {
    sent.push(Buffer.from(payloadOf(decoded(packet), packet)).toString('hex'));
    return true;
  });
  const take = (content: string, atMs = 3) => {
    const data = udpPacket(backwards(udpPath), Buffer.from(content));
    check.take(decoded(data), data, ms(atMs));
  };
  check.poll(ms(0));
  return { check, sent, take };
}

describe('a check by datagram', () => {
  test('is passed by any answer', () => {
    const { check, sent, take } = begun({ send: 'ping' });
    expect(sent).toEqual([Buffer.from('ping').toString('hex')]);
    take('');
    expect(check.verdict).toEqual({ passed: true, reason: 'answer after 3ms' });
  });

  test('sends bytes that are written in hexadecimal', () => {
    expect(begun({ send: '0x00ff10' }).sent).toEqual(['00ff10']);
    expect(begun({ send: '' }).sent).toEqual(['']);
  });

  test('waits for the answer that is expected, and shows another one', () => {
    const { check, take } = begun({ send: 'ping', expect: '0x706f' });
    take('no');
    expect(check.verdict).toBeUndefined();
    take('pong', 4);
    expect(check.verdict?.passed).toBe(true);
    const other = begun({ send: 'ping', expect: 'pong' });
    other.take('a long answer that is none');
    other.check.poll(ms(900));
    expect(other.check.verdict).toEqual({
      passed: false,
      reason: 'unexpected answer 0x61206c6f6e6720616e73776572207468...',
    });
  });

  test('sends what is lost again, and gives up at the time-out', () => {
    const { check, sent } = begun({ send: 'ping' });
    for (let at = 0; at <= 900; at += 50) check.poll(ms(at));
    expect(sent).toHaveLength(3);
    expect(check.verdict).toEqual({ passed: false, reason: 'no answer within 900ms' });
  });
});
