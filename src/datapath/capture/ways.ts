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

const unknown = 'not looked up yet';

/** The ways to backends, kept up to date: layer-2 neighbours on the interface captured on, and routes for `ipip`. */
export class Ways {
  /** By number: a hop, or why there is none. */
  readonly ways: (Hop | string)[] = [];
  #destinations: readonly (Destination | undefined)[] = [];
  readonly #neighbours = new NextHops([]);
  /** By number of backends with a neighbour: the place of that among all. */
  #placeOf = new Map<number, number>();
  readonly #interface: string;
  #routedMs = Number.NEGATIVE_INFINITY;

  constructor(interfaceName: string) {
    this.#interface = interfaceName;
  }

  /** Follows these backends, by number, from the next look on. What was found of those that stay is kept. */
  follow(destinations: readonly (Destination | undefined)[]): void {
    for (const [number, destination] of destinations.entries()) {
      const before = this.#destinations[number];
      if (destination === undefined || before === undefined || !isSameDestination(before, destination)) {
        this.ways[number] = unknown;
      }
    }
    this.ways.length = destinations.length;
    this.#destinations = destinations;
    this.#routedMs = Number.NEGATIVE_INFINITY;
    const addresses: Address[] = [];
    const places = new Map<string, number>();
    this.#placeOf = new Map();
    for (const [number, destination] of destinations.entries()) {
      if (destination?.encapsulation !== 'l2') continue;
      const text = textOf(destination.address);
      const place = places.get(text) ?? addresses.push(destination.address) - 1;
      places.set(text, place);
      this.#placeOf.set(number, place);
    }
    this.#neighbours.follow(addresses);
  }

  /** Takes in what changed; true if any way did. @param ifindex number of the interface captured on now */
  poll(nowMs: number, ifindex: number): boolean {
    this.#neighbours.poll(nowMs);
    const isTime = nowMs - this.#routedMs >= routeMs;
    let all: NetInterface[] | undefined;
    let changed = false;
    for (const [number, destination] of this.#destinations.entries()) {
      if (destination?.encapsulation === 'l2') {
        changed = this.#set(number, this.#framed(number, destination, ifindex)) || changed;
      } else if (destination && isTime) {
        all ??= interfaces();
        changed = this.#set(number, routedHop(destination.address, all)) || changed;
      }
    }
    if (isTime) this.#routedMs = nowMs;
    return changed;
  }

  close(): void {
    this.#neighbours.close();
  }

  #framed(number: number, { address }: Destination, ifindex: number): Hop | string {
    const way = this.#neighbours.ways[this.#placeOf.get(number)!]!;
    if (typeof way === 'string') return way;
    const { mac, sourceMac } = way;
    if (way.ifindex === ifindex) return { encapsulation: 'l2', mac, sourceMac };
    return `${textOf(address)} is not on the segment of ${this.#interface}, by which frames leave again; encap=ipip is routed`;
  }

  #set(number: number, way: Hop | string): boolean {
    if (isSame(this.ways[number]!, way)) return false;
    this.ways[number] = way;
    return true;
  }
}

const textOf = ({ family, words }: Address): string => formatAddress(family, ...words);

function isSameDestination(a: Destination, b: Destination): boolean {
  const { family, words } = a.address;
  const isSameAddress = family === b.address.family && words.every((word, i) => word === b.address.words[i]);
  return isSameAddress && a.encapsulation === b.encapsulation;
}

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
