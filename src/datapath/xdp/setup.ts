import { randomBytes } from 'node:crypto';
import { InbandError } from '../../errors.ts';
import { type FlowTimeouts, flowTimeoutsDefault } from '../../flow/table.ts';
import {
  inbandConfig,
  inbandGaps,
  inbandHistogram,
  inbandKind,
  inbandLimit,
  inbandSignals,
  inbandState,
  inbandTraffic,
  inbandVip,
} from '../../generated/layout.ts';
import { type Cliff, checkTimeouts, cliffAddends } from '../../latency/ensemble.ts';
import { samplesPerPrefixMax } from '../../latency/prefix.ts';
import { type Endpoint, formatEndpoint } from '../../net/address.ts';
import type { Ns } from '../../units.ts';
import type { Fate, LiveEstimator } from '../datapath.ts';
import { slotEntries } from './slot-space.ts';
import { VipEntries, vipBitsMax, vipMultiplier } from './vip-entries.ts';

/** A vip as the program is told of it. */
export interface XdpVip {
  /** IPv4. */
  readonly endpoint: Endpoint;
  /** Size of its table. */
  readonly slots: number;
  /** Their IPv4 addresses, signed as in `Packet`. */
  readonly backends: readonly number[];
  /** What its flows' samples come from; `auto` unless it says. */
  readonly estimator?: LiveEstimator;
  /** Fate of flows of backends that a later configuration leaves out; `keep` unless it says. */
  readonly lostFlows?: Fate;
}

/** What a program can be configured to hold. */
export interface XdpCapacity {
  readonly vips: number;
  /** Of all vips together. */
  readonly backends: number;
  /** Entries of the map of slots. */
  readonly slotEntries: number;
}

export interface XdpProgramOptions {
  /** Flows that the table holds without refusing one, 1 to `flowsMax`; 256 bytes each. */
  readonly flows: number;
  readonly vips: readonly XdpVip[];
  /** Room for vips and backends to come; by `capacityFor` unless it says. */
  readonly capacity?: XdpCapacity;
  /** What flows that are there already are measured by, beside those of the vips. */
  readonly estimators?: readonly LiveEstimator[];
  /** Of `ensemble`: 2 to 7, increasing. */
  readonly timeoutsNs: readonly Ns[];
  readonly epochNs: Ns;
  readonly cliff: Cliff;
  readonly flowTimeouts?: FlowTimeouts;
  /** Seed of the slot hash, equal on every load balancer of a fleet. Default 0. */
  readonly fleetSeed?: number;
  /** Samples of one client prefix that count per backend, kind, window and CPU, see `PrefixLimit`; 0, the default, is no limit. */
  readonly samplesPerPrefix?: number;
  /** Key of the flow table's hash; random by default, as whoever knows it can aim packets at one set. */
  readonly secret?: BigUint64Array;
}

/** Flows that a table can be made for: 4 GiB. */
export const flowsMax = 1 << 24;
/** Backends of all vips, as flows and slots keep their number in 16 bits, of which one stands for none. */
export const backendsMax = 65_535;
/** Lines per flow: with fewer, flows are refused before the table holds as many as it should. */
const linesPerFlow = 2;
/** There is room for as many vips, tables and backends again as at first, but at least and at most for so many more. */
const headroom = {
  vips: [1_023, inbandLimit.vipsMax],
  tables: [31, inbandLimit.vipsMax],
  backends: [63, 1_024],
} as const;
/** Memory that room for tables of vips to come may take, and room for backends unless they are the least number of them. */
const headroomBytes = 64 << 20;
/** What a backend takes per CPU with the kinds of `auto`. */
const backendBytes = 6 * inbandHistogram.size + inbandSignals.size + inbandTraffic.size + inbandGaps.size + 8;
/** The table of vips has at least this many places for each that there may be, so that searches are short. */
const placesPerVip = 4;
/** Larger than any difference of times. */
const never = 2n ** 63n - 1n;

/** @throws InbandError `LIMIT` or `USAGE` for what the program cannot do. */
export function checkOptions(options: XdpProgramOptions): void {
  const { flows, vips, timeoutsNs, samplesPerPrefix = 0 } = options;
  if (!Number.isInteger(flows) || flows < 1 || flows > flowsMax)
    throw new InbandError('LIMIT', `flows: ${flows} is not within 1 and ${flowsMax}`);
  checkVips(vips);
  checkTimeouts(timeoutsNs, inbandLimit.timeoutsMax);
  if (!Number.isInteger(samplesPerPrefix) || samplesPerPrefix < 0 || samplesPerPrefix > samplesPerPrefixMax)
    throw new InbandError(
      'LIMIT',
      `samples per prefix: ${samplesPerPrefix} is not 0 to ${samplesPerPrefixMax}`,
    );
}

