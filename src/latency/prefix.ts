import { InbandError } from '../errors.ts';
import type { Packet } from '../net/packet.ts';
import type { Ns } from '../units.ts';

/** Length of a window in ns, 8.4 ms, as a power of two: about the tick of a control loop that is in a hurry. */
export const prefixWindowNs = 2 ** 23;

/** Samples per window, backend, kind and prefix, unless configured otherwise: as many as a control tick can learn from. */
export const samplesPerPrefixDefault = 64;

/** Largest limit: a count has 8 bits. */
export const samplesPerPrefixMax = 255;

const entriesLog2 = 12;

/**
 * Bounds what the clients of one prefix can add to what is known of a backend: at most `limit` samples of a kind in each
 * window of `prefixWindowNs`. A prefix is what one holder of addresses has at least: /24 of IPv4, /56 of IPv6. Who can send
 * from one prefix alone cannot outweigh all others by sending more, whatever the packets say.
 *
 * A table of 16 KiB with the count of each (prefix, backend, kind); those with the same entry share its budget, so that
 * a sample may be refused too early, never allowed too often. Constant time, nothing allocated.
 */
export class PrefixLimit {
  readonly #limit: number;
  readonly #seed: number;
  /** Per entry: the window it counts in (modulo 2^24) << 8 | samples. */
  readonly #entries = new Uint32Array(1 << entriesLog2);

  /**
   * @param limit samples per window, 1 to `samplesPerPrefixMax`, or 0 for no limit
   * @param seed keys the hash; from a random source where strangers send packets
   * @throws InbandError `USAGE` for any other limit
   */
  constructor(limit: number, seed: number) {
    if (!Number.isInteger(limit) || limit < 0 || limit > samplesPerPrefixMax) {
      throw new InbandError('USAGE', `samples per prefix: ${limit} is not 0 to ${samplesPerPrefixMax}`, {
        hint: 'a count per client prefix, backend and 8.4 ms; 0 is no limit',
      });
    }
    this.#limit = limit;
    this.#seed = seed | 0;
  }

  /** Whether a sample of this kind that the packet completes may count; counts it if so. */
  admits(packet: Packet, backend: number, kind: number, now: Ns): boolean {
    if (this.#limit === 0) return true;
    const entries = this.#entries;
    const at = this.#entryOf(packet, backend, kind);
    const window = Math.floor(now / prefixWindowNs) & 0xffffff;
    const entry = entries[at]!;
    const count = entry >>> 8 === window ? entry & 0xff : 0;
    if (count >= this.#limit) return false;
    entries[at] = (window << 8) | (count + 1);
    return true;
  }

  #entryOf({ family, src0, src1 }: Packet, backend: number, kind: number): number {
    let h = mix(this.#seed, (kind << 16) ^ backend);
    h = mix(h, family === 4 ? src0 >>> 8 : src0);
    // An IPv4 prefix is told from an IPv6 one by a word that the latter, having 24 bits here, never has.
    h = mix(h, family === 4 ? -1 : src1 >>> 8);
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return (h ^ (h >>> 16)) & ((1 << entriesLog2) - 1);
  }
}

/** One word into the state of a 32-bit MurmurHash3 (public domain). */
function mix(h: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  const mixed = h ^ k;
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}
