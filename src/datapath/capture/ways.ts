import { type Address, formatAddress } from '../../net/address.ts';
import { interfaces, type NetInterface, routeTo } from '../xdp/neighbours.ts';
import { NextHops } from '../xdp/next-hops.ts';
import type { Encapsulation, Hop } from './hops.ts';

/** How often the routes of encapsulated packets are looked up. */
const routeMs = 1_000;

/** A backend and how packets go to it. */
export interface Destination {
  readonly address: Address;
  readonly encapsulation: Encapsulation;
}

/** The ways to backends, kept up to date: layer-2 neighbours on the interface captured on, and routes for `ipip`. */
export class Ways {
  /** A hop, or why there is none. */
  readonly ways: (Hop | string)[];
  readonly #destinations: readonly Destination[];
  readonly #neighbours: NextHops;
  /** Number of each layer-2 neighbour among all backends. */
  readonly #numbers: readonly number[];
  readonly #routed: readonly number[];
  readonly #interface: string;
  #routedMs = Number.NEGATIVE_INFINITY;

  constructor(destinations: readonly Destination[], interfaceName: string) {
    this.#destinations = destinations;
    this.#interface = interfaceName;
    const by = (encapsulation: Encapsulation) =>
      destinations.flatMap((one, i) => (one.encapsulation === encapsulation ? [i] : []));
    this.#numbers = by('l2');
    this.#routed = by('ipip');
    this.#neighbours = new NextHops(this.#numbers.map((i) => destinations[i]!.address));
    this.ways = destinations.map(() => 'not looked up yet');
  }

  /** Takes in what changed; true if any way did. @param ifindex number of the interface captured on now */
  poll(nowMs: number, ifindex: number): boolean {
    this.#neighbours.poll(nowMs);
    let changed = false;
    for (const [i, number] of this.#numbers.entries()) {
      const way = this.#neighbours.ways[i]!;
      const hop = typeof way === 'string' ? way : this.#hopOf(number, way, ifindex);
      changed = this.#set(number, hop) || changed;
    }
    if (this.#routed.length === 0 || nowMs - this.#routedMs < routeMs) return changed;
    this.#routedMs = nowMs;
    const all = interfaces();
    for (const number of this.#routed) {
      changed = this.#set(number, routedHop(this.#destinations[number]!.address, all)) || changed;
    }
    return changed;
  }

  close(): void {
    this.#neighbours.close();
  }

  #hopOf(
    number: number,
    way: { ifindex: number; mac: Uint8Array; sourceMac: Uint8Array },
    ifindex: number,
  ): Hop | string {
    const { mac, sourceMac } = way;
    if (way.ifindex === ifindex) return { encapsulation: 'l2', mac, sourceMac };
    const text = textOf(this.#destinations[number]!.address);
    return `${text} is not on the segment of ${this.#interface}, by which frames leave again; encap=ipip is routed`;
  }

  #set(number: number, way: Hop | string): boolean {
    if (isSame(this.ways[number]!, way)) return false;
    this.ways[number] = way;
    return true;
  }
}

const textOf = ({ family, words }: Address): string => formatAddress(family, ...words);

function routedHop(address: Address, all: readonly NetInterface[]): Hop | string {
  const text = textOf(address);
  const route = routeTo(address);
  if (!route) return `no route to ${text}`;
  if (!route.unicast) return `${text} is an address of this machine`;
  const out = all.find(({ index }) => index === route.ifindex);
  if (!out?.up) return `interface ${out?.name ?? route.ifindex} to ${text} is down`;
  if (route.source?.family !== 4) return `there is no address of ours to reach ${text} from`;
  return {
    encapsulation: 'ipip',
    source: route.source.words[0],
    destination: address.words[0],
    destinationText: text,
    mtu: out.mtu,
  };
}

/** Both are plain data, MAC addresses included. */
function isSame(a: Hop | string, b: Hop | string): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b;
  if (a.encapsulation === 'l2' && b.encapsulation === 'l2') {
    return Buffer.compare(a.mac, b.mac) === 0 && Buffer.compare(a.sourceMac, b.sourceMac) === 0;
  }
  if (a.encapsulation !== 'ipip' || b.encapsulation !== 'ipip') return false;
  return a.source === b.source && a.destination === b.destination && a.mtu === b.mtu;
}
