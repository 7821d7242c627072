import { roomFor } from '../../latency/room.ts';

/** How packets go to a backend: `l2` rewrites the frame's MAC addresses, `ipip` puts a packet around the packet (RFC 2003). */
export const encapsulations = ['l2', 'ipip'] as const;
export type Encapsulation = (typeof encapsulations)[number];

/** Where a backend's packets go. */
export type Hop =
  | { readonly encapsulation: 'l2'; readonly mac: Uint8Array; readonly sourceMac: Uint8Array }
  | {
      readonly encapsulation: 'ipip';
      /** Outer addresses, signed as in `Packet`, and the destination as text. */
      readonly source: number;
      readonly destination: number;
      readonly destinationText: string;
      /** Largest outer packet that leaves in one piece. */
      readonly mtu: number;
    };

export const hopNone = 0;
export const hopL2 = 1;
export const hopIpip = 2;
const macPairBytes = 12;

/** The next hops of all backends by number, in arrays that the packet path reads. */
export class HopTable {
  /** `hopNone`, `hopL2`, `hopIpip`. */
  how = new Uint8Array(0);
  sources = new Int32Array(0);
  destinations = new Int32Array(0);
  readonly destinationTexts: string[] = [];
  mtus = new Int32Array(0);
  #macs = new Uint8Array(0);

  /** Makes room for a backend, to which there is no hop. */
  begin(backend: number): void {
    const count = backend + 1;
    this.how = roomFor(this.how, count);
    this.sources = roomFor(this.sources, count);
    this.destinations = roomFor(this.destinations, count);
    this.mtus = roomFor(this.mtus, count);
    this.#macs = roomFor(this.#macs, count * macPairBytes);
    while (this.destinationTexts.length < count) this.destinationTexts.push('');
    this.set(backend, undefined);
  }

  /** Undefined: packets to it are dropped. */
  set(backend: number, hop: Hop | undefined): void {
    if (hop?.encapsulation === 'l2') {
      this.#macs.set(hop.mac, backend * macPairBytes);
      this.#macs.set(hop.sourceMac, backend * macPairBytes + hop.mac.length);
      this.how[backend] = hopL2;
      return;
    }
    this.how[backend] = hop ? hopIpip : hopNone;
    if (!hop) return;
    this.sources[backend] = hop.source;
    this.destinations[backend] = hop.destination;
    this.destinationTexts[backend] = hop.destinationText;
    this.mtus[backend] = hop.mtu;
  }

  /** Addresses a frame that begins at `frame[0]` to a backend. */
  writeMacs(frame: Uint8Array, backend: number): void {
    const from = backend * macPairBytes;
    for (let i = 0; i < macPairBytes; i++) frame[i] = this.#macs[from + i]!;
  }
}
