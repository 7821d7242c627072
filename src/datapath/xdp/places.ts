import { InbandError } from '../../errors.ts';
import { inbandMember, inbandMemberFlag } from '../../generated/layout.ts';
import { vipSeedIpv4 } from '../../maglev/hash.ts';
import { formatAddress, formatEndpoint } from '../../net/address.ts';
import { type Fate, type LiveEstimator, noBackend, type PlacedVip } from '../datapath.ts';
import type { XdpVip } from './setup.ts';
import { SlotSpace } from './slot-space.ts';
import { VipEntries, type VipEntry } from './vip-entries.ts';

/** How long nothing may hold a number before it is given to another backend: no packet takes that long. */
const restMs = 1_000;
/** Vips looked at in one go, as each means to read its slots, some 0.1 ms. */
const vipsAtOnce = 4;

/** A backend that has a number. */
export interface Member {
  readonly number: number;
  /** IPv4, signed as in `Packet`. */
  readonly address: number;
  /** It is not configured any more; flows or slots may hold its number. */
  readonly isGone: boolean;
}

interface OwnMember extends Member {
  isGone: boolean;
  readonly vip: OwnVip;
  /** Since when nothing holds its number, in ms; NaN while something does. */
  freeMs: number;
}

interface OwnVip extends VipEntry {
  isGone: boolean;
  lostFlows: Fate;
  estimator: LiveEstimator;
  readonly place: number;
  /** By address. */
  readonly members: Map<number, OwnMember>;
}

/** A backend that a configuration leaves out. */
export interface Lost {
  readonly number: number;
  readonly fate: Fate;
}

/** A vip of a configuration, with what is there of it or has room for it. */
interface Planned {
  readonly vip: XdpVip;
  readonly known: OwnVip | undefined;
  readonly place: number;
  readonly index: number;
  readonly slotFirst: number;
  readonly numbers: readonly number[];
}

/** A configuration that fits. */
export interface Plan {
  readonly vips: readonly Planned[];
  readonly space: SlotSpace;
  /** Numbers that it gives to backends which had none, and of those that were gone. */
  readonly added: readonly number[];
  readonly returned: readonly number[];
}

export interface PlacesMemory {
  readonly vips: ArrayBuffer;
  readonly members: ArrayBuffer;
  readonly slots: ArrayBuffer;
}

/**
 * Which vip and backend has which place and number. All of it is in memory that the program shares, and is read from there
 * at first: whoever comes later goes on with it. Every state in between two writes is one that the program may see.
 */
export class Places {
  placed: readonly PlacedVip[] = [];
  readonly #entries: VipEntries;
  readonly #memberView: DataView;
  readonly #slots: Uint16Array;
  readonly #fleetSeed: number;
  readonly #vipsMax: number;
  /** By name; by `index`. */
  readonly #vips = new Map<string, OwnVip>();
  readonly #byIndex: (OwnVip | undefined)[] = [];
  readonly #members: (OwnMember | undefined)[];
  readonly #found = new Uint8Array(noBackend + 1);
  #space: SlotSpace;
  /** With backends that are gone, or gone themselves. */
  readonly #waiting = new Set<OwnVip>();

  /** @param vipsMax vips that it may hold */
  constructor(memory: PlacesMemory, vipsMax: number, fleetSeed: number) {
    this.#entries = new VipEntries(memory.vips);
    this.#memberView = new DataView(memory.members);
    this.#slots = new Uint16Array(memory.slots);
    this.#space = new SlotSpace(this.#slots.length / 4);
    this.#members = new Array(memory.members.byteLength / inbandMember.size).fill(undefined);
    this.#vipsMax = vipsMax;
    this.#fleetSeed = fleetSeed;
    this.#read();
  }

