/**
 * The slot hash: what every load balancer of a fleet, in TypeScript and in C, computes for a flow.
 *
 * It is MurmurHash3_x86_32 over 32-bit words, so that C needs nothing but 32-bit integers:
 *
 *     word(h, k):   k *= 0xcc9e2d51; k = rotl(k, 15); k *= 0x1b873593;
 *                   h ^= k; h = rotl(h, 13); h = h * 5 + 0xe6546b64
 *     final(h, n):  h ^= 4 * n; h ^= h >> 16; h *= 0x85ebca6b; h ^= h >> 13; h *= 0xc2b2ae35; h ^= h >> 16
 *     hash(seed, w[0..n-1]) = final(word(... word(seed, w[0]) ..., w[n-1]), n)
 *
 *     vip seed  = hash(fleet seed, address words of the vip, vip port << 16 | protocol)
 *     slot hash = hash(vip seed, address words of the client, client port)
 *
 * Address words are in host order with the first octet on top: 10.0.0.1 is the one word 0x0a000001; an
 * IPv6 address is four words, its first two octets on top of the first. So a new IPv4 flow costs two rounds
 * and a new IPv6 flow five; `n` keeps the families apart.
 *
 * The seed spreads a fleet's vips; it does not keep a client that chooses its addresses and ports from
 * aiming at a slot.
 */
import type { BackendId, Slot } from '../units.ts';

function mixWord(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = (k << 15) | (k >>> 17);
  const h = hash ^ Math.imul(k, 0x1b873593);
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

/** MurmurHash3's last step: a bijection of 32 bits in which each input bit reaches each output bit. Returns u32. */
export function avalanche(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Slot hash (u32) of a flow from an IPv4 client: `address` as a u32, `port` 0 to 65,535. Does not allocate. */
export function slotHashIpv4(vipSeed: number, address: number, port: number): number {
  return avalanche(mixWord(mixWord(vipSeed, address), port) ^ 8);
}

/** Slot hash (u32) of a flow from an IPv6 client: address as four u32 words, `port` 0 to 65,535. Does not allocate. */
export function slotHashIpv6(
  vipSeed: number,
  word0: number,
  word1: number,
  word2: number,
  word3: number,
  port: number,
): number {
  const address = mixWord(mixWord(mixWord(mixWord(vipSeed, word0), word1), word2), word3);
  return avalanche(mixWord(address, port) ^ 20);
}

/** Seed (u32) of an IPv4 vip for {@link slotHashIpv4}, computed once per vip. `protocol` is the IP protocol number. */
export function vipSeedIpv4(fleetSeed: number, address: number, port: number, protocol: number): number {
  return slotHashIpv4(fleetSeed, address, (port << 16) | protocol);
}

/** Seed (u32) of an IPv6 vip for {@link slotHashIpv6}, computed once per vip. `protocol` is the IP protocol number. */
export function vipSeedIpv6(
  fleetSeed: number,
  word0: number,
  word1: number,
  word2: number,
  word3: number,
  port: number,
  protocol: number,
): number {
  return slotHashIpv6(fleetSeed, word0, word1, word2, word3, (port << 16) | protocol);
}

/**
 * Slot of a u32 hash in a table of `slots` slots: floor(hash * slots / 2^32), in C `(u64)hash * slots >> 32`.
 * Exact, because `slots` is at most `slotsMax` and the product so stays below 2^53.
 */
export function slotOf(hash: number, slots: number): Slot {
  return Math.floor((hash * slots) / 0x1_0000_0000) as Slot;
}

/** The backend that a new flow of this slot hash goes to. */
export function backendOf(table: Uint16Array | Uint32Array, hash: number): BackendId {
  return table[slotOf(hash, table.length)] as BackendId;
}

/** Seeded u32 hash of a string: the same rounds over its UTF-16 code units. For names, never per packet. */
export function hashName(name: string, seed: number): number {
  let h = seed | 0;
  for (let i = 0; i < name.length; i++) h = mixWord(h, name.charCodeAt(i));
  return avalanche(h ^ name.length);
}
