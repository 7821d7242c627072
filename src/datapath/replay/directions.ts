import type { VipTable } from '../../flow/vips.ts';
import { ipProtoTcp } from '../../net/constants.ts';
import { type Packet, tcpAck, tcpSyn } from '../../net/packet.ts';

/** Vips that a capture without `--vip` may turn out to have; packets of further ones are skipped as `vip_limit`. */
export const discoveredVipsMax = 1024;

/** Which way a packet goes, as seen from the vips. */
export const direction = { client: 0, server: 1, notVip: 2, vipLimit: 3 } as const;

/**
 * Tells client->server packets of the vips from server->client ones. Without configured vips it takes every endpoint
 * that looks like a server: the target of a SYN, the source of a SYN-ACK, and where the start of a conversation was not
 * captured, the side with the lower port (the target, if they are equal), which is a guess.
 */
export class Directions {
  /** Number of the vip of the packet last classified as client or server. */
  vip = -1;
  readonly #vips: VipTable;
  readonly #discover: boolean;

  constructor(vips: VipTable, discover: boolean) {
    this.#vips = vips;
    this.#discover = discover;
  }

  /** One of `direction`; sets `vip` for client and server. */
  classify(packet: Packet): number {
    const { family, proto } = packet;
    const syn = proto === ipProtoTcp ? packet.tcpFlags & (tcpSyn | tcpAck) : 0;
    if (syn !== (tcpSyn | tcpAck)) {
      this.vip = this.#vips.find(
        family,
        packet.dst0,
        packet.dst1,
        packet.dst2,
        packet.dst3,
        packet.dstPort,
        proto,
      );
      if (this.vip >= 0) return direction.client;
    }
    if (syn !== tcpSyn) {
      this.vip = this.#vips.find(
        family,
        packet.src0,
        packet.src1,
        packet.src2,
        packet.src3,
        packet.srcPort,
        proto,
      );
      if (this.vip >= 0) return direction.server;
    }
    return this.#discover ? this.#discovered(packet, syn) : direction.notVip;
  }

  #discovered(packet: Packet, syn: number): number {
    const toServer = (syn & tcpSyn) !== 0 ? syn === tcpSyn : packet.dstPort <= packet.srcPort;
    if (isForMany(packet)) return direction.notVip;
    if (this.#vips.size >= discoveredVipsMax) return direction.vipLimit;
    const family = packet.family === 4 ? 4 : 6;
    const port = toServer ? packet.dstPort : packet.srcPort;
    this.vip = this.#vips.add({
      address: {
        family,
        words: toServer
          ? [packet.dst0, packet.dst1, packet.dst2, packet.dst3]
          : [packet.src0, packet.src1, packet.src2, packet.src3],
      },
      port,
      proto: packet.proto,
    });
    return toServer ? direction.client : direction.server;
  }
}

/** To a group (224.0.0.0/4, ff00::/8) or to everybody (255.255.255.255): no server answers for such an address. */
function isForMany({ family, dst0 }: Packet): boolean {
  return family === 4 ? dst0 >>> 28 === 14 || dst0 === -1 : dst0 >>> 24 === 0xff;
}
