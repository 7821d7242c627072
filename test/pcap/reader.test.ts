import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { CaptureReader } from '../../src/pcap/reader.ts';
import { CaptureWriter } from '../../src/pcap/writer.ts';
import { chunked, fixture, fixturePath, join, pcapHeader, readAll } from './support.ts';

const directory = mkdtempSync(joinPath(tmpdir(), 'inband-pcap-'));
afterAll(() => rmSync(directory, { recursive: true }));

const nano = fixture('tcpdump-tcp-handshake-nano.pcap');
const ng = fixture('pcapparser-err-buffertoosmall.pcapng');
const hard = fixture('pcapnggen-be-test202.pcapng');

/** A capture larger than a batch and than the reader's window, of packets that compress badly. */
function large(): Uint8Array {
  const writer = CaptureWriter.toMemory();
  let noise = 1;
  for (let i = 0; i < 20_000; i++) {
    const data = new Uint8Array(i % 200);
    for (let j = 0; j < data.length; j++) {
      noise = (Math.imul(noise, 1_103_515_245) + 12_345) >>> 0;
      data[j] = noise >>> 16;
    }
    writer.write(data, i * 1000);
  }
  return writer.close();
}

describe('the source of a capture', () => {
  it('may be a file: the reader knows its size and counts what it read', async () => {
    const path = fixturePath('pcapparser-err-buffertoosmall.pcapng');
    const reader = await CaptureReader.open(path);
    expect([reader.name, reader.sizeBytes, reader.timeBaseS]).toEqual([path, ng.length, undefined]);
    for await (const batch of reader.batches()) expect(batch.count).toBe(27);
    expect([reader.packets, reader.bytesRead, reader.problems]).toEqual([27, ng.length, []]);
  });

  it('may be a Readable, of which no size is known', async () => {
    const reader = await CaptureReader.open(Readable.from([ng.subarray(0, 100), ng.subarray(100)]));
    for await (const batch of reader.batches()) expect(batch.count).toBeLessThanOrEqual(27);
    expect([reader.packets, reader.sizeBytes, reader.bytesRead]).toEqual([27, undefined, ng.length]);
  });

  it('may come in chunks of any size without changing what is delivered', async () => {
    for (const bytes of [nano, ng, hard, new Uint8Array(gzipSync(ng))]) {
      const whole = await readAll(bytes);
      await fc.assert(
        fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1 }), async (sizes) => {
          expect(await readAll(chunked(bytes, sizes))).toEqual(whole);
        }),
        { numRuns: 40 },
      );
    }
  });

  it('may be larger than a batch and than memory should be', async () => {
    const bytes = large();
    const reader = await CaptureReader.open(chunked(bytes, [100_000]));
    let expected = 0;
    for await (const batch of reader.batches()) {
      expect(batch.count).toBeLessThanOrEqual(8192);
      expect(batch.data.length).toBe(1024 * 1024);
      for (let i = 0; i < batch.count; i++, expected++) {
        if (batch.timeNs[i] !== expected * 1000 || batch.capturedLength[i] !== expected % 200) {
          expect.fail(`packet ${expected} differs`);
        }
      }
    }
    expect(expected).toBe(20_000);
    expect(reader.problems).toEqual([]);
  });

  it('is closed when the iteration ends, when it is left early, and when the format is unknown', async () => {
    let closed = 0;
    async function* source(bytes: Uint8Array) {
      try {
        yield* chunked(bytes, [200]);
      } finally {
        closed++;
      }
    }
    await readAll(source(ng));
    expect(closed).toBe(1);
    const reader = await CaptureReader.open(source(ng));
    for await (const _ of reader.batches()) break;
    expect(closed).toBe(2);
    for await (const _ of reader.batches()) expect.fail('a closed reader has no batches');
    await expect(CaptureReader.open(source(new Uint8Array(300)))).rejects.toThrow();
    expect(closed).toBe(3);
    await (await CaptureReader.open(source(new Uint8Array(gzipSync(ng))))).close();
    expect(closed).toBe(4);
  });

  it('may not be missing, a directory, a failing stream or a stream of strings', async () => {
    const unreadable = async (source: string | AsyncIterable<Uint8Array>, message: RegExp) =>
      expect(CaptureReader.open(source)).rejects.toMatchObject({
        code: 'FILE_UNREADABLE',
        message: expect.stringMatching(message),
        hint: expect.any(String),
      });
    await unreadable(joinPath(directory, 'missing.pcap'), /missing\.pcap: cannot be read \(ENOENT\)$/);
    await unreadable(directory, /cannot be read \(EISDIR\)$/);
    const failing = new Readable({
      read() {
        this.destroy(Object.assign(new Error('gone'), { code: 'EIO' }));
      },
    });
    await unreadable(failing, /^stream: cannot be read \(EIO\)$/);
    await unreadable(Readable.from(['text']), /not a stream of bytes/);
  });

  it('must be a capture', async () => {
    const refused = async (bytes: Uint8Array, message: string) =>
      expect(readAll(bytes, { name: 'f' })).rejects.toMatchObject({
        code: 'CAPTURE_UNSUPPORTED',
        message,
        hint: 'supported are pcap and pcapng, optionally compressed with gzip',
      });
    await refused(new Uint8Array(0), 'f: empty');
    await refused(Uint8Array.of(0xd4, 0xc3), 'f: not a capture (2 bytes)');
    await refused(new TextEncoder().encode('hello'), 'f: not a capture (begins with the bytes 68656c6c)');
    await refused(new Uint8Array(gzipSync('hello')), 'f: not a capture (begins with the bytes 68656c6c)');
    await refused(new Uint8Array(gzipSync(nano)).subarray(0, 5), 'f: truncated at byte 0 (uncompressed)');
  });

  it('must have a whole number of seconds as its time base', async () => {
    await expect(readAll(nano, { timeBaseS: 0.5 })).rejects.toMatchObject({ code: 'USAGE' });
  });
});

