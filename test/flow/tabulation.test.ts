import fc from 'fast-check';
import { expect, it } from 'vitest';
import { seededSecret, TabulationHash, tabulationSecretWords } from '../../src/flow/tabulation.ts';

const word = fc.oneof(fc.constant(0), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }));
const key = fc.tuple(word, word, word, word, word);

it('the hash is the exclusive or of one secret word per byte of the key', () => {
  const secret = seededSecret(5);
  const hash = new TabulationHash(secret);
  /** Which 256 words belong to each byte, least significant first: address word 0, ports and vip, the other words. */
  const literal = ([c0, c1, c2, c3, portAndVip]: [number, number, number, number, number]) => {
    const words = c1 === 0 && c2 === 0 && c3 === 0 ? [c0, portAndVip] : [c0, portAndVip, c1, c2, c3];
    const bytes = words.flatMap((w) => [0, 8, 16, 24].map((shift) => (w >>> shift) & 255));
    return bytes.reduce((h, byte, i) => h ^ secret[256 * i + byte]!, 0);
  };
  fc.assert(
    fc.property(key, (key) => {
      expect(hash.hash(...key)).toBe(literal(key));
    }),
    { numRuns: 1000 },
  );
});

it('a seed always gives the same secret, another seed another', () => {
  expect(seededSecret(1)).toEqual(seededSecret(1));
  expect(seededSecret(1)).not.toEqual(seededSecret(2));
  expect(new Set(seededSecret(0)).size).toBe(tabulationSecretWords);
});

it('a secret of another size is refused', () => {
  expect(() => new TabulationHash(new Int32Array(256))).toThrow(/5120 words are needed/);
});

it('sequential keys spread over hashes and over slots as random ones would', () => {
  for (const seed of [1, 2, 77]) {
    const hash = new TabulationHash(seededSecret(seed));
    const hashes = new Set<number>();
    const bins = new Uint32Array(1024);
    const keys = 65_536;
    // 256 clients in a row, each with ports in a row: what a load generator does.
    for (let i = 0; i < keys; i++) {
      const h = hash.hash(0x0a000000 | (i & 255), 0, 0, 0, (32_768 + (i >> 8)) << 16);
      hashes.add(h);
      bins[h & 1023]!++;
    }
    // Of n random 32-bit values, about n^2 / 2^33 = 0.5 collide.
    expect(hashes.size).toBeGreaterThan(keys - 8);
    // 64 per bin with a standard deviation of 8.
    expect(Math.max(...bins)).toBeLessThan(64 + 6 * 8);
    expect(Math.min(...bins)).toBeGreaterThan(64 - 6 * 8);
  }
});