  /** All that have a number. */
  *members(): Generator<Member> {
    for (const member of this.#members) if (member) yield member;
  }

  /** Whether numbers wait for nothing to hold them any more. */
  get isWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  /** Table of a vip. */
  slots(vip: number): Uint16Array {
    const { slotFirst, slots } = this.#vip(vip);
    return this.#slots.subarray(slotFirst, slotFirst + slots);
  }

  /** Of a vip's slot hash. */
  seed(vip: number): number {
    return this.#vip(vip).seed;
  }

  /** The `index` of the vip at a place of the table; -1 if there is none. */
  indexAt(place: number): number {
    return this.#byPlace.get(place)?.index ?? -1;
  }

  get #byPlace(): Map<number, OwnVip> {
    this.#placeMap ??= new Map([...this.#vips.values()].map((vip) => [vip.place, vip]));
    return this.#placeMap;
  }
  #placeMap: Map<number, OwnVip> | undefined;

  /**
   * Finds room for a configuration; changes nothing.
   * @throws InbandError `CONFIG_INVALID` for a vip or backend that is there twice, `LIMIT` without room
   */
  plan(vips: readonly XdpVip[]): Plan {
    const space = this.#space.copy();
    const seen = new Set<string>();
    const taken = new Set<number>();
    const added: number[] = [];
    const returned: number[] = [];
    const newIndex = lowest((index) => this.#byIndex[index] !== undefined, this.#vipsMax, 'vips');
    const newNumber = lowest(
      (number) => this.#members[number] !== undefined,
      this.#members.length,
      'backends',
    );
    const planned = vips.map((vip): Planned => {
      const name = formatEndpoint(vip.endpoint);
      if (seen.has(name)) throw new InbandError('CONFIG_INVALID', `vip ${name} is there twice`);
      seen.add(name);
      checkBackends(name, vip.backends);
      const known = this.#vips.get(name);
      if (known && known.slots !== vip.slots) throw noRoom(`vip ${name}: a table of another size`);
      const index = known?.index ?? newIndex();
      const place = known?.place ?? this.#entries.roomFor(vip.endpoint, taken);
      if (place === undefined) throw noRoom(`vip ${name} has no place in the table of vips`);
      taken.add(place);
      const slotFirst = known?.slotFirst ?? space.take(vip.slots);
      if (slotFirst === undefined) throw noRoom(`vip ${name}: no room for its table`);
      const numbers = vip.backends.map((address) => {
        const member = known?.members.get(address);
        if (member?.isGone) returned.push(member.number);
        if (member) return member.number;
        const number = newNumber();
        added.push(number);
        return number;
      });
      return { vip, known, place, index, slotFirst, numbers };
    });
    return { vips: planned, space, added, returned };
  }

  /**
   * Does what was planned, when those that returned are lost no longer; nothing else may have changed in between.
   * @returns backends that are gone from now on
   */
  apply({ vips, space }: Plan): Lost[] {
    this.#space = space;
    this.#placeMap = undefined;
    const lost: Lost[] = [];
    const kept = new Set<OwnVip>();
    for (const planned of vips) {
      const { vip, known, numbers } = planned;
      const own = known ?? this.#ownVip(planned);
      kept.add(own);
      const wanted = new Set(vip.backends);
      for (const [i, address] of vip.backends.entries()) {
        const member = own.members.get(address);
        if (!member) this.#add(own, address, numbers[i]!);
        else if (member.isGone) this.#setGone(member, false);
      }
      for (const member of own.members.values()) {
        if (!member.isGone && !wanted.has(member.address))
          lost.push({ number: this.#setGone(member, true).number, fate: vip.lostFlows ?? 'keep' });
      }
      this.#measureBy(own, vip.estimator ?? 'auto');
      this.#publish(own, vip.lostFlows ?? 'keep', !known);
    }
    for (const vip of this.#vips.values()) {
      if (kept.has(vip) || vip.isGone) continue;
      vip.isGone = true;
      this.#waiting.add(vip);
      this.#entries.mark(vip.place, true, vip.lostFlows);
      for (const member of vip.members.values())
        if (!member.isGone) lost.push({ number: this.#setGone(member, true).number, fate: vip.lostFlows });
    }
    this.placed = vips.map(({ index, numbers }) => ({ vip: index, backends: numbers }));
    return lost;
  }

  /**
   * Frees numbers that nothing holds any more, and places of vips that are gone, a few at a time.
   * @param held flows of a backend
   * @returns numbers that are free now
   */
  release(held: (number: number) => number, nowMs: number): number[] {
    const freed: number[] = [];
    const some: OwnVip[] = [];
    for (const vip of this.#waiting) if (some.push(vip) === vipsAtOnce) break;
    for (const vip of some) {
      // In turn: what stays goes to the end.
      this.#waiting.delete(vip);
      freed.push(...this.#releaseOf(vip, held, nowMs));
      if (vip.isGone && vip.members.size === 0) this.#removeVip(vip);
      else if ([...vip.members.values()].some(({ isGone }) => isGone)) this.#waiting.add(vip);
    }
    return freed;
  }

  #releaseOf(vip: OwnVip, held: (number: number) => number, nowMs: number): number[] {
    const gone = [...vip.members.values()].filter(({ isGone }) => isGone);
    // Slots are read when a number may begin to rest, and once more at the end.
    const isDue = ({ freeMs }: OwnMember) => !(nowMs - freeMs < restMs);
    const idle = new Set(gone.filter(({ number }) => held(number) === 0));
    const inSlots = !vip.isGone && [...idle].some(isDue) ? this.#numbersIn(vip) : undefined;
    return gone.flatMap((member) => {
      const isFree = idle.has(member) && inSlots?.[member.number] !== 1;
      if (!isFree) member.freeMs = Number.NaN;
      else if (Number.isNaN(member.freeMs)) member.freeMs = nowMs;
      return isFree && isDue(member) ? [this.#remove(member)] : [];
    });
  }

  /** 1 for each number that a slot of the vip has; valid until the next call. */
  #numbersIn({ slotFirst, slots }: OwnVip): Uint8Array {
    const found = this.#found.fill(0);
    for (let slot = slotFirst; slot < slotFirst + slots; slot++) found[this.#slots[slot]!] = 1;
    return found;
  }

  #vip(index: number): OwnVip {
    const vip = this.#byIndex[index];
    if (!vip) throw new RangeError(`there is no vip ${index}`);
    return vip;
  }

  #ownVip({ vip, place, index, slotFirst }: Planned): OwnVip {
    const { endpoint, slots, estimator = 'auto', lostFlows = 'keep' } = vip;
    const { address, port, proto } = endpoint;
    const seed = vipSeedIpv4(this.#fleetSeed, address.words[0], port, proto);
    const fixed = { endpoint, seed, slots, slotFirst, index, estimator, place };
    return this.#take({ ...fixed, isGone: true, lostFlows, members: new Map() });
  }

  #take(vip: OwnVip): OwnVip {
    this.#vips.set(formatEndpoint(vip.endpoint), vip);
    this.#byIndex[vip.index] = vip;
    return vip;
  }

  /** Lets a vip take new flows, if it does not yet; then none of its slots is filled. */
  #publish(vip: OwnVip, lostFlows: Fate, isNew: boolean): void {
    if (vip.isGone) this.slots(vip.index).fill(noBackend);
    vip.isGone = false;
    vip.lostFlows = lostFlows;
    if (isNew) this.#entries.put(vip.place, vip);
    else this.#entries.mark(vip.place, false, lostFlows);
  }

  /** What new flows of a vip are measured by. */
  #measureBy(vip: OwnVip, estimator: LiveEstimator): void {
    if (vip.estimator === estimator) return;
    vip.estimator = estimator;
    this.#entries.setEstimator(vip.place, estimator);
  }

  #add(vip: OwnVip, address: number, number: number): void {
    const member = { number, address, isGone: false, vip, freeMs: Number.NaN };
    this.#members[number] = member;
    vip.members.set(address, member);
    const at = number * inbandMember.size;
    const { addrBe, vipPlace } = inbandMember.fields;
    this.#memberView.setInt32(at + addrBe.offset, address);
    this.#memberView.setUint16(at + vipPlace.offset, vip.place, true);
    this.#setGone(member, false);
  }

  #setGone(member: OwnMember, isGone: boolean): OwnMember {
    member.isGone = isGone;
    member.freeMs = Number.NaN;
    if (isGone) this.#waiting.add(member.vip);
    this.#flag(member.number, inbandMemberFlag.used | (isGone ? inbandMemberFlag.gone : 0));
    return member;
  }

  #flag(number: number, flags: number): void {
    this.#memberView.setUint8(number * inbandMember.size + inbandMember.fields.flags.offset, flags);
  }

