import { readFileSync, writeFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Shift } from '../../../src/control/shift.ts';
import type { ReplayOptions } from '../../../src/datapath/replay/options.ts';
import { replay } from '../../../src/datapath/replay/replay.ts';
import type { EstimatorSummary, ReplayResult } from '../../../src/datapath/replay/result.ts';
import { InbandError } from '../../../src/errors.ts';
import { epochDefault, timeoutsDefault } from '../../../src/latency/ensemble.ts';
import { ns } from '../../../src/units.ts';
import { temporaryDirectory } from './support.ts';

const fixture = (name: string): Buffer => {
  const bytes = readFileSync(new URL(`../../fixtures/${name}`, import.meta.url));
  return name.endsWith('.gz') ? gunzipSync(bytes) : bytes;
};

const pool = [
  { name: 'a', weight: 1 },
  { name: 'b', weight: 2 },
];

const optionsFor = (path: string, assign: ReplayOptions['assign']): ReplayOptions => ({
  files: [path],
  vips: [],
  useServer: true,
  estimators: ['ensemble', 'ensemble:infinite:flow', 'fixed:64us', 'handshake'],
  timeoutsNs: timeoutsDefault,
  epochNs: epochDefault,
  assign,
  backends: assign === 'table' ? pool : [],
  policy: new Shift(),
  alpha: 0.1,
  timeline: true,
  flows: 64,
  flowIdleNs: ns(900e9),
});

const sum = (counts: Record<string, number>) => Object.values(counts).reduce((all, count) => all + count, 0);

/** Numbers that are not finite, or negative where only an error may be. */
function oddNumbers(value: unknown, path = ''): string[] {
  if (typeof value === 'number') {
    const mayBeNegative = path.endsWith('.median_relative_error');
    return Number.isFinite(value) && (mayBeNegative || value >= 0) ? [] : [`${path}: ${value}`];
  }
  return value !== null && typeof value === 'object'
    ? Object.entries(value).flatMap(([key, part]) => oddNumbers(part, `${path}.${key}`))
    : [];
}

/** What holds of every result, whatever was in the capture. */
function expectSound(result: ReplayResult): void {
  expect(oddNumbers(result)).toEqual([]);
  const { read, client, server, skipped } = result.packets;
  expect(client + server + sum(skipped)).toBe(read);
  expect(result.flows.created).toBe(result.flows.active + sum(result.flows.ended));
  const summaries: EstimatorSummary[] = [
    ...result.estimators,
    ...result.backends.flatMap(({ estimators }) => estimators),
  ];
  for (const { samples, p50_ns, p90_ns, p99_ns, max_ns } of summaries) {
    expect(samples).toBeLessThanOrEqual(client);
    if (samples === 0) continue;
    const ordered = [p50_ns!, p90_ns!, p99_ns!, max_ns!];
    expect(ordered).toEqual(ordered.toSorted((a, b) => a - b));
  }
  for (const shares of result.policy?.share ?? []) {
    expect(shares.reduce((all, share) => all + share, 0)).toBeCloseTo(1, 6);
  }
}

/** Replays bytes in two ways: the result is sound, or the error is one that a user can act on. */
async function expectWithstood(path: string, bytes: Uint8Array): Promise<void> {
  writeFileSync(path, bytes);
  for (const assign of ['table', 'dst-mac'] as const) {
    try {
      expectSound((await replay(optionsFor(path, assign))).result);
    } catch (error) {
      if (!(error instanceof InbandError)) throw error;
      expect(error.code).toBe('CAPTURE_UNSUPPORTED');
    }
  }
}

const seed = 20_261;
const captures = [
  'wild/zeek-ipv6.pcap',
  'wild/zeek-vlan-collisions.pcap',
  'wild/zeek-redis-50-pings.pcap',
  'wild/spindump-trace_quic_rfc_quant_basic.pcap',
  'pcap/pcapnggen-be-test202.pcapng',
  'pcap/pcapparser-err-buffertoosmall.pcapng',
];

describe.each(captures)('%s', (name) => {
  const bytes = fixture(name);

  test('can be cut off anywhere', async () => {
    const path = `${temporaryDirectory()}/cut`;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: bytes.length }), (end) =>
        expectWithstood(path, bytes.subarray(0, end)),
      ),
      { seed, numRuns: 30 },
    );
  });

  test('can have any bytes changed', async () => {
    const path = `${temporaryDirectory()}/flipped`;
    const at = fc.oneof(
      fc.integer({ min: 0, max: Math.min(bytes.length, 400) - 1 }),
      fc.integer({ min: 0, max: bytes.length - 1 }),
    );
    const flips = fc.array(fc.tuple(at, fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(flips, (changes) => {
        const changed = Uint8Array.from(bytes);
        for (const [where, value] of changes) changed[where] = value;
        return expectWithstood(path, changed);
      }),
      { seed, numRuns: 30 },
    );
  });
});

test('the bundled capture can be cut off anywhere, and its start is replayed', async () => {
  const compressed = readFileSync(new URL('../../fixtures/two-servers/lb.pcap.gz', import.meta.url));
  const path = `${temporaryDirectory()}/cut.pcap.gz`;
  for (const end of [3, 1000, 70_001, 200_000, compressed.length - 1]) {
    writeFileSync(path, compressed.subarray(0, end));
    const { result } = await replay(optionsFor(path, 'table')).catch((error) => {
      expect([end, error.code]).toEqual([3, 'CAPTURE_UNSUPPORTED']);
      return { result: undefined };
    });
    if (!result) continue;
    expectSound(result);
    expect(result.warnings.join()).toMatch(/cut\.pcap\.gz: truncated at byte \d+ \(uncompressed\)/);
    expect(result.packets.client).toBeGreaterThan(end / 40);
  }
});

test('random bytes are withstood, after any beginning that a capture can have', async () => {
  const path = `${temporaryDirectory()}/random`;
  const headers = ['pcap/tcpdump-empty.pcap', 'pcap/tcpdump-empty.pcapng'].map(fixture);
  const start = fc.constantFrom(new Uint8Array(0), Uint8Array.of(0x1f, 0x8b), ...headers);
  await fc.assert(
    fc.asyncProperty(start, fc.uint8Array({ maxLength: 3000, size: 'max' }), (header, rest) =>
      expectWithstood(path, Uint8Array.from([...header, ...rest])),
    ),
    { seed, numRuns: 100 },
  );
});
