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
  readonly #watch = new NetworkWatch();
  #asker: Socket | undefined;
  #refreshedMs = Number.NEGATIVE_INFINITY;
  #askedMs = Number.NEGATIVE_INFINITY;

  constructor(addresses: readonly Address[]) {
    this.follow(addresses);
  }

  /** Follows these addresses instead, from the next look on; of those that stay the way is kept, in their new places. */
  follow(addresses: readonly Address[]): void {
    const known = new Map(this.#addresses.map((address, i) => [textOf(address), this.ways[i]!]));
    this.#addresses = addresses;
    this.ways = addresses.map((address) => known.get(textOf(address)) ?? 'not looked up yet');
    this.#refreshedMs = Number.NEGATIVE_INFINITY;
  }

  /** Takes in what changed; the backends whose way is another one now. @param nowMs any monotonic clock */
  poll(nowMs: number): number[] {
    const changed = this.#watch.read().length > 0;
    const missing = this.ways.some((way) => typeof way === 'string');
    const ask = missing && nowMs - this.#askedMs >= askMs;
    if (!changed && !ask && nowMs - this.#refreshedMs < refreshMs) return [];
    this.#refreshedMs = nowMs;
    if (ask) this.#askedMs = nowMs;
    const all = interfaces();
    return this.#addresses.flatMap((address, i) => {
      const way = this.#wayTo(address, all, ask);
      if (isSame(way, this.ways[i]!)) return [];
      this.ways[i] = way;
      return [i];
    });
  }

  close(): void {
    this.#watch.close();
    this.#asker?.close();
  }

  #wayTo(address: Address, all: readonly NetInterface[], ask: boolean): Way {
    const text = textOf(address);
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
    if (ask) this.#ask(route.ifindex, address, text);
    return `no neighbour entry for ${text} on ${out.name}`;
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

function isUsable({ state }: Neighbour): boolean {
  return state !== 'failed' && state !== 'incomplete' && state !== 'none';
}

function isSame(a: Way, b: Way): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b;
  return a.ifindex === b.ifindex && same(a.mac, b.mac) && same(a.sourceMac, b.sourceMac);
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
