import { InbandError } from '../../errors.ts';
import { inbandConfig, inbandKind, inbandLimit, inbandMember } from '../../generated/layout.ts';
import { formatEndpoint } from '../../net/address.ts';
import type { LiveEstimator } from '../datapath.ts';
import { carryEnded, carryHistograms, carrySignals, carryTraffic, copyEpochs, copyGaps } from './carry.ts';
import type { BpfObject } from './native.ts';
import type { PinnedMap } from './pinned.ts';
import { Places, type PlacesMemory } from './places.ts';
import type { Running } from './running.ts';
import {
  backendsMax,
  capacityFor,
  flowsOf,
  kindPlacesOf,
  type MapSizes,
  mapSizes,
  setCount,
  vipsIn,
  type XdpCapacity,
  type XdpProgramOptions,
  type XdpVip,
} from './setup.ts';
import { VipEntries } from './vip-entries.ts';

/** Where `config` is among the program's constants; part of the ABI. */
export const configOffset = 8;

/** Maps that only user space writes to; what is in them stays where it is in larger ones. */
const copied = ['backends', 'members', 'slots'] as const;
/** Maps whose counts are carried over, and how. */
const counted = [
  ['ended', carryEnded],
  ['traffic', carryTraffic],
  ['signals', carrySignals],
  ['histograms', carryHistograms],
] as const;
/** Maps in which the program keeps what it has learnt; a moment later in them does no harm. */
const learnt = [
  ['traffic', copyEpochs],
  ['gap_counts', copyGaps],
] as const;

/** What of a running program the next one is made of. */
export interface Inheritance {
  /** Those asked for, with the sizes and the secret of what runs. */
  readonly options: XdpProgramOptions;
  readonly sizes: MapSizes;
  /** Maps that the next program shares with the running one. */
  readonly reuse: ReadonlyMap<string, PinnedMap>;
  /** What is not as it was asked for, a line each. */
  readonly notices: readonly string[];
  /** Fills maps of the next program that are larger than those that run, before it does. */
  fill(next: BpfObject): void;
  /** Whether counters have to be carried over. */
  readonly isCarried: boolean;
  /**
   * Makes the next program's counters go on from what was counted in maps that it does not share: exactly so when nothing
   * counts there any more. May be done again.
   */
  carry(next: BpfObject): void;
}

/** `struct inband_config` of a running program, as far as the next one goes by it. */
interface RunningConfig {
  readonly secret: BigUint64Array;
  readonly setCount: number;
  readonly backends: number;
  readonly rows: number;
  readonly kindPlaces: readonly number[];
  readonly estimators: readonly LiveEstimator[];
}

function decodeConfig(constants: DataView): RunningConfig {
  const { fields } = inbandConfig;
  const u32 = (offset: number) => constants.getUint32(configOffset + offset, true);
  const kindPlaces = Array.from({ length: inbandKind.count }, (_, kind) => {
    const place = constants.getUint8(configOffset + fields.kindPlaces.offset + kind);
    return place < inbandKind.count ? place : -1;
  });
  const estimators: LiveEstimator[] = [];
  if (kindPlaces[inbandKind.request]! >= 0) estimators.push('auto');
  if (kindPlaces[inbandKind.ensemble]! >= 0) estimators.push('ensemble');
  return {
    secret: BigUint64Array.from({ length: inbandLimit.secretWords }, (_, word) =>
      constants.getBigUint64(configOffset + fields.secret.offset + 8 * word, true),
    ),
    setCount: u32(fields.setCount.offset),
    backends: u32(fields.backendCount.offset),
    rows: u32(fields.cpuCount.offset) + 1,
    kindPlaces,
    estimators,
  };
}

/**
 * Works out how the next program takes the place of a running one; changes nothing that runs.
 * @throws InbandError `LIMIT` when there is no room for the vips beside what flows depend on, `CONFIG_INVALID` for a vip or
 *   backend that is there twice, `BPF_FAILED` when a map is missing
 */
