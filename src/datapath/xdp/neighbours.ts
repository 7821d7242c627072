import { InbandError } from '../../errors.ts';
import { type Address, formatAddress } from '../../net/address.ts';
import { isNativeError } from './addon.ts';
import { errnoName } from './native-error.ts';
import {
  type NetlinkMessage,
  NetlinkSocket,
  netlinkFlag,
  parseAttributes,
  parseMessages,
} from './netlink.ts';

/** RTM_* of linux/rtnetlink.h. */
const message = {
  newLink: 16,
  delLink: 17,
  getLink: 18,
  newAddress: 20,
  delAddress: 21,
  getAddress: 22,
  newNeighbour: 28,
  delNeighbour: 29,
  getNeighbour: 30,
  getRoute: 26,
} as const;
const headerBytes = { link: 16, address: 8, neighbour: 12, route: 12 } as const;
const linkAttribute = { mac: 1, name: 3, mtu: 4, peer: 5, master: 10, info: 18, peerNamespace: 37 } as const;
const addressAttribute = { address: 1, local: 2 } as const;
const neighbourAttribute = { destination: 1, mac: 2 } as const;
const routeAttribute = { destination: 1, oif: 4, gateway: 5, prefSrc: 7, via: 18 } as const;
const groups = 1 | 4 | 0x10 | 0x100; // links, neighbours, IPv4 addresses, IPv6 addresses
const interfaceUp = 1;
const useNeighbour = 1;
const routeUnicast = 1;
/** Datagrams that one `read` of a watch takes, so that a storm of changes cannot hold up the caller. */
const datagramsMax = 256;

const familyNumber = { 4: 2, 6: 10 } as const;

/** An interface of this network namespace. */
export interface NetInterface {
  readonly index: number;
  readonly name: string;
  /** 6 bytes on Ethernet; empty where there are no link addresses. */
  readonly mac: Uint8Array;
  readonly mtu: number;
  /** Whether it is set up; it may still lack a carrier. */
  readonly up: boolean;
  /** `veth`, `bridge`, `vxlan` ...; empty for physical interfaces. */
  readonly kind: string;
  /** Index of the bridge or bond that it belongs to. */
  readonly master: number | undefined;
  /** Index of what it stands on or, for a veth, of its other end. */
  readonly peer: number | undefined;
  /** Whether `peer` is an index in another network namespace. */
  readonly peerElsewhere: boolean;
}

export interface InterfaceAddress {
  readonly ifindex: number;
  readonly address: Address;
  readonly prefixLength: number;
}

/** NUD_* of linux/neighbour.h: states from `reachable` to `permanent` have a usable address. */
const neighbourStates = new Map([
  [0x00, 'none'],
  [0x01, 'incomplete'],
  [0x02, 'reachable'],
  [0x04, 'stale'],
  [0x08, 'delay'],
  [0x10, 'probe'],
  [0x20, 'failed'],
  [0x40, 'noarp'],
  [0x80, 'permanent'],
] as const);
export type NeighbourState = typeof neighbourStates extends Map<number, infer State> ? State : never;

export interface Neighbour {
  readonly ifindex: number;
  readonly address: Address;
  readonly state: NeighbourState;
  /** Where to send frames for it; undefined while that is not known. */
  readonly mac: Uint8Array | undefined;
}

/** The way to an address: out of which interface and through which gateway, if any. */
export interface Route {
  readonly ifindex: number;
  readonly gateway: Address | undefined;
  /** The address of ours that connections there come from. */
  readonly source: Address | undefined;
  /** Whether it ends at another host; false for our own, broadcast and multicast addresses. */
  readonly unicast: boolean;
}

const bytesOf = (view: DataView) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
const textOf = (view: DataView | undefined) =>
  view ? Buffer.from(bytesOf(view)).toString('utf8').replace(/\0.*$/s, '') : '';
const numberOf = (view: DataView | undefined) =>
  view && view.byteLength >= 4 ? view.getUint32(0, true) : undefined;

function addressOf(view: DataView | undefined): Address | undefined {
  if (view?.byteLength !== 4 && view?.byteLength !== 16) return undefined;
  const word = (index: number) => (index * 4 < view.byteLength ? view.getInt32(index * 4) : 0);
  return { family: view.byteLength === 4 ? 4 : 6, words: [word(0), word(1), word(2), word(3)] };
}

function addressBytes({ family, words }: Address): Uint8Array {
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += 4) view.setInt32(at, words[at / 4]!);
  return bytes;
}

