import { InbandError } from '../errors.ts';
import type { Endpoint } from '../net/address.ts';

/** Vips that one table can hold: their index has 16 bits in a flow's key. */
export const vipsMax = 65_536;

const stride = 6;

/** The vips by number, found by (address, port, protocol) without allocation. */
export class VipTable {
  /** By number; what has been removed stays here until its number is given to another. */
  readonly vips: Endpoint[] = [];
  /** Numbers of vips that were removed. */
  readonly #free: number[] = [];
  /** Per vip: four address words, port << 8 | protocol, family. */
  #words = new Int32Array(16 * stride);
  /** Open addressing with linear probing, at most half full; holds index + 1, 0 is empty. */
  #index = new Int32Array(32);

  get size(): number {
    return this.vips.length - this.#free.length;
  }

  /**
   * Adds a vip and returns its index, the lowest that is free; the same vip twice has one index.
   * @throws InbandError `LIMIT` beyond `vipsMax`.
   */
  add(vip: Endpoint): number {
    const { family, words } = vip.address;
    const known = this.find(family, ...words, vip.port, vip.proto);
    if (known >= 0) return known;
    const at = this.#free.shift() ?? this.vips.length;
    if (at === vipsMax)
      throw new InbandError('LIMIT', `more than ${vipsMax} vips`, { hint: 'name them with --vip' });
    if (2 * (at + 1) > this.#index.length) this.#grow();
    this.#words.set([...words, (vip.port << 8) | vip.proto, family], at * stride);
    this.vips[at] = vip;
    this.#insert(at);
    return at;
  }

  /** Forgets a vip that is there; its index may be given to another one. */
  remove(at: number): void {
    this.#free.push(at);
    this.#free.sort((a, b) => a - b);
    this.#index.fill(0);
    const gone = new Set(this.#free);
    for (let entry = 0; entry < this.vips.length; entry++) if (!gone.has(entry)) this.#insert(entry);
  }

  /** Index of the vip, -1 if there is none. */
  find(family: number, w0: number, w1: number, w2: number, w3: number, port: number, proto: number): number {
    const index = this.#index;
    const words = this.#words;
    const service = (port << 8) | proto;
    for (let probe = hash(w0, w1, w2, w3, service); ; probe++) {
      const entry = index[probe & (index.length - 1)]! - 1;
      if (entry < 0) return -1;
      const at = entry * stride;
      if (
        words[at] === w0 &&
        words[at + 4] === service &&
        words[at + 1] === w1 &&
        words[at + 2] === w2 &&
        words[at + 3] === w3 &&
        words[at + 5] === family
      ) {
        return entry;
      }
    }
  }

  #insert(entry: number): void {
    const at = entry * stride;
    const w = this.#words;
    let probe = hash(w[at]!, w[at + 1]!, w[at + 2]!, w[at + 3]!, w[at + 4]!);
    while (this.#index[probe & (this.#index.length - 1)] !== 0) probe++;
    this.#index[probe & (this.#index.length - 1)] = entry + 1;
  }

  #grow(): void {
    const words = this.#words;
    this.#words = new Int32Array(words.length * 2);
    this.#words.set(words);
    this.#index = new Int32Array(this.#index.length * 2);
    // Grown only when all numbers are in use.
    for (let entry = 0; entry < this.vips.length; entry++) this.#insert(entry);
  }
}

/** Unkeyed: vips are chosen by the operator (or, in a replay, bounded in number). */
function hash(w0: number, w1: number, w2: number, w3: number, service: number): number {
  let h = Math.imul(w0 ^ Math.imul(w1, 0x85ebca6b) ^ Math.imul(w2, 0xc2b2ae35) ^ w3, 0x9e3779b1);
  h = Math.imul(h ^ service ^ (h >>> 15), 0x85ebca6b);
  return h ^ (h >>> 13);
}
