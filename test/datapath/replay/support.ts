import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { parseEndpoint } from '../../../src/net/address.ts';
import { Packet, tcpAck, tcpSyn } from '../../../src/net/packet.ts';
import { buildFrame } from '../../support/frames.ts';

/** A packet in words: endpoints as `ADDR:PORT`, `[ADDR]:PORT` for IPv6. What is left out is 0. */
export interface Segment {
  from: string;
  to: string;
  udp?: boolean;
  flags?: number;
  seq?: number;
  ack?: number;
  payloadBytes?: number;
  dstMac?: Uint8Array;
}

/** The Ethernet frame of a packet; TCP unless it says otherwise. */
export function frameOf({
  from,
  to,
  udp = false,
  flags = tcpAck,
  seq = 0,
  ack = 0,
  payloadBytes = 0,
  dstMac,
}: Segment): Uint8Array {
  const [src, dst] = [from, to].map((text) => parseEndpoint(`${text}/tcp`, 'test'));
  const ports = { srcPort: src!.port, dstPort: dst!.port };
  return buildFrame({
    src: src!.address,
    dst: dst!.address,
    ...(udp ? { udp: ports } : { tcp: { ...ports, flags, seq, ack } }),
    payload: new Uint8Array(payloadBytes),
    ...(dstMac && { dstMac }),
  });
}

/** The frame as a load balancer sees it. */
export function decode(frame: Uint8Array, linkType = 1): Packet {
  const packet = new Packet();
  const verdict = packet.decode(frame, 0, frame.length, frame.length, linkType);
  if (verdict !== 0) throw new Error(`not decoded: verdict ${verdict}`);
  return packet;
}

export const packetOf = (segment: Segment): Packet => decode(frameOf(segment));

export const syn = tcpSyn;
export const synAck = tcpSyn | tcpAck;

/** A directory that is gone after the test. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'inband-test-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A file with this content that is gone after the test. */
export function temporaryFile(name: string, content: string | Uint8Array): string {
  const path = join(temporaryDirectory(), name);
  writeFileSync(path, content);
  return path;
}
