import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fixturePath, join, ngBlocks, readAll } from './support.ts';

const second = 1_700_000_000n;
const data = Uint8Array.of(1, 2, 3, 4, 5);
const le = ngBlocks(true);

/** Ticks since the epoch of `second` plus nanoseconds, at 10^-exponent. */
const ticks = (ns: bigint, exponent: bigint) =>
  second * 10n ** exponent + (ns * 10n ** exponent) / 1_000_000_000n;

const times = async (...blocks: Uint8Array[]) => {
  const { packets, timeBaseS } = await readAll(join(...blocks));
  return { ns: packets.map((packet) => packet.timeNs), timeBaseS };
};

describe('a pcapng file', () => {
  for (const littleEndian of [true, false]) {
    it(`is read when its byte order is ${littleEndian ? 'little' : 'big'}-endian`, async () => {
      const ng = ngBlocks(littleEndian);
      const capture = await readAll(
        join(
          ng.section(),
          ng.interface(113, 0, ng.comment('first'), ng.resolution(9)),
          ng.enhanced(0, ticks(123_456_789n, 9n), data, 1500),
          ng.obsolete(0, ticks(123_456_790n, 9n), data.subarray(1)),
        ),
      );
      expect(capture).toEqual({
        timeBaseS: Number(second),
        problems: [],
        packets: [
          { data: '0102030405', wireLength: 1500, timeNs: 123_456_789, linkType: 113, interfaceIndex: 0 },
          { data: '02030405', wireLength: 4, timeNs: 123_456_790, linkType: 113, interfaceIndex: 0 },
        ],
      });
    });
  }

  it('has microseconds when an interface states no resolution', async () => {
    expect(await times(le.section(), le.interface(), le.enhanced(0, ticks(5000n, 6n), data))).toEqual({
      ns: [5000],
      timeBaseS: Number(second),
    });
  });

  it('keeps interfaces of different link type and resolution apart', async () => {
    const capture = await readAll(
      join(
        le.section(),
        le.interface(1, 0, le.resolution(3)),
        le.interface(101, 0, le.resolution(10)),
        le.enhanced(1, ticks(1_000_001n, 10n), data),
        le.enhanced(0, ticks(2_000_000n, 3n), data),
      ),
    );
    expect(capture.packets).toMatchObject([
      { linkType: 101, interfaceIndex: 1, timeNs: 1_000_001 },
      { linkType: 1, interfaceIndex: 0, timeNs: 2_000_000 },
    ]);
  });

  it('begins anew with each section, in the byte order of that section', async () => {
    const be = ngBlocks(false);
    const capture = await readAll(
      join(
        le.section(),
        le.interface(1),
        le.enhanced(0, ticks(0n, 6n), data),
        be.section(),
        be.interface(101, 0, be.resolution(9)),
        be.enhanced(0, ticks(77n, 9n), data),
        be.enhanced(1, ticks(77n, 9n), data),
      ),
    );
    expect(capture.packets).toMatchObject([
      { linkType: 1, interfaceIndex: 0, timeNs: 0 },
      { linkType: 101, interfaceIndex: 1, timeNs: 77 },
    ]);
    expect(capture.problems).toMatchObject([{ kind: 'bad_packet', count: 1 }]);
  });

  it('may count time in powers of 2', async () => {
    const half = (second << 10n) + 512n;
    expect(
      await times(le.section(), le.interface(1, 0, le.resolution(0x80 | 10)), le.enhanced(0, half, data)),
    ).toEqual({ ns: [500_000_000], timeBaseS: Number(second) });
  });

  it('may shift the times of an interface, also below zero', async () => {
    const shifted = le.interface(1, 0, le.timeOffset(-100n));
    const blocks = [le.section(), shifted, le.interface(), le.enhanced(0, ticks(1000n, 6n), data)];
    expect(await times(...blocks, le.enhanced(1, ticks(1000n, 6n), data))).toEqual({
      ns: [1000, 100_000_001_000],
      timeBaseS: Number(second) - 100,
    });
  });

  it('has whole nanoseconds, exact within 104 days of the base, at every decimal resolution', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 9 }),
        fc.bigInt({ min: 0n, max: 2n ** 53n - 1n }),
        async (exponent, ns) => {
          const step = 10n ** BigInt(9 - exponent);
          const whole = ns - (ns % step);
          const blocks = [le.section(), le.interface(1, 0, le.resolution(exponent))];
          const packet = le.enhanced(0, ticks(whole, BigInt(exponent)), data);
          const { packets } = await readAll(join(...blocks, packet), { timeBaseS: Number(second) });
          expect(BigInt(packets[0]!.timeNs)).toBe(whole);
        },
      ),
    );
  });

  it('never gives a time that is no number, whatever resolution, offset and timestamp it has', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 255 }),
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        async (resolution, offset, time) => {
          const described = le.interface(1, 0, le.resolution(resolution), le.timeOffset(offset));
          const { ns, timeBaseS } = await times(le.section(), described, le.enhanced(0, time, data));
          expect(ns.every(Number.isFinite)).toBe(true);
          expect(Number.isInteger(timeBaseS)).toBe(true);
        },
      ),
    );
  });

  it('gives a packet without a time the last time known, and counts it', async () => {
    const capture = await readAll(
      join(
        le.section(),
        le.interface(1, 3),
        le.simple(data.subarray(0, 3), 1500),
        le.enhanced(0, ticks(42_000n, 6n), data),
        le.simple(data.subarray(0, 2)),
      ),
      { name: 's.pcapng' },
    );
    expect(capture.packets).toMatchObject([
      { data: '010203', wireLength: 1500, timeNs: 0 },
      { data: '0102030405', timeNs: 42_000 },
      { data: '0102', wireLength: 2, timeNs: 42_000 },
    ]);
    expect(capture.problems).toEqual([
      { kind: 'no_timestamp', offset: 52, count: 2, message: 's.pcapng: packet without a time at byte 52' },
    ]);
  });

  it('is read on after a packet that contradicts its block', async () => {
    const tooLong = le.enhanced(0, 0n, data);
    new DataView(tooLong.buffer).setUint32(20, 9, true);
    const capture = await readAll(
      join(
        le.section(),
        le.interface(),
        tooLong,
        le.block(6, 0),
        le.block(3),
        le.simple(data, 100),
        le.enhanced(7, 0n, data),
        le.enhanced(0, 0n, new Uint8Array(256 * 1024 + 1)),
        le.enhanced(0, 0n, data),
      ),
    );
    expect(capture.packets).toHaveLength(1);
    expect(capture.problems).toMatchObject([{ kind: 'bad_packet', count: 6 }]);
  });

  it('may have blocks of any other type, up to 16 MiB long', async () => {
    const other = le.block(0x0bad, new Uint8Array(16 * 1024 * 1024 - 12));
    const capture = await readAll(
      join(le.section(), other, le.interface(), le.block(5, 0, 0, 0), le.enhanced(0, ticks(0n, 6n), data)),
    );
    expect(capture).toMatchObject({ packets: [{ data: '0102030405' }], problems: [] });
  });

  const broken = [
    [
      'a length that is no multiple of 4',
      (b: DataView) => b.setUint32(4, 37, true),
      'invalid block length 37',
    ],
    ['a length below the least', (b: DataView) => b.setUint32(4, 8, true), 'invalid block length 8'],
    [
      'a length above 16 MiB',
      (b: DataView) => b.setUint32(4, 2 ** 24 + 4, true),
      'invalid block length 16777220',
    ],
    [
      'two different lengths',
      (b: DataView) => b.setUint32(b.byteLength - 4, 44, true),
      'block whose two lengths differ',
    ],
  ] as const;
  for (const [what, damage, message] of broken) {
    it(`ends with a problem at a block with ${what}`, async () => {
      const bad = le.enhanced(0, ticks(0n, 6n), data);
      damage(new DataView(bad.buffer));
      const good = le.enhanced(0, ticks(0n, 6n), data);
      const start = join(le.section(), le.interface(), good);
      const capture = await readAll(join(start, bad, good), { name: 'b' });
      expect(capture.packets).toHaveLength(1);
      const offset = start.length;
      expect(capture.problems).toEqual([
        { kind: 'corrupt', offset, count: 1, message: `b: ${message} at byte ${offset}` },
      ]);
    });
  }

  const headless = [
    ['a section of another major version', le.section(2), 'pcapng version 2, not 1,'],
    ['a section without a byte order', le.block(0x0a0d0d0a, 0, 0, 0, 0), 'section without a byte order'],
    ['a section header that is too short', le.block(0x0a0d0d0a, 0x1a2b3c4d), 'section header too short'],
    ['an interface description that is too short', le.block(1, 0), 'interface description too short'],
  ] as const;
  for (const [what, block, message] of headless) {
    it(`ends with a problem at ${what}`, async () => {
      const capture = await readAll(join(le.section(), block, le.interface(), le.enhanced(0, 0n, data)), {
        name: 'h',
      });
      expect(capture.packets).toEqual([]);
      expect(capture.problems).toMatchObject([{ kind: 'corrupt', message: `h: ${message} at byte 28` }]);
    });
  }

  it('may have more interfaces than the limit, whose packets are left out', async () => {
    const described = Array<Uint8Array>(65_537).fill(le.interface());
    const blocks = [le.section(), ...described, le.enhanced(65_535, 0n, data), le.enhanced(65_536, 0n, data)];
    const capture = await readAll(join(...blocks));
    expect(capture.packets).toMatchObject([{ interfaceIndex: 65_535 }]);
    expect(capture.problems).toMatchObject([{ kind: 'bad_packet', count: 1 }]);
  });
});

