import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HttpCheck } from '../../src/health/http-check.ts';
import { type Path, payloadOf, tcpPacket } from '../../src/health/packets.ts';
import type { HttpSettings } from '../../src/health/settings.ts';
import { tcpAck, tcpFin, tcpPsh, tcpRst, tcpSyn } from '../../src/net/packet.ts';
import { backwards, decoded, ms, path, path6, shown } from './support.ts';

const first = 99;
const theirs = 500;
const page: HttpSettings = { path: '/', status: '200-399' };
const bytes = (text: string) => new TextEncoder().encode(text);

/** A check whose SYN has the number 99, and the server at the other end, whose has 500. */
function begun(settings = page, way: Path = path) {
  const packets: Uint8Array[] = [];
  const check = new HttpCheck(way, settings, first, ms(900), (packet) => packets.push(packet) > 0);
  const back = backwards(way);
  const take = (data: Uint8Array, atMs: number) => check.take(decoded(data), data, ms(atMs));
  const request = () => {
    const found = packets.find((packet) => decoded(packet).payloadLength > 0);
    return found ? new TextDecoder().decode(payloadOf(decoded(found), found)) : '';
  };
  /** Data of the server from this offset on; `flags` beside ACK. */
  const data = (offset: number, text: string, atMs = 3, flags = 0) =>
    take(
      tcpPacket(back, {
        flags: tcpAck | flags,
        seq: theirs + 1 + offset,
        ack: first + 1 + request().length,
        payload: bytes(text),
      }),
      atMs,
    );
  const open = () => take(tcpPacket(back, { flags: tcpSyn | tcpAck, seq: theirs, ack: first + 1 }), 1);
  check.poll(ms(0));
  return { check, sent: () => packets.map(shown), take, data, open, request, back };
}

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';