function linkOf({ body }: NetlinkMessage): NetInterface | undefined {
  // Bridges report their ports once more, with a family of their own.
  if (body.byteLength < headerBytes.link || body.getUint8(0) !== 0) return undefined;
  const attributes = parseAttributes(body, headerBytes.link);
  const mac = attributes.get(linkAttribute.mac);
  const info = attributes.get(linkAttribute.info);
  return {
    index: body.getInt32(4, true),
    name: textOf(attributes.get(linkAttribute.name)),
    mac: mac ? bytesOf(mac).slice() : new Uint8Array(0),
    mtu: numberOf(attributes.get(linkAttribute.mtu)) ?? 0,
    up: (body.getUint32(8, true) & interfaceUp) !== 0,
    kind: info ? textOf(parseAttributes(info, 0).get(1)) : '',
    master: numberOf(attributes.get(linkAttribute.master)),
    peer: numberOf(attributes.get(linkAttribute.peer)) || undefined,
    peerElsewhere: attributes.has(linkAttribute.peerNamespace),
  };
}

function interfaceAddressOf({ body }: NetlinkMessage): InterfaceAddress | undefined {
  if (body.byteLength < headerBytes.address) return undefined;
  const attributes = parseAttributes(body, headerBytes.address);
  // On point-to-point interfaces `address` is the other end's.
  const address = addressOf(
    attributes.get(addressAttribute.local) ?? attributes.get(addressAttribute.address),
  );
  return address && { ifindex: body.getUint32(4, true), address, prefixLength: body.getUint8(1) };
}

function neighbourOf({ body }: NetlinkMessage): Neighbour | undefined {
  if (body.byteLength < headerBytes.neighbour) return undefined;
  const attributes = parseAttributes(body, headerBytes.neighbour);
  const address = addressOf(attributes.get(neighbourAttribute.destination));
  const state = neighbourStates.get(body.getUint16(8, true) as 0);
  if (!address || !state) return undefined;
  const mac = attributes.get(neighbourAttribute.mac);
  const known = mac && state !== 'none' && state !== 'incomplete' && state !== 'failed';
  return { ifindex: body.getInt32(4, true), address, state, mac: known ? bytesOf(mac).slice() : undefined };
}

function withSocket<Result>(use: (socket: NetlinkSocket) => Result): Result {
  const socket = new NetlinkSocket();
  try {
    return use(socket);
  } finally {
    socket.close();
  }
}

function refuse(errno: number, what: string): never {
  const code = errnoName(errno);
  if (code !== 'EPERM') throw new InbandError('ENVIRONMENT', `${what}: the kernel said ${code}`);
  throw new InbandError('PERMISSION', `${what}: not permitted`, {
    hint: 'run as root, or give node CAP_NET_ADMIN',
  });
}

function dump<Item>(
  type: number,
  header: number,
  what: string,
  read: (message: NetlinkMessage) => Item | undefined,
): Item[] {
  const { errno, messages } = withSocket((socket) =>
    socket.request(type, netlinkFlag.dump, new Uint8Array(header)),
  );
  if (errno !== 0) refuse(errno, what);
  return messages.map(read).filter((item) => item !== undefined);
}

/** All interfaces. */
export const interfaces = (): NetInterface[] =>
  dump(message.getLink, headerBytes.link, 'listing interfaces', linkOf);

/** The addresses of all interfaces. */
export const addresses = (): InterfaceAddress[] =>
  dump(message.getAddress, headerBytes.address, 'listing addresses', interfaceAddressOf);

/** All neighbour entries, IPv4 and IPv6, whatever their state. */
export const neighbours = (): Neighbour[] =>
  dump(message.getNeighbour, headerBytes.neighbour, 'listing neighbours', neighbourOf);

/** The neighbour entry of an address on an interface, if there is one. */
export function neighbour(ifindex: number, address: Address): Neighbour | undefined {
  const { errno, messages } = withSocket((socket) =>
    askNeighbour(socket, message.getNeighbour, 0, ifindex, address, 0),
  );
  if (errno === 0) return messages.map(neighbourOf).find((found) => found !== undefined);
  return errnoName(errno) === 'ENOENT'
    ? undefined
    : refuse(errno, `neighbour ${formatAddress(address.family, ...address.words)}`);
}

function askNeighbour(
  socket: NetlinkSocket,
  type: number,
  flags: number,
  ifindex: number,
  address: Address,
  use: number,
) {
  const header = new Uint8Array(headerBytes.neighbour);
  const view = new DataView(header.buffer);
  view.setUint8(0, familyNumber[address.family]);
  view.setInt32(4, ifindex, true);
  view.setUint8(10, use);
  return socket.request(type, flags, header, [[neighbourAttribute.destination, addressBytes(address)]]);
}