describe('pcapng files of other projects', () => {
  const counts = [
    ['pcapnggen-be-test001.pcapng', 4, 0],
    ['pcapnggen-be-test016.pcapng', 4, 2],
    ['pcapnggen-be-test202.pcapng', 8, 2],
    ['pcapnggen-le-test001.pcapng', 4, 0],
    ['pcapnggen-le-test010.pcapng', 4, 4],
    ['pcapnggen-le-test102.pcapng', 5, 1],
    ['pcapparser-err-buffertoosmall.pcapng', 27, 0],
    ['tcpdump-empty.pcapng', 0, 0],
  ] as const;
  for (const [name, packetCount, untimedCount] of counts) {
    it(`deliver ${packetCount} packets, ${untimedCount} without a time, from ${name}`, async () => {
      const capture = await readAll(fixturePath(name));
      expect(capture.packets).toHaveLength(packetCount);
      expect(capture.problems).toMatchObject(
        untimedCount ? [{ kind: 'no_timestamp', count: untimedCount }] : [],
      );
    });
  }

  it('have the lengths, times and link types of their interfaces and sections', async () => {
    const { packets, timeBaseS } = await readAll(fixturePath('pcapnggen-be-test202.pcapng'));
    expect(timeBaseS).toBe(1_340_954_905);
    expect(
      packets.map((packet) => [packet.data.length / 2, packet.wireLength, packet.timeNs, packet.linkType]),
    ).toEqual([
      [96, 314, 298_858_000, 1],
      [96, 342, 298_858_000, 1],
      [168, 168, 301_858_000, 0],
      [128, 314, 301_858_000, 1],
      [128, 342, 298_858_000, 1],
      [128, 314, 298_858_000, 1],
      [128, 342, 298_858_000, 1],
      [168, 168, 301_858_000, 0],
    ]);
  });
});
