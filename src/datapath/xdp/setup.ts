import { randomBytes } from 'node:crypto';
import { InbandError } from '../../errors.ts';
import { type FlowTimeouts, flowTimeoutsDefault } from '../../flow/table.ts';
import {
  inbandConfig,
  inbandEstimator,
  inbandKind,
  inbandLimit,
  inbandState,
  inbandVip,
} from '../../generated/layout.ts';
import { type Cliff, checkTimeouts, cliffAddends } from '../../latency/ensemble.ts';
import { samplesPerPrefixMax } from '../../latency/prefix.ts';
import { vipSeedIpv4 } from '../../maglev/hash.ts';
import { type Endpoint, formatEndpoint } from '../../net/address.ts';
import type { Ns } from '../../units.ts';
import type { LiveEstimator } from '../datapath.ts';

/** A vip as the program is told of it. */
export interface XdpVip {
  /** IPv4. */
  readonly endpoint: Endpoint;
  /** Size of its table. */
  readonly slots: number;
  /** Number of its first backend among those of all vips: its table holds numbers from there on. */
  readonly firstBackend: number;
  /** What its flows' samples come from; `auto` unless it says. */
  readonly estimator?: LiveEstimator;
}

export interface XdpProgramOptions {
  /** Flows that the table holds without refusing one, 1 to `flowsMax`; 256 bytes each. */
  readonly flows: number;
  readonly vips: readonly XdpVip[];
  /** Backends of all vips together. */
  readonly backends: number;
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
/** Largest table of vips as a power of two: a place, plus one, is in 16 bits of a flow's key, and all ones are taken. */
const vipBitsMax = 15;
/** An odd number whose multiples spread over all bits: 2^64 divided by the golden ratio (Knuth, 6.4). */
const vipMultiplier = 0x9e3779b97f4a7c15n;
/** Larger than any difference of times. */
const never = 2n ** 63n - 1n;

/** @throws InbandError `LIMIT` or `USAGE` for what the program cannot do. */
export function checkOptions(options: XdpProgramOptions): void {
  const { flows, vips, backends, timeoutsNs, samplesPerPrefix = 0 } = options;
  if (!Number.isInteger(flows) || flows < 1 || flows > flowsMax)
    throw new InbandError('LIMIT', `flows: ${flows} is not within 1 and ${flowsMax}`);
  if (backends > backendsMax) throw new InbandError('LIMIT', `more than ${backendsMax} backends`);
  if (vips.length > inbandLimit.vipsMax)
    throw new InbandError('LIMIT', `more than ${inbandLimit.vipsMax} vips`);
  const ipv6 = vips.find(({ endpoint }) => endpoint.address.family !== 4);
  if (ipv6)
    throw new InbandError('LIMIT', `vip ${formatEndpoint(ipv6.endpoint)}: the xdp datapath takes IPv4`);
  checkTimeouts(timeoutsNs, inbandLimit.timeoutsMax);
  if (!Number.isInteger(samplesPerPrefix) || samplesPerPrefix < 0 || samplesPerPrefix > samplesPerPrefixMax)
    throw new InbandError(
      'LIMIT',
      `samples per prefix: ${samplesPerPrefix} is not 0 to ${samplesPerPrefixMax}`,
    );
}

type Kind = Exclude<keyof typeof inbandKind, 'count'>;

/** Kinds of samples by estimator. */
const kindsByEstimator: Readonly<Record<LiveEstimator, readonly Kind[]>> = {
  auto: ['handshake', 'request', 'pipelined', 'server', 'gap', 'quic'],
  ensemble: ['handshake', 'ensemble'],
};

const estimatorOf = ({ estimator = 'auto' }: XdpVip): LiveEstimator => estimator;

/** Whether a vip's flows are measured by `auto`. */
export const hasAuto = (vips: readonly XdpVip[]): boolean => vips.some((vip) => estimatorOf(vip) === 'auto');

/** Kinds of samples that a program with these vips takes; their order is that of their histograms. */
export function kindsOf(vips: readonly XdpVip[]): Kind[] {
  const taken = new Set(vips.flatMap((vip) => kindsByEstimator[estimatorOf(vip)]));
  return (Object.keys(inbandKind) as Kind[]).filter((kind) => taken.has(kind));
}

/** Sets of the flow table. */
export const setCount = (flows: number): number => Math.ceil((flows * linesPerFlow) / inbandLimit.ways);

/** Index of a vip's first slot, and behind the last vip's: tables start at whole entries of four slots. */
export function slotStarts(vips: readonly XdpVip[]): number[] {
  const starts = [0];
  for (const { slots } of vips) starts.push(starts.at(-1)! + Math.ceil(slots / 4) * 4);
  return starts;
}

/** The table of vips: `struct inband_vip`s at the places where the program looks for them. */
export interface VipPlaces {
  readonly entries: Uint8Array;
  readonly mask: number;
  readonly shift: number;
}

/**
 * Lays out the table of vips, at most half full and so large that each is found within the program's probes.
 * @throws InbandError `CONFIG_INVALID` when a vip is there twice, `LIMIT` when too many start at one place.
 */
export function placeVips(vips: readonly XdpVip[], fleetSeed: number): VipPlaces {
  const starts = slotStarts(vips);
  const seen = new Set<string>();
  for (const { endpoint } of vips) {
    const name = formatEndpoint(endpoint);
    if (seen.has(name)) throw new InbandError('CONFIG_INVALID', `vip ${name} is there twice`);
    seen.add(name);
  }
  const encoded = vips.map((vip, index) => encodeVip(vip, index, starts[index]!, fleetSeed));
  for (let bits = Math.ceil(Math.log2(Math.max(1, vips.length))) + 1; bits <= vipBitsMax; bits++) {
    const entries = placeIn(encoded, bits);
    if (entries) return { entries, mask: 2 ** bits - 1, shift: 64 - bits };
  }
  throw new InbandError('LIMIT', `the ${vips.length} vips have no place in a table of ${2 ** vipBitsMax}`);
}

function encodeVip(vip: XdpVip, index: number, slotFirst: number, fleetSeed: number): Uint8Array {
  const { endpoint, slots, firstBackend } = vip;
  const bytes = new Uint8Array(inbandVip.size);
  const view = new DataView(bytes.buffer);
  const { fields } = inbandVip;
  const address = endpoint.address.words[0];
  view.setUint32(fields.addrBe.offset, address);
  view.setUint16(fields.portBe.offset, endpoint.port);
  view.setUint8(fields.proto.offset, endpoint.proto);
  view.setUint32(fields.seed.offset, vipSeedIpv4(fleetSeed, address, endpoint.port, endpoint.proto), true);
  view.setUint32(fields.slotCount.offset, slots, true);
  view.setUint32(fields.slotFirst.offset, slotFirst, true);
  view.setUint16(fields.backendFirst.offset, firstBackend, true);
  view.setUint16(fields.index.offset, index, true);
  view.setUint8(fields.estimator.offset, inbandEstimator[estimatorOf(vip)]);
  return bytes;
}

/** A table of 2^bits entries; undefined if a vip would be too far from where its search starts. */
function placeIn(vips: readonly Uint8Array[], bits: number): Uint8Array | undefined {
  const mask = 2 ** bits - 1;
  const entries = new Uint8Array(2 ** bits * inbandVip.size);
  const isTaken = (place: number) => entries[place * inbandVip.size + inbandVip.fields.proto.offset] !== 0;
  for (const vip of vips) {
    const key = new DataView(vip.buffer).getBigUint64(0, true);
    const start = Number(BigInt.asUintN(64, key * vipMultiplier) >> BigInt(64 - bits));
    let probe = 0;
    while (probe < inbandLimit.vipProbesMax && isTaken((start + probe) & mask)) probe++;
    if (probe === inbandLimit.vipProbesMax) return undefined;
    entries.set(vip, ((start + probe) & mask) * inbandVip.size);
  }
  return entries;
}

/** `struct inband_config`. */
export function encodeConfig(options: XdpProgramOptions, places: VipPlaces): Uint8Array {
  const { flows, backends, timeoutsNs, epochNs, cliff, flowTimeouts = flowTimeoutsDefault } = options;
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
  view.setUint32(fields.vipShift.offset, places.shift, true);
  view.setUint32(fields.vipMask.offset, places.mask, true);
  view.setUint32(fields.setCount.offset, setCount(flows), true);
  view.setUint32(fields.backendCount.offset, backends, true);
  view.setUint32(fields.timeoutCount.offset, timeoutsNs.length, true);
  view.setUint32(fields.cliffMore.offset, cliffAddends[cliff].more, true);
  view.setUint32(fields.cliffShift.offset, cliffAddends[cliff].shift, true);
  view.setUint32(fields.prefixSeed.offset, Number(secret[0]! & 0xffffffffn), true);
  view.setUint32(fields.samplesPerPrefix.offset, options.samplesPerPrefix ?? 0, true);
  const kinds = kindsOf(options.vips);
  view.setUint32(fields.kindCount.offset, kinds.length, true);
  bytes.fill(inbandKind.count, fields.kindPlaces.offset, fields.kindPlaces.offset + fields.kindPlaces.count);
  for (const [place, kind] of kinds.entries()) bytes[fields.kindPlaces.offset + inbandKind[kind]] = place;
  return bytes;
}
