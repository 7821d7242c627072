import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeMessage, parseAttributes, parseMessages } from '../../src/datapath/xdp/netlink.ts';

const bytesOf = (view: DataView) => [...new Uint8Array(view.buffer, view.byteOffset, view.byteLength)];
const attribute = fc.tuple(fc.integer({ min: 1, max: 0x3fff }), fc.uint8Array({ maxLength: 40 }));

describe('netlink messages', () => {
  test('are read as they were written, several in one datagram', () => {
    const messageOf = fc.record({
      type: fc.integer({ min: 0, max: 0xffff }),
      flags: fc.integer({ min: 0, max: 0xffff }),
      sequence: fc.integer({ min: 0, max: 0xffffffff }),
      header: fc
        .uint8Array({ minLength: 3, maxLength: 3 })
        .map((words) => new Uint8Array(words.length * 4).fill(words[0]!)),
      attributes: fc.uniqueArray(attribute, { selector: ([type]) => type, maxLength: 6 }),
    });
    fc.assert(
      fc.property(fc.array(messageOf, { maxLength: 4 }), (sent) => {
        const datagram = Buffer.concat(
          sent.map((m) => encodeMessage(m.type, m.flags, m.sequence, m.header, m.attributes)),
        );
        const read = [...parseMessages(datagram)].map(({ type, flags, sequence, body }) => ({
          type,
          flags,
          sequence,
          header: new Uint8Array(bytesOf(body).slice(0, 12)),
          attributes: [...parseAttributes(body, 12)].map(([type, value]) => [
            type,
            new Uint8Array(bytesOf(value)),
          ]),
        }));
        expect(read).toEqual(sent);
      }),
    );
  });

  test('a neighbour request has the bytes that the kernel expects', () => {
    const header = Uint8Array.of(2, 0, 0, 0, 5, 0, 0, 0, 0, 0, 1, 0);
    const message = encodeMessage(28, 0x505, 7, header, [[1, Uint8Array.of(10, 0, 0, 1)]]);
    const expected = '240000001c000505070000000000000002000000050000000000010008000100' + '0a000001';
    expect(Buffer.from(message).toString('hex')).toBe(expected);
  });

  test('whatever bytes come, reading ends within them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (datagram) => {
        for (const { body } of parseMessages(datagram)) {
          expect(body.byteOffset + body.byteLength).toBeLessThanOrEqual(
            datagram.byteOffset + datagram.length,
          );
          for (const value of parseAttributes(body, 4).values()) {
            expect(value.byteOffset + value.byteLength).toBeLessThanOrEqual(
              body.byteOffset + body.byteLength,
            );
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  test('lengths that lie end the reading instead of running past it or in circles', () => {
    const message = encodeMessage(16, 0, 1, new Uint8Array(4), [[1, Uint8Array.of(1, 2, 3, 4)]]);
    for (const size of [0, 15, 29, 0xffffffff]) {
      const broken = Uint8Array.from(message);
      new DataView(broken.buffer).setUint32(0, size, true);
      expect([...parseMessages(broken)]).toEqual([]);
    }
    for (const size of [0, 3, 9, 0xffff]) {
      const broken = Uint8Array.from(message);
      new DataView(broken.buffer).setUint16(20, size, true);
      expect(parseAttributes([...parseMessages(broken)][0]!.body, 4).size).toBe(0);
    }
  });
});
