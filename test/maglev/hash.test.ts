import { describe, expect, it } from 'vitest';
import {
  backendOf,
  hashName,
  slotHashIpv4,
  slotHashIpv6,
  slotOf,
  vipSeedIpv4,
  vipSeedIpv6,
} from '../../src/maglev/hash.ts';
import { slotsMax } from '../../src/maglev/size.ts';

const documentationNet = 0xc6336400;

/** Chi-square of the slots of `count` hashes, in standard deviations from what uniform hashes give. */
function chiSquareSigmas(count: number, slots: number, hashOf: (i: number) => number): number {
  const counts = new Uint32Array(slots);
  for (let i = 0; i < count; i++) counts[slotOf(hashOf(i), slots)]! += 1;
  const expected = count / slots;
  const chiSquare = counts.reduce((sum, seen) => sum + (seen - expected) ** 2 / expected, 0);
  return (chiSquare - (slots - 1)) / Math.sqrt(2 * (slots - 1));
}

/** Smallest and largest rate at which an output bit flips when one input bit does, over all pairs of bits. */
function flipRates(
  bits: number,
  rounds: number,
  hashOf: (round: number, flip: bigint) => number,
): [number, number] {
  const rates: number[] = [];
  for (let bit = 0; bit < bits; bit++) {
    const flips = new Uint32Array(32);
    for (let round = 0; round < rounds; round++) {
      const difference = hashOf(round, 0n) ^ hashOf(round, 1n << BigInt(bit));
      for (let out = 0; out < 32; out++) flips[out]! += (difference >>> out) & 1;
    }
    for (const count of flips) rates.push(count / rounds);
  }
  return [Math.min(...rates), Math.max(...rates)];
}

describe('the slot hash', () => {
  it.each([
    [0, 0xe8e09427, 0x9ff2dcbd, 0x933a7687, 0x43278ae0],
    [0x1badcafe, 0x2baf32b9, 0x324ebe82, 0x946e082c, 0x3f31f689],
  ])(
    'gives the values of the C implementation for IPv4, fleet seed %i',
    (fleet, vip, client, highest, lowest) => {
      expect(vipSeedIpv4(fleet, 0xc0000201, 443, 6)).toBe(vip);
      expect(slotHashIpv4(vip, 0xc6336407, 51234)).toBe(client);
      expect(slotHashIpv4(vip, 0xffffffff, 65535)).toBe(highest);
      expect(slotHashIpv4(vip, 0, 0)).toBe(lowest);
    },
  );

  it.each([
    [0, 0x7844873e, 0x68b44ffb, 0x2c6b1070],
    [0x1badcafe, 0x55f4f148, 0x3277c7e9, 0x5f9fafb6],
  ])(
    'gives the values of the C implementation for IPv6, fleet seed %i',
    (fleet, vip, client, highPortVip) => {
      expect(vipSeedIpv6(fleet, 0x20010db8, 0, 0, 1, 443, 17)).toBe(vip);
      expect(slotHashIpv6(vip, 0x20010db8, 0xfedcba98, 0x76543210, 0xffffffff, 40000)).toBe(client);
      expect(vipSeedIpv6(fleet, 0x20010db8, 0, 0, 1, 65535, 17)).toBe(highPortVip);
    },
  );

  it('spreads sequential ports of one client evenly over the slots', () => {
    const seed = vipSeedIpv4(1, 0xc0000201, 80, 6);
    expect(
      Math.abs(chiSquareSigmas(64_512, 1021, (i) => slotHashIpv4(seed, documentationNet, 1024 + i))),
    ).toBeLessThan(5);
  });

  it('spreads sequential addresses with one port evenly over the slots', () => {
    const seed = vipSeedIpv4(1, 0xc0000201, 80, 6);
    expect(
      Math.abs(chiSquareSigmas(65_536, 1021, (i) => slotHashIpv4(seed, 0x0a000000 + i, 40_000))),
    ).toBeLessThan(5);
  });

  it('spreads sequential IPv6 interface identifiers evenly over the slots', () => {
    const seed = vipSeedIpv6(1, 0x20010db8, 0, 0, 1, 80, 6);
    const hash = (i: number) => slotHashIpv6(seed, 0x20010db8, 0, 0, i, 40_000);
    expect(Math.abs(chiSquareSigmas(65_536, 1021, hash))).toBeLessThan(5);
  });

  it('flips each output bit for about half of the inputs when one client bit flips', () => {
    const [lowest, highest] = flipRates(48, 2000, (round, flip) => {
      const client = BigInt(0x0a000000 + round * 3) * 65536n + BigInt(1024 + round * 7);
      const flipped = client ^ flip;
      return slotHashIpv4(0xe8e09427, Number(flipped >> 16n), Number(flipped & 0xffffn));
    });
    expect(lowest).toBeGreaterThan(0.4);
    expect(highest).toBeLessThan(0.6);
  });

  it('flips each output bit for about half of the inputs when one bit of an IPv6 client flips', () => {
    const [lowest, highest] = flipRates(128, 1000, (round, flip) => {
      const word = (index: bigint) => Number((flip >> (32n * index)) & 0xffffffffn);
      const low = (round ^ word(3n)) >>> 0;
      return slotHashIpv6(7, (0x20010db8 ^ word(0n)) >>> 0, word(1n), word(2n), low, 40_000);
    });
    expect(lowest).toBeGreaterThan(0.4);
    expect(highest).toBeLessThan(0.6);
  });

  it('depends on the fleet seed and on address, port and protocol of the vip', () => {
    const seeds = [
      vipSeedIpv4(1, 0xc0000201, 53, 17),
      vipSeedIpv4(2, 0xc0000201, 53, 17),
      vipSeedIpv4(1, 0xc0000202, 53, 17),
      vipSeedIpv4(1, 0xc0000201, 54, 17),
      vipSeedIpv4(1, 0xc0000201, 53, 6),
    ];
    const sequences = seeds.map((seed) =>
      [1, 2, 3, 4].map((port) => slotHashIpv4(seed, documentationNet, port)).join(),
    );
    expect(new Set(sequences).size).toBe(seeds.length);
  });
});

describe('slotOf', () => {
  it.each([11, 65_537, slotsMax])('gives the same slot as 64-bit integers, %i slots', (slots) => {
    for (let i = 0; i < 2000; i++) {
      const hash = (Math.imul(i, 0x9e3779b9) >>> 0) + (i % 2);
      if (hash > 0xffffffff) continue;
      expect(slotOf(hash, slots)).toBe(Number((BigInt(hash) * BigInt(slots)) >> 32n));
    }
    expect(slotOf(0, slots)).toBe(0);
    expect(slotOf(0xffffffff, slots)).toBe(slots - 1);
  });

  it('looks the backend of a hash up in the table', () => {
    const table = Uint16Array.from({ length: 11 }, (_, slot) => slot * 2);
    expect(backendOf(table, 0)).toBe(0);
    expect(backendOf(table, 0x80000000)).toBe(10);
    expect(backendOf(table, 0xffffffff)).toBe(20);
  });
});

describe('hashName', () => {
  it('depends on every character, on their order, on the length and on the seed', () => {
    const hashes = [
      hashName('10.0.0.1:80', 0),
      hashName('10.0.0.2:80', 0),
      hashName('10.0.1.0:80', 0),
      hashName('10.0.0.1:80', 1),
      hashName('', 0),
      hashName('\0', 0),
      hashName('\0\0', 0),
    ];
    expect(new Set(hashes).size).toBe(hashes.length);
    for (const hash of hashes) expect(hash).toBe(hash >>> 0);
  });
});