  #remove({ number, address, vip }: OwnMember): number {
    this.#flag(number, 0);
    this.#members[number] = undefined;
    vip.members.delete(address);
    return number;
  }

  #removeVip(vip: OwnVip): void {
    this.#entries.remove(vip.place);
    this.#vips.delete(formatEndpoint(vip.endpoint));
    this.#byIndex[vip.index] = undefined;
    this.#placeMap = undefined;
    this.#space.free(vip.slotFirst);
  }

  /** Takes in what the memory holds. */
  #read(): void {
    for (const entry of this.#entries.read()) {
      const vip = this.#take({ ...entry, members: new Map() });
      if (vip.isGone) this.#waiting.add(vip);
      this.#space.keep(entry.slotFirst, entry.slots);
    }
    const view = this.#memberView;
    const { addrBe, vipPlace, flags: flagsField } = inbandMember.fields;
    for (let number = 0; number < this.#members.length; number++) {
      const at = number * inbandMember.size;
      const flags = view.getUint8(at + flagsField.offset);
      if ((flags & inbandMemberFlag.used) === 0) continue;
      const vip = this.#byPlace.get(view.getUint16(at + vipPlace.offset, true));
      // Who wrote it did not come to its vip.
      if (!vip) {
        this.#flag(number, 0);
        continue;
      }
      // Nor, perhaps, to the last backend of a vip that it left out.
      const isGone = vip.isGone || (flags & inbandMemberFlag.gone) !== 0;
      const member = { number, address: view.getInt32(at + addrBe.offset), isGone, vip, freeMs: Number.NaN };
      this.#members[number] = member;
      vip.members.set(member.address, member);
      this.#setGone(member, isGone);
    }
    this.placed = [...this.#vips.values()]
      .filter(({ isGone }) => !isGone)
      .sort((a, b) => a.index - b.index)
      .map(({ index, members }) => ({
        vip: index,
        backends: [...members.values()].filter(({ isGone }) => !isGone).map(({ number }) => number),
      }));
  }
}

/** Gives the lowest numbers that are not taken, one after the other. */
function lowest(isTaken: (number: number) => boolean, count: number, what: string): () => number {
  let next = 0;
  return () => {
    while (next < count && isTaken(next)) next++;
    if (next === count) throw noRoom(`no room for more than ${count} ${what}`);
    return next++;
  };
}

const noRoom = (message: string): InbandError =>
  new InbandError('LIMIT', message, {
    hint: 'what runs was made for fewer; a daemon that starts anew makes room, and flows go on meanwhile',
  });

function checkBackends(vip: string, backends: readonly number[]): void {
  if (new Set(backends).size === backends.length) return;
  const twice = backends.find((address, i) => backends.indexOf(address) !== i)!;
  throw new InbandError(
    'CONFIG_INVALID',
    `vip ${vip}: backend ${formatAddress(4, twice, 0, 0, 0)} is there twice`,
  );
}
