import type { Path } from '../../src/health/packets.ts';
import { payloadOf, tcpPacket, udpPacket } from '../../src/health/packets.ts';
import type { Endpoint } from '../../src/net/address.ts';
import { checksumAdd, checksumFinish } from '../../src/net/checksum.ts';
import { ipProtoTcp, ipProtoUdp } from '../../src/net/constants.ts';
import { Packet, tcpAck, tcpFin, tcpPsh, tcpRst, tcpSyn } from '../../src/net/packet.ts';
import { type Ns, ns } from '../../src/units.ts';
import { ip } from '../support/frames.ts';

export const ms = (value: number): Ns => ns(value * 1e6);
export const vip: Endpoint = { address: ip('10.0.0.100'), port: 80, proto: ipProtoTcp };
export const udpVip: Endpoint = { address: ip('10.0.0.100'), port: 53, proto: ipProtoUdp };
export const path: Path = { source: ip('10.0.0.5'), sourcePort: 61_000, vip };
export const udpPath: Path = { ...path, vip: udpVip };
export const path6: Path = {
  source: ip('2001:db8::5'),
  sourcePort: 61_001,
  vip: { address: ip('2001:db8::100'), port: 8080, proto: ipProtoTcp },
};

/** A packet that begins with its IP header, decoded. */
export function decoded(data: Uint8Array): Packet {
  const packet = new Packet();
  const verdict = packet.decode(data, 0, data.length, data.length, 101);
  if (verdict !== 0) throw new Error(`not decoded: ${verdict}`);
  return packet;
}

/** Whether all checksums of a packet are right, worked out from its bytes. */
export function areChecksumsRight(data: Uint8Array): boolean {
  const isIpv4 = data[0]! >> 4 === 4;
  const at = isIpv4 ? 20 : 40;
  const proto = data[isIpv4 ? 9 : 6]!;
  const pseudo = checksumAdd(proto + data.length - at, data, isIpv4 ? 12 : 8, at);
  const isHeaderRight = !isIpv4 || checksumFinish(checksumAdd(0, data, 0, 20)) === 0;
  return isHeaderRight && checksumFinish(checksumAdd(pseudo, data, at)) === 0;
}

/** The path back: what a server sends to a check. */
export function backwards({ source, sourcePort, vip: { address, port, proto } }: Path): Path {
  return { source: address, sourcePort: port, vip: { address: source, port: sourcePort, proto } };
}

/** `SYN 100`, `ACK 101 201`, `PSH ACK 101 201 +17`: flags, numbers and bytes of a segment. */
export function shown(data: Uint8Array): string {
  const { tcpFlags, seq, ack, payloadLength, proto } = decoded(data);
  if (proto === ipProtoUdp) return `UDP +${payloadLength}`;
  const names = [
    [tcpSyn, 'SYN'],
    [tcpFin, 'FIN'],
    [tcpPsh, 'PSH'],
    [tcpRst, 'RST'],
    [tcpAck, 'ACK'],
  ] as const;
  const flags = names.flatMap(([bit, name]) => ((tcpFlags & bit) === 0 ? [] : [name])).join(' ');
  const numbers = (tcpFlags & tcpAck) === 0 ? `${seq >>> 0}` : `${seq >>> 0} ${ack >>> 0}`;
  return `${flags} ${numbers}${payloadLength > 0 ? ` +${payloadLength}` : ''}`;
}

/** What a server's kernel and application do. */
export type Behaviour = 'open' | 'closed' | 'silent';

/** The machine behind a vip, as simple as one can be: answers a packet with packets, and holds one connection a port. */
export class FakeServer {
  behaviour: Behaviour = 'open';
  /** What the application answers a request with; undefined: nothing, ever. */
  answer: string | undefined = 'HTTP/1.1 200 OK\r\n\r\n';
  readonly seen: string[] = [];
  requests = 0;
  readonly #asked = new Set<number>();

  reply(data: Uint8Array): Uint8Array[] {
    this.seen.push(shown(data));
    if (this.behaviour === 'silent') return [];
    const packet = decoded(data);
    const back = backwards({
      source: { family: packet.family as 4, words: [packet.src0, packet.src1, packet.src2, packet.src3] },
      sourcePort: packet.srcPort,
      vip: {
        address: { family: packet.family as 4, words: [packet.dst0, packet.dst1, packet.dst2, packet.dst3] },
        port: packet.dstPort,
        proto: packet.proto,
      },
    });
    if (packet.proto === ipProtoUdp) {
      if (this.behaviour === 'closed' || this.answer === undefined) return [];
      return [udpPacket(back, new TextEncoder().encode(this.answer))];
    }
    return this.#tcp(packet, data, back);
  }

  #tcp(packet: Packet, data: Uint8Array, back: Path): Uint8Array[] {
    const { tcpFlags, seq, ack, payloadLength } = packet;
    if ((tcpFlags & tcpRst) !== 0) {
      this.#asked.delete(packet.srcPort);
      return [];
    }
    if ((tcpFlags & tcpSyn) !== 0) {
      this.#asked.delete(packet.srcPort);
      if (this.behaviour === 'closed')
        return [tcpPacket(back, { flags: tcpRst | tcpAck, seq: 0, ack: seq + 1 })];
      return [tcpPacket(back, { flags: tcpSyn | tcpAck, seq: 7_000, ack: seq + 1 })];
    }
    if (payloadLength === 0 || this.#asked.has(packet.srcPort)) return [];
    this.#asked.add(packet.srcPort);
    this.requests += new TextDecoder().decode(payloadOf(packet, data)).startsWith('GET ') ? 1 : 0;
    if (this.answer === undefined) return [];
    const payload = new TextEncoder().encode(this.answer);
    const next = seq + payloadLength;
    return [
      tcpPacket(back, { flags: tcpAck | tcpPsh, seq: ack, ack: next, payload }),
      tcpPacket(back, { flags: tcpAck | tcpFin, seq: ack + payload.length, ack: next }),
    ];
  }
}
