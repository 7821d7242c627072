import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PoolBackend } from '../../../src/control/pool.ts';
import { Shift } from '../../../src/control/shift.ts';
import {
  assignByFile,
  assignByMac,
  assignByTable,
  assignByVip,
} from '../../../src/datapath/replay/assign.ts';
import { BackendNames, backendsMax } from '../../../src/datapath/replay/backends.ts';
import { ReplayPool } from '../../../src/datapath/replay/pool.ts';
import { VipTable } from '../../../src/flow/vips.ts';
import { createTableBuilder } from '../../../src/maglev/builder.ts';
import { type Address, parseEndpoint } from '../../../src/net/address.ts';
import { addressBytes, be16, concat } from '../../support/frames.ts';
import { decode, frameOf, packetOf, temporaryDirectory, temporaryFile } from './support.ts';

const none = new Uint8Array(0);
const emptyPool = () => new ReplayPool(new Shift(), ['request']);
const vipsOf = (...texts: string[]) => {
  const vips = new VipTable();
  for (const text of texts) vips.add(parseEndpoint(text, 'test'));
  return vips;
};

test('by vip, each vip is the backend of its flows', () => {
  const backends = new BackendNames();
  const assign = assignByVip(vipsOf('10.0.0.1:80/tcp', '[2001:db8::1]:443/udp'), backends);
  const packet = packetOf({ from: '192.0.2.1:1000', to: '10.0.0.1:80' });
  expect([1, 0, 1].map((vip) => backends.names[assign(packet, vip, none)])).toEqual([
    '[2001:db8::1]:443/udp',
    '10.0.0.1:80/tcp',
    '[2001:db8::1]:443/udp',
  ]);
});

/** MurmurHash3_x86_32 by its definition over bytes, for lengths that are multiples of 4. */
function murmur3(seed: number, bytes: Uint8Array): number {
  const rotate = (x: number, by: number) => (x << by) | (x >>> (32 - by));
  let h = seed | 0;
  for (let at = 0; at < bytes.length; at += 4) {
    let k = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    k = Math.imul(rotate(Math.imul(k, 0xcc9e2d51), 15), 0x1b873593);
    h = (Math.imul(rotate(h ^ k, 13), 5) + 0xe6546b64) | 0;
  }
  h ^= bytes.length;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Each big-endian word as the little-endian one that the hash reads. */
const words = (...parts: Uint8Array[]) => {
  const bytes = concat(...parts);
  for (let at = 0; at < bytes.length; at += 4) bytes.subarray(at, at + 4).reverse();
  return bytes;
};

/** The backend of a flow by the definition of the slot hash, without the code under test. */
function lookUp(pool: readonly PoolBackend[], vip: string, client: Address, port: number): string {
  const { address, port: vipPort, proto } = parseEndpoint(vip, 'test');
  const seed = murmur3(0, words(addressBytes(address), Uint8Array.from([...be16(vipPort), 0, proto])));
  const hash = murmur3(seed, words(addressBytes(client), Uint8Array.from([0, 0, ...be16(port)])));
  const table = createTableBuilder(pool).createTable();
  return pool[table[Number((BigInt(hash) * BigInt(table.length)) >> 32n)]!]!.name;
}

describe('by table', () => {
  const pool: PoolBackend[] = [
    { name: '10.0.0.11', weight: 1 },
    { name: '10.0.0.12', weight: 3 },
    { name: '10.0.0.13', weight: 2 },
  ];
  const families = [
    { vip: '10.0.0.1:80/tcp', client: (n: number) => `192.0.${n >> 8}.${n & 255}` },
    { vip: '[2001:db8::1]:443/tcp', client: (n: number) => `[2001:db8:1::${n.toString(16)}]` },
  ];

  test.each(families)(
    'a flow of $vip has the backend that an independent Maglev lookup gives',
    ({ vip, client }) => {
      const backends = new BackendNames();
      // A backend of something else first: numbers among all are not indices in the pool.
      backends.number('elsewhere');
      const members = emptyPool();
      for (const backend of pool) members.add(backends.number(backend.name), backend);
      const assign = assignByTable(vipsOf(vip), members);
      const seen = new Set<string>();
      const port = fc.integer({ min: 1, max: 65_535 });
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 65_000 }), port, (n, srcPort) => {
          const from = `${client(n)}:${srcPort}`;
          const packet = packetOf({ from, to: vip.replace(/\/tcp$/, '') });
          const name = backends.names[assign(packet, 0, none)]!;
          seen.add(name);
          const { address } = parseEndpoint(`${from}/tcp`, 'test');
          expect(name).toBe(lookUp(pool, vip, address, srcPort));
        }),
      );
      expect(seen.size).toBe(3);
    },
  );

  test('weights are the ratio of flows', () => {
    const backends = new BackendNames();
    const members = emptyPool();
    for (const backend of pool) members.add(backends.number(backend.name), backend);
    const assign = assignByTable(vipsOf('10.0.0.1:80/tcp'), members);
    const counts = [0, 0, 0];
    for (let port = 1; port <= 30_000; port++) {
      counts[assign(packetOf({ from: `192.0.2.1:${port}`, to: '10.0.0.1:80' }), 0, none)]! += 1;
    }
    expect(counts.map((count) => Math.round((count / 30_000) * 60))).toEqual([10, 30, 20]);
  });
});