/** @throws InbandError `LIMIT` for vips and backends that no program can serve. */
export function checkVips(vips: readonly XdpVip[]): void {
  const backends = vips.reduce((sum, vip) => sum + vip.backends.length, 0);
  if (backends > backendsMax) throw new InbandError('LIMIT', `more than ${backendsMax} backends`);
  if (vips.length > inbandLimit.vipsMax)
    throw new InbandError('LIMIT', `more than ${inbandLimit.vipsMax} vips`);
  const ipv6 = vips.find(({ endpoint }) => endpoint.address.family !== 4);
  if (ipv6)
    throw new InbandError('LIMIT', `vip ${formatEndpoint(ipv6.endpoint)}: the xdp datapath takes IPv4`);
}

type Kind = Exclude<keyof typeof inbandKind, 'count'>;

/** Kinds of samples by estimator. */
const kindsByEstimator: Readonly<Record<LiveEstimator, readonly Kind[]>> = {
  auto: ['handshake', 'request', 'pipelined', 'server', 'gap', 'quic'],
  ensemble: ['handshake', 'ensemble'],
};

const estimatorOf = ({ estimator = 'auto' }: XdpVip): LiveEstimator => estimator;

/** What measures any flow. */
type Measured = Pick<XdpProgramOptions, 'vips' | 'estimators'>;

const estimatorsOf = ({ vips, estimators = [] }: Measured): Set<LiveEstimator> =>
  new Set([...estimators, ...vips.map(estimatorOf)]);

/** Whether flows are measured by `auto`. */
const hasAuto = (measured: Measured): boolean => estimatorsOf(measured).has('auto');

/** Kinds of samples that a program takes; their order is that of their histograms. */
export function kindsOf(measured: Measured): Kind[] {
  const taken = new Set([...estimatorsOf(measured)].flatMap((estimator) => kindsByEstimator[estimator]));
  return (Object.keys(inbandKind) as Kind[]).filter((kind) => taken.has(kind));
}

/** Where each kind is among those that a program takes, by its number; -1 where it is not. */
export function kindPlacesOf(measured: Measured): number[] {
  const kinds = kindsOf(measured);
  return Object.entries(inbandKind)
    .filter(([name]) => name !== 'count')
    .sort(([, a], [, b]) => a - b)
    .map(([name]) => kinds.indexOf(name as Kind));
}

/** Sets of the flow table. */
export const setCount = (flows: number): number => Math.ceil((flows * linesPerFlow) / inbandLimit.ways);

/** Flows that a table of so many sets is made for. */
export const flowsOf = (sets: number): number => Math.floor((sets * inbandLimit.ways) / linesPerFlow);

/** Vips that a table of so many places is made for. */
export const vipsIn = (places: number): number =>
  Math.min(inbandLimit.vipsMax, Math.floor(places / placesPerVip));

/**
 * Room for these vips and backends, and for more to come: what is pinned is changed without another program. A table of
 * vips takes little, and cannot be enlarged while flows depend on places in it.
 */
export function capacityFor(vips: readonly XdpVip[], cpus: number): XdpCapacity {
  const more = (count: number, least: number, most: number) => Math.min(most, Math.max(least, count));
  const backends = vips.reduce((sum, vip) => sum + vip.backends.length, 0);
  const entries = vips.map(({ slots }) => slotEntries(slots));
  const used = entries.reduce((sum, count) => sum + count, 0);
  const largest = Math.max(1, ...entries);
  const tables = Math.min(
    more(vips.length, ...headroom.tables) * largest,
    Math.max(headroomBytes / 8, largest),
  );
  const cheap = Math.floor(headroomBytes / ((cpus + 1) * backendBytes));
  const [least, most] = headroom.backends;
  return {
    vips: Math.min(inbandLimit.vipsMax, vips.length + more(vips.length, ...headroom.vips)),
    backends: Math.min(
      backendsMax,
      backends + more(backends, Math.max(least, Math.min(cheap, 4 * least)), most),
    ),
    slotEntries: used + tables,
  };
}

/**
 * Places of a table for so many vips: so many that each of those there are at first is found within the program's probes.
 * @throws InbandError `LIMIT` when too many start at one place
 */