describe('a gzipped capture', () => {
  it('is recognised by its content, whatever its name', async () => {
    const path = joinPath(directory, 'plainly-named.pcap');
    const gzipped = gzipSync(ng);
    writeFileSync(path, gzipped);
    const reader = await CaptureReader.open(path);
    for await (const batch of reader.batches()) expect(batch.count).toBe(27);
    expect([reader.packets, reader.bytesRead, reader.sizeBytes]).toEqual([
      27,
      gzipped.length,
      gzipped.length,
    ]);
  });

  it('may have several members, cut anywhere', async () => {
    const whole = await readAll(ng);
    for (const cut of [1, 3, 500, ng.length - 1]) {
      const members = join(gzipSync(ng.subarray(0, cut)), gzipSync(ng.subarray(cut)));
      expect(await readAll(members)).toEqual(whole);
      expect(await readAll(chunked(members, [gzipSync(ng.subarray(0, cut)).length]))).toEqual(whole);
    }
  });

  it('that is truncated delivers the packets that are whole and names the byte', async () => {
    const bytes = large();
    const gzipped = new Uint8Array(gzipSync(bytes));
    const all = await readAll(bytes);
    const cut = await readAll(gzipped.subarray(0, gzipped.length / 2), { name: 'z' });
    expect(cut.packets.length).toBeGreaterThan(9000);
    expect(cut.packets).toEqual(all.packets.slice(0, cut.packets.length));
    const { offset, message, kind } = cut.problems[0]!;
    expect([kind, message]).toEqual(['truncated', `z: truncated at byte ${offset} (uncompressed)`]);
    const deliveredBytes = cut.packets.reduce((sum, packet) => sum + 16 + packet.data.length / 2, 24);
    expect(offset - deliveredBytes).toBeGreaterThanOrEqual(0);
    expect(offset - deliveredBytes).toBeLessThan(16 + 200);
  });

  it('that lacks only its trailer delivers all packets and reports the truncation', async () => {
    const capture = await readAll(new Uint8Array(gzipSync(ng)).subarray(0, -1), { name: 'z' });
    expect(capture.packets).toEqual((await readAll(ng)).packets);
    expect(capture.problems).toMatchObject([
      { kind: 'truncated', message: `z: truncated at byte ${ng.length} (uncompressed)` },
    ]);
  });

  it('that is corrupt delivers what precedes the damage, up to a buffer of 64 KiB, and reports it', async () => {
    const bytes = large();
    const all = await readAll(bytes);
    const first = gzipSync(bytes);
    const damaged = join(first, gzipSync(bytes));
    damaged[first.length] = 0x1f;
    damaged[first.length + 1] = 0x00;
    const capture = await readAll(damaged, { name: 'z' });
    expect(capture.packets).toEqual(all.packets.slice(0, capture.packets.length));
    expect(capture.problems).toMatchObject([{ kind: 'corrupt', count: 1 }]);
    expect(capture.problems[0]!.message).toMatch(
      /^z: corrupt gzip data \(.+\) at byte \d+ \(uncompressed\)$/,
    );
    expect(capture.problems[0]!.offset).toBeGreaterThan(bytes.length - 64 * 1024 - 1);
  });
});

