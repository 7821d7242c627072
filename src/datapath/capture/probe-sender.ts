import { etherTypeIpv4, etherTypeIpv6 } from '../../net/constants.ts';
import { ipipHeaderBytes, writeIpipHeader } from '../../net/ipip.ts';
import { type HopTable, hopIpip, hopL2 } from './hops.ts';

const ethernetHeaderBytes = 14;
const typeAt = 12;
/** Largest probe. */
const probeBytesMax = 1_500;

/** How probes leave. Both throw when the kernel refuses one. */
export interface ProbeWire {
  sendFrame(frame: Buffer, length: number): void;
  sendPacket(memory: Buffer, at: number, length: number, destination: string): void;
}

/** Sends packets to backends as those of clients go, though from memory of its own: a frame may be in hand. */
export class ProbeSender {
  readonly #hops: HopTable;
  readonly #wire: ProbeWire;
  readonly #memory = Buffer.alloc(ipipHeaderBytes + probeBytesMax);

  constructor(hops: HopTable, wire: ProbeWire) {
    this.#hops = hops;
    this.#wire = wire;
  }

  /**
   * @param packet IPv4 or IPv6
   * @param mtu of the interface that frames leave by
   * @returns false if it is too long, has nowhere to go, or is refused by the kernel
   */
  send(backend: number, packet: Uint8Array, mtu: number): boolean {
    const how = this.#hops.how[backend];
    if (packet.length > Math.min(probeBytesMax, mtu)) return false;
    try {
      if (how === hopL2) this.#sendFrame(backend, packet);
      else if (how === hopIpip) return this.#sendPacket(backend, packet);
      else return false;
      return true;
    } catch {
      return false;
    }
  }

  #sendFrame(backend: number, packet: Uint8Array): void {
    const frame = this.#memory;
    this.#hops.writeMacs(frame, backend);
    frame.writeUInt16BE(packet[0]! >> 4 === 6 ? etherTypeIpv6 : etherTypeIpv4, typeAt);
    frame.set(packet, ethernetHeaderBytes);
    this.#wire.sendFrame(frame, ethernetHeaderBytes + packet.length);
  }

  #sendPacket(backend: number, packet: Uint8Array): boolean {
    const { sources, destinations, destinationTexts, mtus } = this.#hops;
    const length = ipipHeaderBytes + packet.length;
    if (length > mtus[backend]!) return false;
    this.#memory.set(packet, ipipHeaderBytes);
    writeIpipHeader(this.#memory, 0, packet.length, sources[backend]!, destinations[backend]!);
    this.#wire.sendPacket(this.#memory, 0, length, destinationTexts[backend]!);
    return true;
  }
}
