import { readFileSync } from 'node:fs';
import type { CaptureProblem } from '../../src/pcap/problems.ts';
import { CaptureReader, type CaptureReaderOptions } from '../../src/pcap/reader.ts';

export interface Packet {
  data: string;
  wireLength: number;
  timeNs: number;
  linkType: number;
  interfaceIndex: number;
}

export interface Capture {
  packets: Packet[];
  problems: readonly CaptureProblem[];
  timeBaseS: number | undefined;
}

export const fixturePath = (name: string) => new URL(`../fixtures/pcap/${name}`, import.meta.url).pathname;
export const fixture = (name: string): Uint8Array => new Uint8Array(readFileSync(fixturePath(name)));

/** The bytes as a stream of chunks of these sizes, repeated; as one chunk when there are none. */
export async function* chunked(bytes: Uint8Array, sizes: readonly number[] = []): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes.length === 0 ? bytes.length : sizes[i % sizes.length]!;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

/** Everything that a reader delivers of a path or of bytes. */
export async function readAll(
  source: string | Uint8Array | AsyncIterable<Uint8Array>,
  options: CaptureReaderOptions = {},
): Promise<Capture> {
  const reader = await CaptureReader.open(source instanceof Uint8Array ? chunked(source) : source, options);
  const packets: Packet[] = [];
  for await (const batch of reader.batches()) {
    for (let i = 0; i < batch.count; i++) {
      const offset = batch.offset[i]!;
      packets.push({
        data: Buffer.from(batch.data.subarray(offset, offset + batch.capturedLength[i]!)).toString('hex'),
        wireLength: batch.wireLength[i]!,
        timeNs: batch.timeNs[i]!,
        linkType: batch.linkType[i]!,
        interfaceIndex: batch.interfaceIndex[i]!,
      });
    }
  }
  return { packets, problems: reader.problems, timeBaseS: reader.timeBaseS };
}

/** Lays out 32-bit numbers, 16-bit numbers (in an array of their own) and bytes in one byte order. */
export function layOut(littleEndian: boolean, ...fields: (number | [number] | Uint8Array)[]): Uint8Array {
  const parts = fields.map((field) => {
    if (field instanceof Uint8Array) return field;
    const bytes = new Uint8Array(typeof field === 'number' ? 4 : 2);
    const view = new DataView(bytes.buffer);
    if (typeof field === 'number') view.setUint32(0, field, littleEndian);
    else view.setUint16(0, field[0], littleEndian);
    return bytes;
  });
  return new Uint8Array(Buffer.concat(parts));
}

export const join = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

/** A pcap file header; microseconds by default. */
export function pcapHeader(littleEndian: boolean, magic = 0xa1b2c3d4, linkType = 1, minor = 4): Uint8Array {
  return layOut(littleEndian, magic, [2], [minor], 0, 0, 65535, linkType);
}

/** A pcap record: `extra` is what Kuznetzov's format puts before the data. */
export function pcapRecord(
  littleEndian: boolean,
  seconds: number,
  fraction: number,
  data: Uint8Array,
  wireLength = data.length,
  extra = new Uint8Array(0),
): Uint8Array {
  return layOut(littleEndian, seconds, fraction, data.length, wireLength, extra, data);
}

/** Builds pcapng blocks of one byte order. */
export function ngBlocks(littleEndian: boolean) {
  const padded = (data: Uint8Array) => join(data, new Uint8Array((4 - (data.length % 4)) % 4));
  const block = (type: number, ...fields: Parameters<typeof layOut>[1][]) => {
    const body = padded(layOut(littleEndian, ...fields));
    return layOut(littleEndian, type, body.length + 12, body, body.length + 12);
  };
  const option = (code: number, value: Uint8Array) =>
    layOut(littleEndian, [code], [value.length], padded(value));
  return {
    block,
    section: (major = 1) => block(0x0a0d0d0a, 0x1a2b3c4d, [major], [0], 0xffffffff, 0xffffffff),
    interface: (linkType = 1, snapLength = 0, ...options: Uint8Array[]) =>
      block(1, [linkType], [0], snapLength, ...options, option(0, new Uint8Array(0))),
    resolution: (value: number) => option(9, Uint8Array.of(value)),
    timeOffset: (seconds: bigint) => {
      const value = new Uint8Array(8);
      new DataView(value.buffer).setBigInt64(0, seconds, littleEndian);
      return option(14, value);
    },
    comment: (text: string) => option(1, new TextEncoder().encode(text)),
    enhanced: (id: number, ticks: bigint, data: Uint8Array, wire = data.length) =>
      block(6, id, Number(ticks >> 32n), Number(ticks & 0xffffffffn), data.length, wire, padded(data)),
    obsolete: (id: number, ticks: bigint, data: Uint8Array, wire = data.length) =>
      block(2, [id], [0], Number(ticks >> 32n), Number(ticks & 0xffffffffn), data.length, wire, padded(data)),
    simple: (data: Uint8Array, wire = data.length) => block(3, wire, padded(data)),
  };
}