describe('a damaged capture', () => {
  /** Where each record or block ends, the pcap file header included, and whether it is a packet. */
  function parts(bytes: Uint8Array): { end: number; isPacket: boolean }[] {
    const view = new DataView(bytes.buffer);
    const isNg = view.getUint32(0) === 0x0a0d0d0a;
    const found = isNg ? [] : [{ end: 24, isPacket: false }];
    for (let end = isNg ? 0 : 24; end < bytes.length; ) {
      const isPacket = !isNg || view.getUint32(end, true) === 6;
      end += isNg ? view.getUint32(end + 4, true) : 16 + view.getUint32(end + 8, true);
      found.push({ end, isPacket });
    }
    return found;
  }

  async function expectWholePackets(bytes: Uint8Array, length: number): Promise<void> {
    const whole = await readAll(bytes);
    const present = parts(bytes).filter((part) => part.end <= length);
    const capture = await readAll(bytes.subarray(0, length), { name: 't' });
    expect(capture.packets).toEqual(whole.packets.slice(0, present.filter((part) => part.isPacket).length));
    const truncated = {
      kind: 'truncated',
      offset: length,
      count: 1,
      message: `t: truncated at byte ${length}`,
    };
    expect(capture.problems).toEqual(present.at(-1)?.end === length ? [] : [truncated]);
  }

  it('truncated at any byte delivers exactly the whole packets', async () => {
    for (const bytes of [nano, fixture('pcapnggen-le-test001.pcapng')]) {
      for (let length = 4; length < bytes.length; length++) await expectWholePackets(bytes, length);
    }
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 4, max: ng.length }), (length) => expectWholePackets(ng, length)),
    );
  });

  it('with random bytes after a valid header never throws', async () => {
    const headers = [
      pcapHeader(true),
      pcapHeader(false, 0xa1b23c4d),
      ng.subarray(0, 0xb8),
      ng.subarray(0, 0x140),
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...headers),
        fc.uint8Array({ maxLength: 400 }),
        async (header, noise) => {
          const { packets } = await readAll(join(header, noise));
          for (const packet of packets) expect(packet.data.length / 2).toBeLessThanOrEqual(noise.length);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('with random bytes changed never throws after its header, and never delivers bytes that it does not have', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(nano, hard, ng, fixture('pcapnggen-le-test102.pcapng')),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 20 }),
        async (bytes, changes) => {
          const damaged = bytes.slice();
          for (const [at, value] of changes) damaged[8 + (at % (bytes.length - 8))] = value;
          const { packets } = await readAll(damaged);
          const total = packets.reduce((sum, packet) => sum + packet.data.length / 2, 0);
          expect(total).toBeLessThanOrEqual(bytes.length);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('in gzip, with random bytes changed, delivers a part of it or is refused', async () => {
    const gzipped = new Uint8Array(gzipSync(ng));
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2, max: gzipped.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        async (at, flip) => {
          const damaged = gzipped.slice();
          damaged[at]! ^= flip;
          const outcome = await readAll(damaged).catch((error) => error);
          if (outcome instanceof Error) expect(outcome).toMatchObject({ code: 'CAPTURE_UNSUPPORTED' });
          else expect(outcome.packets.length).toBeLessThanOrEqual(27);
        },
      ),
      { numRuns: 200 },
    );
  });
});
