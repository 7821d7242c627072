import { createSocket, type Socket } from 'node:dgram';
import { type Address, formatAddress } from '../../net/address.ts';
import {
  interfaces,
  type Neighbour,
  type NetInterface,
  NetworkWatch,
  neighbour,
  resolve,
  routeTo,
} from './neighbours.ts';

/** How often an address without a neighbour entry is asked for again. */
const askMs = 1_000;
/** How often everything is looked up anew, even without a word from the kernel: routes are not watched. */
const refreshMs = 5_000;
/**
 * For how long an entry may be missing before nothing is sent there any more. The kernel forgets all of them when a link
 * goes down for a moment, and finds that somebody does not answer within this time.
 */
const absentMsMax = 3_000;
/** Addresses looked up in one go, so that it takes a few ms at most. */
const lookupsMax = 64;
const unknown = 'not looked up yet';
/** Port of the discard service (RFC 863): where a datagram goes that only makes the kernel resolve an address. */
const discardPort = 9;

/** Where frames for a backend go: out of which interface, from which MAC address, to which. */
export interface NextHop {
  readonly ifindex: number;
  readonly sourceMac: Uint8Array;
  readonly mac: Uint8Array;
}

/** A next hop, or why there is none. */
export type Way = NextHop | string;

/**
 * The next hops of backends in layer-2 DSR, kept up to date: resolved through the kernel's routes and neighbour table,
 * and resolved again when the kernel says that a neighbour or interface changed.
 */
export class NextHops {
  ways: Way[] = [];
  #addresses: readonly Address[] = [];
  /** Places of addresses that are to be looked up. */
  readonly #pending = new Set<number>();
  /** Addresses that are sent to although their neighbour entry is missing, and since when. */
  readonly #absent = new Map<string, number>();
  readonly #watch = new NetworkWatch();
  #asker: Socket | undefined;
  #refreshedMs = Number.NEGATIVE_INFINITY;
  #askedMs = Number.NEGATIVE_INFINITY;
  #isAsking = false;

  constructor(addresses: readonly Address[]) {
    this.follow(addresses);
  }

  /** Takes other addresses in place of those before: ways to those that stay are kept, others will be looked up. */
  follow(addresses: readonly Address[]): void {
    const known = new Map(this.#addresses.map((address, i) => [keyOf(address), this.ways[i]!]));
    this.#addresses = addresses;
    this.ways = addresses.map((address) => known.get(keyOf(address)) ?? unknown);
    const keys = new Set(addresses.map(keyOf));
    for (const key of this.#absent.keys()) if (!keys.has(key)) this.#absent.delete(key);
    const isPending = this.#pending.size > 0;
    this.#pending.clear();
    for (const [i, way] of this.ways.entries()) if (isPending || way === unknown) this.#pending.add(i);
  }

  /**
   * Takes in what changed, some of it if that is much; the places of addresses whose way is another one now.
   * @param nowMs any monotonic clock
   */
  poll(nowMs: number): number[] {
    const changed = this.#watch.read().length > 0;
    const refresh = changed || nowMs - this.#refreshedMs >= refreshMs;
    if (refresh) this.#refreshedMs = nowMs;
    const missing = this.#absent.size > 0 || this.ways.some((way) => typeof way === 'string');
    const ask = missing && nowMs - this.#askedMs >= askMs;
    if (ask) this.#askedMs = nowMs;
    if (refresh || ask) {
      for (const [i, way] of this.ways.entries()) {
        if (refresh || typeof way === 'string' || this.#isAbsent(i)) this.#pending.add(i);
      }
    }
    if (this.#pending.size === 0) return [];
    this.#isAsking ||= ask;
    return this.#lookUp(nowMs);
  }

  close(): void {
    this.#watch.close();
    this.#asker?.close();
  }

  #isAbsent(i: number): boolean {
    return this.#absent.size > 0 && this.#absent.has(keyOf(this.#addresses[i]!));
  }

  #lookUp(nowMs: number): number[] {
    const all = interfaces();
    const changed: number[] = [];
    let lookups = 0;
    for (const i of this.#pending) {
      if (lookups++ === lookupsMax) return changed;
      this.#pending.delete(i);
      const way = this.#wayTo(this.#addresses[i]!, this.ways[i]!, all, nowMs);
      if (isSame(way, this.ways[i]!)) continue;
      this.ways[i] = way;
      changed.push(i);
    }
    this.#isAsking = false;
    return changed;
  }

  #wayTo(address: Address, before: Way, all: readonly NetInterface[], nowMs: number): Way {
    const text = textOf(address);
    const key = keyOf(address);
    const sinceMs = this.#absent.get(key);
    this.#absent.delete(key);
    const route = routeTo(address);
    if (!route) return `no route to ${text}`;
    if (!route.unicast) return `${text} is an address of this machine`;
    if (route.gateway) {
      const gateway = formatAddress(route.gateway.family, ...route.gateway.words);
      return `${text} is behind gateway ${gateway}; layer-2 DSR needs it on the same segment`;
    }
    const out = all.find(({ index }) => index === route.ifindex);
    if (!out?.up) return `interface ${out?.name ?? route.ifindex} to ${text} is down`;
    const entry = neighbour(route.ifindex, address);
    if (entry?.mac && isUsable(entry)) return { ifindex: route.ifindex, sourceMac: out.mac, mac: entry.mac };
    const missing = `no neighbour entry for ${text} on ${out.name}`;
    // What is news is asked for at once.
    const isNews = typeof before === 'string' ? before !== missing : sinceMs === undefined;
    if (this.#isAsking || isNews) this.#ask(route.ifindex, address, text);
    const isDenied = entry?.state === 'failed' || nowMs - (sinceMs ?? nowMs) >= absentMsMax;
    if (isDenied || typeof before === 'string' || before.ifindex !== route.ifindex) return missing;
    this.#absent.set(key, sinceMs ?? nowMs);
    return { ...before, sourceMac: out.mac };
  }

  /** Makes the kernel resolve an address: by netlink, or, where that is not allowed any more, by sending it something. */
  #ask(ifindex: number, address: Address, text: string): void {
    try {
      resolve(ifindex, address);
    } catch {
      this.#asker ??= createSocket(address.family === 4 ? 'udp4' : 'udp6')
        .on('error', () => {})
        .unref();
      this.#asker.send(new Uint8Array(0), discardPort, text, () => {});
    }
  }
}

const textOf = ({ family, words }: Address): string => formatAddress(family, ...words);

const keyOf = ({ family, words }: Address): string => `${family} ${words}`;

function isUsable({ state }: Neighbour): boolean {
  return state !== 'failed' && state !== 'incomplete' && state !== 'none';
}

function isSame(a: Way, b: Way): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b;
  return a.ifindex === b.ifindex && same(a.mac, b.mac) && same(a.sourceMac, b.sourceMac);
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