export function vipPlaces(vips: readonly XdpVip[], capacity: number): number {
  for (let bits = Math.ceil(Math.log2(placesPerVip * capacity)); bits <= vipBitsMax; bits++) {
    const taken = new Set<number>();
    const entries = new VipEntries(new ArrayBuffer(2 ** bits * inbandVip.size));
    const hasRoom = ({ endpoint }: XdpVip) => {
      const place = entries.roomFor(endpoint, taken);
      if (place !== undefined) taken.add(place);
      return place !== undefined;
    };
    if (vips.every(hasRoom)) return 2 ** bits;
  }
  throw new InbandError('LIMIT', `the ${vips.length} vips have no place in a table of ${2 ** vipBitsMax}`);
}

/** Entries of each map. */
export type MapSizes = Readonly<Record<(typeof mapNames)[number], number>>;

const mapNames = [
  'vips',
  'slots',
  'backends',
  'members',
  'flows',
  'counters',
  'ended',
  'signals',
  'traffic',
  'gap_counts',
  'prefixes',
  'histograms',
] as const;

/**
 * Sizes of the program's maps. What is kept per CPU has a row for the sweep besides, where it writes there; it may be
 * added to from user space, too, between two sweeps.
 */
export function mapSizes(options: XdpProgramOptions, cpus: number): MapSizes {
  const { vips, flows } = options;
  const capacity = options.capacity ?? capacityFor(vips, cpus);
  const { backends } = capacity;
  const rows = cpus + 1;
  return {
    vips: vipPlaces(vips, capacity.vips),
    slots: capacity.slotEntries,
    backends,
    members: backends,
    flows: setCount(flows),
    counters: rows,
    ended: rows * backends,
    signals: hasAuto(options) ? rows * backends : 1,
    traffic: rows * backends,
    gap_counts: hasAuto(options) ? cpus * backends : 1,
    prefixes: cpus,
    histograms: Math.max(1, rows * backends * kindsOf(options).length),
  };
}

/** `struct inband_config`. */
export function encodeConfig(options: XdpProgramOptions, sizes: MapSizes, cpus: number): Uint8Array {
  const { flows, timeoutsNs, epochNs, cliff, flowTimeouts = flowTimeoutsDefault } = options;
  const secret =
    options.secret ?? new BigUint64Array(new Uint8Array(randomBytes(8 * inbandLimit.secretWords)).buffer);
  const bytes = new Uint8Array(inbandConfig.size);
  const view = new DataView(bytes.buffer);
  const { fields } = inbandConfig;
  const u64 = (offset: number, index: number, value: number | bigint) =>
    view.setBigUint64(offset + 8 * index, BigInt(value), true);
  for (let word = 0; word < inbandLimit.secretWords; word++) u64(fields.secret.offset, word, secret[word]!);
  for (let i = 0; i < inbandLimit.timeoutsMax; i++) u64(fields.timeoutNs.offset, i, timeoutsNs[i] ?? never);
  u64(fields.epochNs.offset, 0, epochNs);
  u64(fields.idleNs.offset, inbandState.new, flowTimeouts.newNs);
  u64(fields.idleNs.offset, inbandState.established, flowTimeouts.establishedNs);
  u64(fields.idleNs.offset, inbandState.closing, flowTimeouts.closingNs);
  u64(fields.evictableNs.offset, 0, flowTimeouts.evictableNs);
  u64(fields.vipMultiplier.offset, 0, vipMultiplier);
  view.setUint32(fields.vipShift.offset, 64 - Math.log2(sizes.vips), true);
  view.setUint32(fields.vipMask.offset, sizes.vips - 1, true);
  view.setUint32(fields.setCount.offset, setCount(flows), true);
  view.setUint32(fields.backendCount.offset, sizes.backends, true);
  view.setUint32(fields.cpuCount.offset, cpus, true);
  view.setUint32(fields.timeoutCount.offset, timeoutsNs.length, true);
  view.setUint32(fields.cliffMore.offset, cliffAddends[cliff].more, true);
  view.setUint32(fields.cliffShift.offset, cliffAddends[cliff].shift, true);
  view.setUint32(fields.prefixSeed.offset, Number(secret[0]! & 0xffffffffn), true);
  view.setUint32(fields.samplesPerPrefix.offset, options.samplesPerPrefix ?? 0, true);
  const kinds = kindsOf(options);
  view.setUint32(fields.kindCount.offset, kinds.length, true);
  bytes.fill(inbandKind.count, fields.kindPlaces.offset, fields.kindPlaces.offset + fields.kindPlaces.count);
  for (const [place, kind] of kinds.entries()) bytes[fields.kindPlaces.offset + inbandKind[kind]] = place;
  return bytes;
}
