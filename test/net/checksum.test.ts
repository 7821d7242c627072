import fc from 'fast-check';
import { expect, it } from 'vitest';
import { checksumAdd, checksumFinish, checksumUpdate } from '../../src/net/checksum.ts';
import { anyFrame } from '../support/arbitraries.ts';
import { addressBytes, be16, buildFrame, ip } from '../support/frames.ts';

const checksum = (data: Uint8Array) => checksumFinish(checksumAdd(0, data));

it('the example of RFC 1071 sums to ddf2', () => {
  const data = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
  expect(checksumAdd(0, data)).toBe(0x2ddf0);
  expect(checksum(data)).toBe(~0xddf2 & 0xffff);
});

it('an odd last byte is the high half of a word', () => {
  expect(checksum(Uint8Array.of(0x12, 0x34, 0x56))).toBe(checksum(Uint8Array.of(0x12, 0x34, 0x56, 0)));
});

it('a part of the data can be summed', () => {
  const data = Uint8Array.of(9, 9, 0x12, 0x34, 0x56, 9);
  expect(checksumAdd(5, data, 2, 5)).toBe(5 + 0x1234 + 0x5600);
  expect(checksumAdd(5, data, 6)).toBe(5);
});

it('a known IPv4 header has the checksum that it carries', () => {
  const header = Uint8Array.from(Buffer.from('45000073000040004011b861c0a80001c0a800c7', 'hex'));
  expect(checksum(header)).toBe(0);
  header.set([0, 0], 10);
  expect(checksum(header)).toBe(0xb861);
});

it('a jumbogram is folded more than once', () => {
  expect(checksumFinish(0xffff * 0xffff)).toBe(0);
  expect(checksumFinish(2 ** 40 + 1)).toBe(~(0x100 + 1) & 0xffff);
});

it('a built packet verifies to 0, header and transport', () => {
  fc.assert(
    fc.property(anyFrame, (frame) => {
      const data = buildFrame({ ...frame, link: 101, trailer: new Uint8Array(0) });
      const { src, dst, tcp } = frame;
      const length =
        (tcp ? 20 + Math.ceil((tcp.options?.length ?? 0) / 4) * 4 : 8) + (frame.payload?.length ?? 0);
      if (src.family === 4) expect(checksum(data.subarray(0, (data[0]! & 15) * 4))).toBe(0);
      let sum = length + (tcp ? 6 : 17);
      for (const address of [src, dst]) sum = checksumAdd(sum, addressBytes(address));
      expect(checksumFinish(checksumAdd(sum, data, data.length - length))).toBe(0);
    }),
  );
});

it('an update is what summing again gives', () => {
  const someWords = fc
    .uint8Array({ minLength: 4, maxLength: 40, size: 'max' })
    .filter((data) => data.length % 2 === 0);
  const corner = fc.constantFrom(0, 0xffff, 1, 0xfffe);
  fc.assert(
    fc.property(someWords, fc.nat(100), fc.oneof(corner, fc.nat(0xffff)), (data, where, after) => {
      const at = (where * 2) % data.length;
      const before = (data[at]! << 8) | data[at + 1]!;
      const sum = checksum(data);
      data.set(be16(after), at);
      // Only all zeros sum to 0; RFC 1624 then gives the other form of it. No header is all zeros.
      const again = data.every((byte) => byte === 0) ? [0, 0xffff] : [checksum(data)];
      expect(again).toContain(checksumUpdate(sum, before, after));
    }),
    { numRuns: 2000 },
  );
});

it('the example of RFC 1624 updates to 0, where its older equation gave ffff', () => {
  expect(checksumUpdate(0xdd2f, 0x5555, 0x3285)).toBe(0);
});

it('an address rewritten word by word leaves a valid packet', () => {
  const header = buildFrame({
    link: 228,
    src: ip('10.0.0.1'),
    dst: ip('10.0.0.2'),
    udp: { srcPort: 1, dstPort: 2 },
  }).subarray(0, 20);
  let sum = (header[10]! << 8) | header[11]!;
  for (const [at, after] of [
    [16, 0xc0a8],
    [18, 0xffff],
  ] as const) {
    sum = checksumUpdate(sum, (header[at]! << 8) | header[at + 1]!, after);
    header.set(be16(after), at);
  }
  header.set(be16(sum), 10);
  expect(checksum(header)).toBe(0);
});
