import { NetlinkSocket, parseAttributes } from '../datapath/xdp/netlink.ts';

/** RTM_GETLINK, and IFLA_*, of linux/rtnetlink.h and linux/if_link.h. */
const getLink = 16 + 2;
const attribute = { name: 3, peerNamespace: 37, xdp: 43, targetNamespace: 46 } as const;
const xdpAttached = 2;
const headerBytes = 16;
/** IFF_LOWER_UP: it has a carrier. */
const lowerUp = 1 << 16;

/** XDP_ATTACHED_*; in several modes at once counts as native, which is one of them. */
const xdpModes = ['none', 'native', 'generic', 'native', 'native'] as const;

/** What `interfaces()` does not tell, and the other end of a veth has none of. */
export interface LinkState {
  readonly name: string;
  /** Whether it has a carrier. */
  readonly running: boolean;
  readonly xdp: (typeof xdpModes)[number];
  /** The number that this namespace has for the one with the other end; undefined when that is here. */
  readonly peerNamespace: number | undefined;
}

function i32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}

/**
 * An interface by its index, also in another network namespace, by the number that this one has for it. Undefined when
 * there is none, and when the other namespace may not be looked at, for which it takes CAP_NET_ADMIN there.
 */
export function linkState(ifindex: number, namespace?: number): LinkState | undefined {
  const header = new Uint8Array(headerBytes);
  header.set(i32(ifindex), 4);
  const socket = new NetlinkSocket();
  const attributes = namespace === undefined ? [] : [[attribute.targetNamespace, i32(namespace)] as const];
  try {
    const { errno, messages } = socket.request(getLink, 0, header, attributes);
    const body = messages[0]?.body;
    return errno === 0 && body && body.byteLength >= headerBytes ? stateOf(body) : undefined;
  } finally {
    socket.close();
  }
}

function stateOf(body: DataView): LinkState {
  const attributes = parseAttributes(body, headerBytes);
  const name = attributes.get(attribute.name);
  const xdp = attributes.get(attribute.xdp);
  const attached = xdp && parseAttributes(xdp, 0).get(xdpAttached);
  const peer = attributes.get(attribute.peerNamespace);
  return {
    name: name
      ? Buffer.from(name.buffer, name.byteOffset, name.byteLength).toString('utf8').replace(/\0.*$/s, '')
      : '',
    running: (body.getUint32(8, true) & lowerUp) !== 0,
    xdp: xdpModes[attached?.getUint8(0) ?? 0] ?? 'none',
    peerNamespace: peer?.getInt32(0, true),
  };
}