describe('by destination MAC', () => {
  const macs = [Uint8Array.of(2, 0, 0, 0, 0, 0x1a), Uint8Array.of(0xfe, 255, 255, 255, 255, 255)];
  const frames = macs.map((dstMac) => frameOf({ from: '192.0.2.1:1', to: '10.0.0.1:80', dstMac }));

  test('backends are named by their address and join the pool as they appear', () => {
    const backends = new BackendNames();
    const pool = emptyPool();
    const assign = assignByMac(backends, pool);
    const numbers = [0, 1, 0].map((i) => assign(decode(frames[i]!), 0, frames[i]!));
    expect(numbers.map((number) => backends.names[number])).toEqual([
      '02:00:00:00:00:1a',
      'fe:ff:ff:ff:ff:ff',
      '02:00:00:00:00:1a',
    ]);
    expect(pool.names).toEqual(['02:00:00:00:00:1a', 'fe:ff:ff:ff:ff:ff']);
  });

  test('the frame is found wherever it lies in the bytes', () => {
    const backends = new BackendNames();
    const bytes = concat(new Uint8Array(7), frames[0]!).subarray(3);
    const packet = decode(frames[0]!);
    packet.decode(bytes, 4, frames[0]!.length, frames[0]!.length, 1);
    assignByMac(backends, emptyPool())(packet, 0, bytes);
    expect(backends.names).toEqual(['02:00:00:00:00:1a']);
  });

  test('packets of links without MAC addresses have a backend of their own, outside the pool', () => {
    const backends = new BackendNames();
    const pool = emptyPool();
    const raw = frames[0]!.subarray(14);
    assignByMac(backends, pool)(decode(raw, 101), 0, raw);
    expect(backends.names).toEqual(['no-mac']);
    expect(pool.names).toEqual([]);
  });
});

describe('by file', () => {
  const load = async (path: string) => {
    const backends = new BackendNames();
    const pool = emptyPool();
    const assign = await assignByFile(path, backends, pool);
    const of = (port: number) =>
      backends.names[assign(packetOf({ from: `192.0.2.1:${port}`, to: '10.0.0.1:80' }), 0, none)];
    return { of, pool };
  };

  test('the client port decides, and ports that are not listed are unassigned, outside the pool', async () => {
    const { of, pool } = await load(
      temporaryFile('f.csv', 'client_port,server\n1000,s1\r\n65535,s2\n\n7,s1\n'),
    );
    expect([1000, 65_535, 7, 8].map(of)).toEqual(['s1', 's2', 's1', 'unassigned']);
    expect(pool.names).toEqual(['s1', 's2']);
  });

  test('it may be gzipped', async () => {
    const { of } = await load(temporaryFile('f.csv.gz', gzipSync('client_port,server\n1000,s1\n')));
    expect(of(1000)).toBe('s1');
  });

  test.each([
    ['a port that is no number', 'client_port,server\n1000,s1\nx,s2\n', 3],
    ['a port above 65535', 'client_port,server\n65536,s1\n', 2],
    ['a missing server', 'client_port,server\n1000,\n', 2],
    ['a third column', 'client_port,server\n1000,s1,3\n', 2],
    ['no header', '1000,s1\n', 1],
    ['another header', 'port,backend\n1000,s1\n', 1],
    ['nothing at all', '', 1],
  ])('%s is an error with file and line', async (_what, text, line) => {
    const path = temporaryFile('f.csv', text);
    await expect(load(path)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(`${path}:${line}: `),
      hint: expect.stringContaining('client_port,server'),
    });
  });

  test('a file that is not there, and a directory, say that they cannot be read and what --assign takes', async () => {
    for (const path of ['/nonexistent/dst_mac', temporaryDirectory()]) {
      await expect(load(path)).rejects.toMatchObject({
        code: 'FILE_UNREADABLE',
        message: expect.stringMatching(/: cannot be read \((ENOENT|EISDIR)\)$/),
        hint: expect.stringContaining('table, dst-mac, or a CSV file'),
      });
    }
  });

  test('servers beyond the limit are counted together', async () => {
    const rows = Array.from({ length: backendsMax + 10 }, (_, i) => `${i},server${i}`);
    const { of, pool } = await load(temporaryFile('f.csv', ['client_port,server', ...rows].join('\n')));
    expect([1, backendsMax - 2, backendsMax - 1, backendsMax + 9].map(of)).toEqual([
      'server1',
      `server${backendsMax - 2}`,
      'other',
      'other',
    ]);
    expect(pool.names.length).toBe(backendsMax);
    expect(pool.names.at(-1)).toBe('other');
  });
});
