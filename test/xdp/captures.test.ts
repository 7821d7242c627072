import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import type { LiveEstimator } from '../../src/datapath/datapath.ts';
import { Directions } from '../../src/datapath/replay/directions.ts';
import { VipTable } from '../../src/flow/vips.ts';
import { type Cliff, cliffs } from '../../src/latency/ensemble.ts';
import { Packet } from '../../src/net/packet.ts';
import { CaptureReader } from '../../src/pcap/reader.ts';
import { needsXdp, root } from '../native/support.ts';
import { startNs } from './support.ts';
import { Twins } from './twins.ts';

beforeEach(needsXdp);

const backends = 8;
const slots = 251;
/** The kernel takes no larger frame in a test run. */
const frameBytesMax = 1 << 16;

/** Estimators, and readings of the cliff. */
const variants: readonly (readonly [LiveEstimator, Cliff])[] = [
  ['auto', 'smooth'],
  ...cliffs.map((cliff) => ['ensemble', cliff] as const),
];

interface Framed {
  readonly frame: Uint8Array;
  readonly timeNs: number;
}

/** Captures below a directory, at any depth. */
function capturesBelow(directory: string): string[] {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort();
  return names.filter((name) => /\.pcap(ng)?(\.gz)?$/.test(name)).map((name) => join(directory, name));
}

/** Where a link type without Ethernet's header has the EtherType and what it describes; undefined if it is not known. */
function networkOf(bytes: Uint8Array, linkType: number): { type: number; at: number } | undefined {
  const u16 = (at: number) => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  const byVersion = (at: number) => ({ type: bytes[at]! >> 4 === 6 ? 0x86dd : 0x0800, at });
  if (linkType === 101 || linkType === 12 || linkType === 14 || linkType === 228) return byVersion(0);
  if (linkType === 0 || linkType === 108) return byVersion(4);
  if (linkType === 113) return { type: u16(14), at: 16 };
  return linkType === 276 ? { type: u16(0), at: 20 } : undefined;
}

/**
 * The packet as an Ethernet frame, as long as it was on the wire: what the capture cut off is zeros. Undefined where the
 * kernel would not take it, or there is no telling what it is.
 */
function ethernetOf(bytes: Uint8Array, wireLength: number, linkType: number): Uint8Array | undefined {
  const network = linkType === 1 ? { type: 0, at: 0 } : networkOf(bytes, linkType);
  if (!network) return undefined;
  const head = linkType === 1 ? 0 : 14;
  const length = Math.min(head + Math.max(wireLength, bytes.length) - network.at, frameBytesMax);
  if (length < 14) return undefined;
  const frame = new Uint8Array(length);
  if (head > 0) frame.set([network.type >> 8, network.type & 255], 12);
  frame.set(bytes.subarray(network.at, network.at + length - head), head);
  return frame;
}

async function* framesOf(path: string): AsyncGenerator<Framed> {
  const reader = await CaptureReader.open(path);
  for await (const {
    count,
    data,
    offset,
    capturedLength,
    wireLength,
    linkType,
    timeNs,
  } of reader.batches()) {
    for (let i = 0; i < count; i++) {
      const bytes = data.subarray(offset[i]!, offset[i]! + capturedLength[i]!);
      const frame = ethernetOf(bytes, wireLength[i]!, linkType[i]!);
      if (frame) yield { frame, timeNs: startNs + timeNs[i]! };
    }
  }
}

/** All that looks like a server in a capture, as vips of slots that go round the backends. */
async function vipsOf(path: string, estimator: LiveEstimator) {
  const table = new VipTable();
  const directions = new Directions(table, true);
  const packet = new Packet();
  for await (const { frame } of framesOf(path)) {
    if (packet.decode(frame, 0, frame.length, frame.length, 1) === 0 && packet.family === 4)
      directions.classify(packet);
  }
  return table.vips.map((endpoint) => ({ endpoint, slots, firstBackend: 0, estimator }));
}

/** Shows both engines a capture, moving a slot of each table with every thousandth packet. */
async function compareOn(path: string, estimator: LiveEstimator, cliff: Cliff = 'smooth'): Promise<Twins> {
  const vips = await vipsOf(path, estimator);
  const twins = new Twins({ vips, backends, cliff });
  const tables = vips.map((_, index) => twins.program.program.slots(index));
  for (const table of tables) for (let slot = 0; slot < slots; slot++) table[slot] = slot % backends;
  for await (const { frame, timeNs } of framesOf(path)) {
    twins.step(frame, timeNs);
    if (twins.packets % 1000 !== 0) continue;
    for (const table of tables)
      for (let slot = 0; slot < slots; slot++) table[slot] = (table[slot]! + 1) % backends;
  }
  twins.compare();
  return twins;
}

for (const [estimator, cliff] of variants) {
  test(`both engines agree on every capture among the fixtures: ${estimator}, ${cliff} cliff`, {
    timeout: 300_000,
  }, async () => {
    let forwarded = 0;
    let samples = 0;
    for (const path of capturesBelow(`${root}test/fixtures`)) {
      const twins = await compareOn(path, estimator, cliff);
      forwarded += twins.forwarded;
      samples += twins.samples;
    }
    expect(forwarded).toBeGreaterThan(1_000);
    expect(samples).toBeGreaterThan(500);
  });
}

/** More captures than are bundled, for who has some: a directory. Without it there is nothing to test, hence no test. */
const directory = process.env.INBAND_CAPTURES;

if (directory) {
  test('both engines agree on every capture below INBAND_CAPTURES', { timeout: 1_200_000 }, async () => {
    for (const path of capturesBelow(directory)) {
      for (const [estimator, cliff] of variants) {
        const { packets, forwarded, counts } = await compareOn(path, estimator, cliff);
        const samples = JSON.stringify(counts);
        console.info(`${path}: ${packets} packets, ${forwarded} forwarded, ${estimator} ${cliff} ${samples}`);
      }
    }
  });
}
