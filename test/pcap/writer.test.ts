import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { CaptureReader } from '../../src/pcap/reader.ts';
import { CaptureWriter } from '../../src/pcap/writer.ts';
import { fixturePath, readAll } from './support.ts';

const directory = mkdtempSync(joinPath(tmpdir(), 'inband-writer-'));
afterAll(() => rmSync(directory, { recursive: true }));

describe('the capture writer', () => {
  it('writes what the reader reads', async () => {
    const anyPacket = fc.record({
      data: fc.uint8Array({ maxLength: 300 }),
      timeNs: fc.integer({ min: 0, max: 2 ** 53 - 1 }),
      cutBytes: fc.nat({ max: 5000 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyPacket),
        fc.integer({ min: 0, max: 65_535 }),
        async (packets, linkType) => {
          const writer = CaptureWriter.toMemory({ linkType, timeBaseS: 1_000_000 });
          for (const { data, timeNs, cutBytes } of packets)
            writer.write(data, timeNs, data.length + cutBytes);
          const capture = await readAll(writer.close(), { timeBaseS: 1_000_000 });
          expect(capture.problems).toEqual([]);
          expect(capture.packets).toEqual(
            packets.map(({ data, timeNs, cutBytes }) => ({
              data: Buffer.from(data).toString('hex'),
              timeNs,
              wireLength: data.length + cutBytes,
              linkType,
              interfaceIndex: 0,
            })),
          );
        },
      ),
    );
  });

  it('reproduces a nanosecond capture byte by byte', async () => {
    const path = fixturePath('tcpdump-tcp-handshake-nano.pcap');
    const reader = await CaptureReader.open(path);
    const options = { linkType: 113, snapLength: 262_144, timeBaseS: 1_418_145_369 };
    const writer = CaptureWriter.toMemory(options);
    for await (const { count, data, offset, capturedLength, timeNs } of reader.batches()) {
      for (let i = 0; i < count; i++) {
        writer.write(data.subarray(offset[i]!, offset[i]! + capturedLength[i]!), timeNs[i]!);
      }
    }
    expect(Buffer.from(writer.close())).toEqual(readFileSync(path));
  });

  it('writes the same bytes to a file as to memory, also beyond its buffer', () => {
    const path = joinPath(directory, 'same.pcap');
    const writers = [CaptureWriter.toFile(path), CaptureWriter.toMemory()];
    const data = new Uint8Array(200_000).fill(3);
    for (const writer of writers) for (let i = 0; i < 20; i++) writer.write(data, i);
    const [ofFile, ofMemory] = writers.map((writer) => writer.close());
    expect(ofFile).toHaveLength(0);
    expect(Buffer.compare(readFileSync(path), ofMemory!)).toBe(0);
    expect(ofMemory).toHaveLength(24 + 20 * 200_016);
  });

  it('cuts packets to the snap length and keeps their length on the wire', async () => {
    const writer = CaptureWriter.toMemory({ snapLength: 2 });
    writer.write(Uint8Array.of(1, 2, 3), 0);
    const { packets } = await readAll(writer.close());
    expect(packets).toMatchObject([{ data: '0102', wireLength: 3 }]);
  });

  it('rounds a fraction of a nanosecond down, also before the time base', async () => {
    const writer = CaptureWriter.toMemory({ timeBaseS: 10 });
    writer.write(new Uint8Array(1), -0.5);
    writer.write(new Uint8Array(1), 1.9);
    const { packets } = await readAll(writer.close(), { timeBaseS: 10 });
    expect(packets.map((packet) => packet.timeNs)).toEqual([-1, 1]);
  });

  it('refuses a time that the format cannot hold', () => {
    const writer = CaptureWriter.toMemory();
    for (const timeNs of [-1, 2 ** 32 * 1e9, Number.NaN]) {
      expect(() => writer.write(new Uint8Array(1), timeNs)).toThrow(
        expect.objectContaining({ code: 'LIMIT' }),
      );
    }
  });

  it('refuses a path that it cannot write to', () => {
    expect(() => CaptureWriter.toFile(joinPath(directory, 'no', 'such.pcap'))).toThrow(
      expect.objectContaining({ code: 'FILE_UNWRITABLE', message: expect.stringContaining('(ENOENT)') }),
    );
  });

  it('refuses options out of range', () => {
    for (const options of [
      { linkType: 65_536 },
      { snapLength: 0 },
      { snapLength: 262_145 },
      { timeBaseS: -1 },
    ]) {
      expect(() => CaptureWriter.toMemory(options)).toThrow(expect.objectContaining({ code: 'USAGE' }));
    }
  });
});
