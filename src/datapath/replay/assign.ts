import type { PoolBackend } from '../../control/pool.ts';
import { InbandError } from '../../errors.ts';
import type { VipTable } from '../../flow/vips.ts';
import { slotHashIpv4, slotHashIpv6, vipSeedIpv4, vipSeedIpv6 } from '../../maglev/hash.ts';
import { formatEndpoint } from '../../net/address.ts';
import type { Packet } from '../../net/packet.ts';
import type { BackendNames } from './backends.ts';
import type { ReplayPool } from './pool.ts';
import { openLines } from './truth.ts';

/** Chooses the backend of a new flow; `frame` are the bytes that the packet was decoded from. */
export type FrameAssign = (packet: Packet, vip: number, frame: Uint8Array) => number;

/** What backends join as they appear. */
export interface AssignPool {
  has(number: number): boolean;
  add(number: number, backend: PoolBackend): void;
}

/** Every vip is a backend of its own: nothing is known of the servers behind it. */
export function assignByVip(vips: VipTable, backends: BackendNames): FrameAssign {
  const numbers: number[] = [];
  return (_packet, vip) => {
    numbers[vip] ??= backends.number(formatEndpoint(vips.vips[vip]!));
    return numbers[vip]!;
  };
}

/** By the Maglev table of the pool, as the load balancer would have. */
export function assignByTable(vips: VipTable, pool: ReplayPool): FrameAssign {
  const seeds: number[] = [];
  const seedOf = (vip: number): number => {
    const { address, port, proto } = vips.vips[vip]!;
    return address.family === 4
      ? vipSeedIpv4(0, address.words[0], port, proto)
      : vipSeedIpv6(0, ...address.words, port, proto);
  };
  return (packet, vip) => {
    seeds[vip] ??= seedOf(vip);
    const seed = seeds[vip]!;
    const { src0, src1, src2, src3, srcPort } = packet;
    const hash =
      packet.family === 4
        ? slotHashIpv4(seed, src0, srcPort)
        : slotHashIpv6(seed, src0, src1, src2, src3, srcPort);
    return pool.backendOf(hash);
  };
}

/** By destination MAC address: for captures behind a load balancer in layer-2 DSR. Backends join the pool as they appear. */
export function assignByMac(backends: BackendNames, pool: AssignPool): FrameAssign {
  const numbers = new Map<number, number>();
  return (packet, _vip, frame) => {
    const at = packet.ethernetAt;
    if (at < 0) return backends.number('no-mac');
    const mac =
      ((frame[at]! << 8) | frame[at + 1]!) * 2 ** 32 +
      Buffer.from(frame.buffer, frame.byteOffset + at + 2, 4).readUInt32BE();
    const known = numbers.get(mac);
    if (known !== undefined) return known;
    const name = mac
      .toString(16)
      .padStart(12, '0')
      .replace(/..(?!$)/g, '$&:');
    const number = backends.number(name);
    numbers.set(mac, number);
    if (!pool.has(number)) pool.add(number, { name: backends.names[number]!, weight: 1 });
    return number;
  };
}

/**
 * By client port, from a CSV file with the columns `client_port,server`. Ports that it does not list go to a backend
 * called `unassigned`, outside the pool.
 * @throws InbandError `FILE_UNREADABLE`, or `CONFIG_INVALID` with file and line
 */
export async function assignByFile(
  path: string,
  backends: BackendNames,
  pool: AssignPool,
): Promise<FrameAssign> {
  const numbers = new Map<number, number>();
  let line = 0;
  const hint = '--assign takes table, dst-mac, or a CSV file that begins with the line client_port,server';
  for await (const text of await openLines(path, hint)) {
    line++;
    if (text.trim() === '') continue;
    if (line === 1 && text.trim() === 'client_port,server') continue;
    const match = /^(\d{1,5}),([^,]+)$/.exec(text.trim());
    if (!match || line === 1 || Number(match[1]) > 65_535) {
      const row = `not a row of client_port,server: '${text.slice(0, 80)}'`;
      throw new InbandError('CONFIG_INVALID', `${path}:${line}: ${row}`, { hint });
    }
    const number = backends.number(match[2]!);
    numbers.set(Number(match[1]), number);
    if (!pool.has(number)) pool.add(number, { name: backends.names[number]!, weight: 1 });
  }
  if (line === 0) throw new InbandError('CONFIG_INVALID', `${path}:1: empty`, { hint });
  return (packet) => numbers.get(packet.srcPort) ?? backends.number('unassigned');
}