describe('a check by HTTP', () => {
  test('asks once, reads the status, and parts by FIN', () => {
    const { check, sent, data, open, request } = begun();
    open();
    const length = request().length;
    data(0, ok, 3, tcpPsh);
    expect(check.verdict).toEqual({ passed: true, reason: 'HTTP 200 after 3ms' });
    expect(check.isOver).toBe(false);
    data(ok.length, '', 4, tcpFin);
    expect(check.isOver).toBe(true);
    expect(sent()).toEqual([
      'SYN 99',
      'ACK 100 501',
      `PSH ACK 100 501 +${length}`,
      `ACK ${100 + length} ${501 + ok.length}`,
      `FIN ACK ${100 + length} ${502 + ok.length}`,
    ]);
  });

  test('asks in one segment, for a connection that is closed after it', () => {
    const { open, request } = begun({ ...page, path: '/healthz?full', host: 'www.example.org' });
    open();
    expect(request()).toBe(
      'GET /healthz?full HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: inband\r\nAccept: */*\r\nConnection: close\r\n\r\n',
    );
  });

  test('names the vip as the host unless it is told another', () => {
    const plain = begun();
    plain.open();
    expect(plain.request()).toContain('\r\nHost: 10.0.0.100\r\n');
    const other = begun(page, path6);
    other.open();
    expect(other.request()).toContain('\r\nHost: [2001:db8::100]:8080\r\n');
  });

  test.each<[string, string, boolean, string]>([
    ['200', '200-399', true, 'HTTP 200 after 3ms'],
    ['302', '200-399', true, 'HTTP 302 after 3ms'],
    ['404', '200-399,404', true, 'HTTP 404 after 3ms'],
    ['404', '200-399', false, 'HTTP 404'],
    ['503', '200-399', false, 'HTTP 503'],
    ['100', '200-399', false, 'HTTP 100'],
  ])('a server that answers %s where %s is well: %s', (code, status, passed, reason) => {
    const { check, data, open } = begun({ ...page, status });
    open();
    data(0, `HTTP/1.0 ${code} What\r\n\r\n`);
    expect(check.verdict).toEqual({ passed, reason });
  });

  test.each<[string, string]>([
    ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['a line without end', `HTTP/1.1 ${'2'.repeat(300)}`],
    ['a newer version', 'HTTP/3 200\r\n'],
    ['no code', 'HTTP/1.1 OK\r\n'],
  ])('fails by %s', (_, answer) => {
    const { check, data, open } = begun();
    open();
    data(0, answer);
    expect(check.verdict).toEqual({ passed: false, reason: 'the answer is not HTTP/1' });
  });

  test('fails by a connection that is refused, reset, or closed before an answer', () => {
    const refused = begun();
    refused.take(tcpPacket(refused.back, { flags: tcpRst | tcpAck, seq: 0, ack: first + 1 }), 1);
    expect(refused.check.verdict?.reason).toBe('connection refused');
    expect(refused.check.isOver).toBe(true);
    const reset = begun();
    reset.open();
    reset.take(tcpPacket(reset.back, { flags: tcpRst, seq: theirs + 1 }), 2);
    expect(reset.check.verdict?.reason).toBe('connection reset before an answer');
    const closed = begun();
    closed.open();
    closed.data(0, '', 2, tcpFin);
    expect(closed.check.verdict?.reason).toBe('connection closed before an answer');
    expect(closed.check.isOver).toBe(true);
  });

  test('believes a reset by its exact number only', () => {
    const { check, take, open, back } = begun();
    open();
    take(tcpPacket(back, { flags: tcpRst, seq: theirs + 2 }), 2);
    expect(check.verdict).toBeUndefined();
  });

  test('says at what the time-out came, and resets what is open', () => {
    const silent = begun();
    silent.check.poll(ms(900));
    expect(silent.check.verdict?.reason).toBe('no SYN-ACK within 900ms');
    const hung = begun();
    hung.open();
    for (let at = 10; at <= 900; at += 10) hung.check.poll(ms(at));
    expect(hung.check.verdict?.reason).toBe('no answer to the request within 900ms');
    expect(hung.sent().filter((text) => text.startsWith('PSH'))).toHaveLength(3);
    expect(hung.sent().at(-1)).toBe('RST ACK 100 501');
    const busy = begun();
    busy.open();
    const next = 100 + busy.request().length;
    busy.take(tcpPacket(busy.back, { flags: tcpAck, seq: theirs + 1, ack: next }), 2);
    for (let at = 10; at <= 900; at += 10) busy.check.poll(ms(at));
    expect(busy.sent().filter((text) => text.startsWith('PSH'))).toHaveLength(1);
    expect(busy.sent().at(-1)).toBe(`RST ACK ${next} 501`);
  });

  test('keeps its verdict when the server does not close in time', () => {
    const { check, data, open, sent } = begun();
    open();
    data(0, ok);
    check.poll(ms(900));
    expect(check.verdict?.passed).toBe(true);
    expect(check.isOver).toBe(true);
    expect(sent().at(-1)).toMatch(/^RST ACK /);
  });

  test('resets a server that sends without end', () => {
    const { check, data, open, sent } = begun();
    open();
    data(0, 'HTTP/1.1 200 OK\r\n\r\n');
    for (let at = 19; !check.isOver && at < 100_000; at += 1_000) data(at, 'a'.repeat(1_000));
    expect(check.isOver).toBe(true);
    expect(check.verdict?.passed).toBe(true);
    expect(sent().at(-1)).toMatch(/^RST ACK /);
    expect(sent().length).toBeLessThan(80);
  });

  test('acknowledges what it has had before, and the SYN-ACK that comes again', () => {
    const { data, open, sent, request } = begun();
    open();
    open();
    expect(sent().at(-1)).toBe('ACK 100 501');
    data(0, 'HTTP/1.');
    data(0, 'HTTP/1.');
    expect(sent().slice(-2)).toEqual(Array(2).fill(`ACK ${100 + request().length} 508`));
  });

  test('asks again when the request may be lost', () => {
    const { check, open, sent } = begun();
    open();
    check.poll(ms(200));
    check.poll(ms(310));
    expect(sent().filter((text) => text.startsWith('PSH'))).toHaveLength(2);
  });

  test('reads an answer however it is cut, repeated, lost and sent again', () => {
    const piece = fc.record({ from: fc.nat(ok.length - 1), length: fc.integer({ min: 1, max: 12 }) });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const { check, data, open, sent, request } = begun();
        open();
        for (const { from, length } of pieces) data(from, ok.slice(from, from + length));
        // What is missing comes at last, byte by byte.
        for (let at = 0; at < ok.length; at++) data(at, ok[at]!);
        data(ok.length, '', 5, tcpFin);
        expect(check.verdict).toMatchObject({ passed: true });
        expect(check.isOver).toBe(true);
        expect(sent().at(-1)).toBe(`FIN ACK ${100 + request().length} ${502 + ok.length}`);
      }),
    );
  });

  test('is over by its time-out whatever it is sent', () => {
    const segment = fc.record({
      flags: fc.nat(0x3f),
      seq: fc.integer({ min: theirs - 2, max: theirs + 20 }),
      ack: fc.constantFrom(0, first + 1, first + 200),
      payload: fc.uint8Array({ maxLength: 20 }),
    });
    fc.assert(
      fc.property(fc.boolean(), fc.array(segment, { maxLength: 30 }), (isOpened, segments) => {
        const { check, open, take, sent, back } = begun();
        if (isOpened) open();
        for (const one of segments) take(tcpPacket(back, one), 5);
        check.poll(ms(900));
        expect(check.isOver).toBe(true);
        expect(check.verdict).toBeDefined();
        // One packet for one, so that two of these cannot talk to each other without end.
        expect(sent().length).toBeLessThanOrEqual(segments.length + 5);
      }),
    );
  });
});
