import type { Packet } from '../../net/packet.ts';
import type { ProbeSource } from '../datapath.ts';

/** Larger replies are not handed on. */
export const replyBytesMax = 1_536;

/** Takes a whole IP packet, valid during the call. */
export type ReplyListener = (packet: Uint8Array) => void;

/** Who listens for replies to probes: one for each family of addresses. */
export class ProbeReplies {
  #ipv4: Listening | undefined;
  #ipv6: Listening | undefined;

  /** In place of the one before of the same family. */
  listen(source: ProbeSource, listener: ReplyListener): void {
    const listening = { source, listener, words: source.address.words };
    if (source.address.family === 4) this.#ipv4 = listening;
    else this.#ipv6 = listening;
  }

  get sources(): ProbeSource[] {
    return [this.#ipv4, this.#ipv6].flatMap((one) => one?.source ?? []);
  }

  /** Who waits for a packet to where this one is to; undefined if nobody does. */
  listenerTo(packet: Packet): ReplyListener | undefined {
    const one = packet.family === 4 ? this.#ipv4 : this.#ipv6;
    if (one === undefined) return undefined;
    const { dst0, dst1, dst2, dst3, dstPort } = packet;
    return isPlace(one, dst0, dst1, dst2, dst3, dstPort) ? one.listener : undefined;
  }

  /** Whether a packet is from where probes are sent. */
  isFrom(packet: Packet): boolean {
    const one = packet.family === 4 ? this.#ipv4 : this.#ipv6;
    if (one === undefined) return false;
    const { src0, src1, src2, src3, srcPort } = packet;
    return isPlace(one, src0, src1, src2, src3, srcPort);
  }
}

interface Listening {
  readonly source: ProbeSource;
  readonly words: ProbeSource['address']['words'];
  readonly listener: ReplyListener;
}

function isPlace(
  { source: { portFirst, portLast }, words }: Listening,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
  port: number,
): boolean {
  return (
    words[0] === w0 &&
    port >= portFirst &&
    port <= portLast &&
    words[1] === w1 &&
    words[2] === w2 &&
    words[3] === w3
  );
}