/**
 * Has the kernel find out the link address of a neighbour, or confirm one it has not heard of for a while, as if a
 * packet were to be sent there. Returns at once: the answer is in `neighbours` and a watch. A permanent entry stays.
 * @throws InbandError `PERMISSION` without CAP_NET_ADMIN; `ENVIRONMENT` when there is no such interface.
 */
export function resolve(ifindex: number, address: Address): void {
  // To the kernel, `use` of a permanent entry makes it an ordinary one.
  const state = neighbour(ifindex, address)?.state;
  if (state === 'permanent' || state === 'noarp') return;
  const { errno } = withSocket((socket) =>
    askNeighbour(
      socket,
      message.newNeighbour,
      netlinkFlag.create | netlinkFlag.replace,
      ifindex,
      address,
      useNeighbour,
    ),
  );
  if (errno !== 0) refuse(errno, `resolving ${formatAddress(address.family, ...address.words)}`);
}

/** The route that packets to an address take; undefined when there is none. */
export function routeTo(address: Address): Route | undefined {
  const header = new Uint8Array(headerBytes.route);
  header[0] = familyNumber[address.family];
  header[1] = address.family === 4 ? 32 : 128;
  const { errno, messages } = withSocket((socket) =>
    socket.request(message.getRoute, 0, header, [[routeAttribute.destination, addressBytes(address)]]),
  );
  const reply = messages[0]?.body;
  if (errno !== 0 || !reply || reply.byteLength < headerBytes.route) return undefined;
  const attributes = parseAttributes(reply, headerBytes.route);
  const ifindex = numberOf(attributes.get(routeAttribute.oif));
  const via = attributes.get(routeAttribute.via);
  if (ifindex === undefined) return undefined;
  return {
    ifindex,
    // An IPv4 route through an IPv6 gateway has the family in front of the address.
    gateway: addressOf(
      via
        ? new DataView(via.buffer, via.byteOffset + 2, via.byteLength - 2)
        : attributes.get(routeAttribute.gateway),
    ),
    source: addressOf(attributes.get(routeAttribute.prefSrc)),
    unicast: reply.getUint8(7) === routeUnicast,
  };
}

/** What changed; `gone` when it was removed. After `lost`, list everything anew: the kernel had to drop some. */
export type NetworkChange =
  | { readonly kind: 'interface'; readonly gone: boolean; readonly interface: NetInterface }
  | { readonly kind: 'address'; readonly gone: boolean; readonly address: InterfaceAddress }
  | { readonly kind: 'neighbour'; readonly gone: boolean; readonly neighbour: Neighbour }
  | { readonly kind: 'lost' };

function changeOf(received: NetlinkMessage): NetworkChange | undefined {
  const { type } = received;
  if (type === message.newLink || type === message.delLink) {
    const found = linkOf(received);
    return found && { kind: 'interface', gone: type === message.delLink, interface: found };
  }
  if (type === message.newAddress || type === message.delAddress) {
    const address = interfaceAddressOf(received);
    return address && { kind: 'address', gone: type === message.delAddress, address };
  }
  if (type === message.newNeighbour || type === message.delNeighbour) {
    const found = neighbourOf(received);
    return found && { kind: 'neighbour', gone: type === message.delNeighbour, neighbour: found };
  }
  return undefined;
}

/** Follows interfaces, addresses and neighbours from now on. Read it on a tick: the kernel keeps what comes between. */
export class NetworkWatch {
  readonly #socket = new NetlinkSocket(groups);

  /** What has changed since the last call, in order. Does not wait. */
  read(): NetworkChange[] {
    const changes: NetworkChange[] = [];
    for (let count = 0; count < datagramsMax; count++) {
      const datagram = this.#receive();
      if (datagram === undefined) break;
      if (datagram === 'lost') changes.push({ kind: 'lost' });
      else for (const received of parseMessages(datagram)) changes.push(...[changeOf(received) ?? []].flat());
    }
    return changes;
  }

  #receive(): Uint8Array | 'lost' | undefined {
    try {
      return this.#socket.receive(0);
    } catch (error) {
      const cause = (error as Error).cause;
      if (isNativeError(cause) && ['ENOBUFS', 'EMSGSIZE'].includes(errnoName(cause.errno))) return 'lost';
      throw error;
    }
  }

  close(): void {
    this.#socket.close();
  }
}