export function inherit(running: Running, wanted: XdpProgramOptions, cpus: number): Inheritance {
  const config = decodeConfig(running.constants);
  const map = (name: string): PinnedMap => mapOf(running, name);
  const vips = withTables(wanted.vips, map('vips').memory());
  const asked = { ...wanted, vips, flows: flowsOf(config.setCount), estimators: config.estimators };
  const options: XdpProgramOptions = {
    ...asked,
    secret: config.secret,
    capacity: capacityBeside(running, asked, cpus),
  };
  const sizes: MapSizes = {
    ...mapSizes(options, cpus),
    flows: map('flows').spec.maxEntries,
    vips: map('vips').spec.maxEntries,
  };
  const { rows, backends, kindPlaces } = config;
  const before = { rows, backends, kindPlaces };
  const after = { rows: cpus + 1, backends: sizes.backends, kindPlaces: kindPlacesOf(options) };
  const hasSameHistograms =
    before.backends === after.backends && String(kindPlaces) === String(after.kindPlaces);
  const reuse = new Map(
    Object.entries(sizes)
      .filter(([name, entries]) => map(name).spec.maxEntries === entries)
      .filter(([name]) => name !== 'histograms' || hasSameHistograms)
      .map(([name]) => [name, map(name)]),
  );
  const move = (next: BpfObject, moves: typeof counted | typeof learnt) => {
    for (const [name, call] of moves) {
      // One entry stands for none: no vip was, or is, measured by what fills the map.
      if (reuse.has(name) || map(name).spec.maxEntries === 1 || sizes[name] === 1) continue;
      const without = name === 'gap_counts' ? 1 : 0;
      const shapes = [before, after].map((shape) => ({ ...shape, rows: shape.rows - without }));
      call(map(name).memory(), next.memory(name), [shapes[0]!, shapes[1]!]);
    }
  };
  return {
    options,
    sizes,
    reuse,
    notices: noticesOf(wanted, vips, config.setCount),
    fill: (next) => {
      for (const name of copied)
        if (!reuse.has(name)) new Uint8Array(next.memory(name)).set(new Uint8Array(map(name).memory()));
      move(next, learnt);
    },
    isCarried: counted.some(([name]) => !reuse.has(name)),
    carry: (next) => move(next, counted),
  };
}

function mapOf({ maps, directory }: Running, name: string): PinnedMap {
  const map = maps.get(name);
  if (map) return map;
  throw new InbandError('BPF_FAILED', `${directory}: the map ${name} is not pinned`, {
    hint: 'take down what is pinned there: inband detach',
  });
}

/** Vips with the sizes that their tables have already. */
function withTables(vips: readonly XdpVip[], memory: ArrayBuffer): XdpVip[] {
  const tables = new Map(
    [...new VipEntries(memory).read()].map((vip) => [formatEndpoint(vip.endpoint), vip.slots]),
  );
  return vips.map((vip) => ({ ...vip, slots: tables.get(formatEndpoint(vip.endpoint)) ?? vip.slots }));
}

/** The capacity of what runs if the vips have room in it, or else more; the table of vips is as large as it is. */
function capacityBeside(
  running: Running,
  { vips, fleetSeed = 0 }: XdpProgramOptions,
  cpus: number,
): XdpCapacity {
  const memory = {
    vips: mapOf(running, 'vips').memory(),
    members: mapOf(running, 'members').memory(),
    slots: mapOf(running, 'slots').memory(),
  };
  const present = {
    vips: vipsIn(mapOf(running, 'vips').spec.maxEntries),
    backends: mapOf(running, 'members').spec.maxEntries,
    slotEntries: mapOf(running, 'slots').spec.maxEntries,
  };
  if (!lacksRoom(memory, present, vips, fleetSeed)) return present;
  const more = capacityFor(vips, cpus);
  const larger = {
    vips: present.vips,
    backends: Math.min(backendsMax, present.backends + more.backends),
    slotEntries: present.slotEntries + more.slotEntries,
  };
  const grown = {
    vips: memory.vips,
    members: grow(memory.members, larger.backends * inbandMember.size),
    slots: grow(memory.slots, larger.slotEntries * 8),
  };
  const lacking = lacksRoom(grown, larger, vips, fleetSeed);
  if (!lacking) return larger;
  throw new InbandError('LIMIT', lacking.message, {
    hint: `flows depend on a table made for ${present.vips} vips; to make a larger one, and lose them: inband detach`,
    cause: lacking,
  });
}

function grow(memory: ArrayBuffer, bytes: number): ArrayBuffer {
  const larger = new Uint8Array(bytes);
  larger.set(new Uint8Array(memory));
  return larger.buffer;
}

/** Why the vips have no room; undefined if they have. */
function lacksRoom(
  memory: PlacesMemory,
  capacity: XdpCapacity,
  vips: readonly XdpVip[],
  fleetSeed: number,
): InbandError | undefined {
  try {
    new Places(memory, capacity.vips, fleetSeed).plan(vips);
    return undefined;
  } catch (error) {
    if (error instanceof InbandError && error.code === 'LIMIT') return error;
    throw error;
  }
}

function noticesOf(wanted: XdpProgramOptions, vips: readonly XdpVip[], sets: number): string[] {
  const notices: string[] = [];
  if (setCount(wanted.flows) !== sets)
    notices.push(
      `the flow table that runs is kept: it is made for ${flowsOf(sets)} flows and not ${wanted.flows}; ` +
        'to make another one, and lose its flows: inband detach',
    );
  const other = vips.find(({ slots }, i) => slots !== wanted.vips[i]!.slots);
  if (other)
    notices.push(
      `vip ${formatEndpoint(other.endpoint)} keeps its table of ${other.slots} slots; for another one: inband detach`,
    );
  return notices;
}
