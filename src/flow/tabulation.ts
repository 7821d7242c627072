/** Bytes of a flow key: four address words, the client port, the vip index. */
const keyBytes = 20;

/** Random 32-bit words that `TabulationHash` needs as its secret. */
export const tabulationSecretWords = keyBytes * 256;

/**
 * Simple tabulation hashing (Zobrist 1970; Patrascu and Thorup, "The Power of Simple Tabulation Hashing", 2011): the
 * exclusive or of one random word per key byte. It is 3-independent, and who does not know the secret cannot aim
 * collisions, as a sender of packets otherwise would.
 */
export class TabulationHash {
  readonly #words: Int32Array;

  /** @param secret `tabulationSecretWords` random words; from a cryptographic source wherever strangers send packets */
  constructor(secret: Int32Array) {
    if (secret.length !== tabulationSecretWords)
      throw new RangeError(`secret: ${tabulationSecretWords} words are needed`);
    this.#words = secret;
  }

  /** Hash of a flow key, a signed 32-bit integer. Zero words are part of an IPv4 key by their absence: they cost nothing. */
  hash(c0: number, c1: number, c2: number, c3: number, portAndVip: number): number {
    const t = this.#words;
    let h =
      t[c0 & 255]! ^
      t[256 + ((c0 >>> 8) & 255)]! ^
      t[512 + ((c0 >>> 16) & 255)]! ^
      t[768 + (c0 >>> 24)]! ^
      t[1024 + (portAndVip & 255)]! ^
      t[1280 + ((portAndVip >>> 8) & 255)]! ^
      t[1536 + ((portAndVip >>> 16) & 255)]! ^
      t[1792 + (portAndVip >>> 24)]!;
    if ((c1 | c2 | c3) !== 0) {
      h ^= this.#word(2048, c1) ^ this.#word(3072, c2) ^ this.#word(4096, c3);
    }
    return h;
  }

  #word(at: number, w: number): number {
    const t = this.#words;
    return (
      t[at + (w & 255)]! ^
      t[at + 256 + ((w >>> 8) & 255)]! ^
      t[at + 512 + ((w >>> 16) & 255)]! ^
      t[at + 768 + (w >>> 24)]!
    );
  }
}

/** A secret that follows from a seed (xorshift32): the same run twice gives the same result. For replay and tests only. */
export function seededSecret(seed: number): Int32Array {
  let x = seed | 0 || 1;
  return Int32Array.from({ length: tabulationSecretWords }, () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x;
  });
}
