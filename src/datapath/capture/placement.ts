import { InbandError } from '../../errors.ts';
import { type Endpoint, formatAddress, formatEndpoint, parseAddress } from '../../net/address.ts';
import { type DatapathBackend, type DatapathVip, type Fate, noBackend, type PlacedVip } from '../datapath.ts';
import type { Destination } from './ways.ts';

/** What a placement is carried out on. */
export interface PlacementTarget {
  /** Takes a vip, whose slots hold no backend, and returns its number, the lowest that is free. */
  addVip(endpoint: Endpoint): number;
  /** Whether the vip takes new flows; when it does again, its slots hold no backend. */
  setTaking(vip: number, isTaking: boolean): void;
  removeVip(vip: number): void;
  /** Makes room for a backend of this number, and forgets another that had it before. */
  begin(backend: number): void;
  setFate(backend: number, fate: Fate): void;
  /** Whether a flow of it is in the flow table. */
  isHeld(backend: number): boolean;
  /** Which of these numbers are in slots of the vip. */
  inSlots(vip: number, backends: readonly number[]): ReadonlySet<number>;
}

/** A backend that has a number, whether it is configured or only has flows left. */
interface Member {
  readonly vip: number;
  readonly destination: Destination;
  readonly isGone: boolean;
}

/** A vip that has a number, likewise. */
interface Place {
  readonly endpoint: Endpoint;
  readonly lostFlows: Fate;
  readonly isGone: boolean;
  /** By address, with those that are gone. */
  readonly numbers: Map<string, number>;
}

/**
 * Numbers of vips and backends over many configurations. What stays keeps its number; what is gone keeps it for as long as a
 * flow or a slot has it, and gets it again if it comes back before that. New ones get the lowest that is free.
 */
export class Placement {
  placed: readonly PlacedVip[] = [];
  readonly #target: PlacementTarget;
  readonly #places: (Place | undefined)[] = [];
  readonly #vipOf = new Map<string, number>();
  readonly #members: (Member | undefined)[] = [];
  #memberCount = 0;
  /** The vip that `release` looks at first. */
  #releaseFrom = 0;
  #goneCount = 0;

  constructor(target: PlacementTarget) {
    this.#target = target;
  }

  /** Vips that packets may be for, those included that are gone and have flows. */
  get endpoints(): Endpoint[] {
    return this.#places.flatMap((place) => place?.endpoint ?? []);
  }

  /** Where packets of each backend go, by number. */
  get destinations(): (Destination | undefined)[] {
    return this.#members.map((member) => member?.destination);
  }

  /** Backends that are gone and still have a number. */
  get goneCount(): number {
    return this.#goneCount;
  }

  endpointOf(vip: number): Endpoint | undefined {
    return this.#places[vip]?.endpoint;
  }

  /**
   * Places other vips and backends instead of those before.
   * @throws InbandError `CONFIG_INVALID` for what is given twice, `LIMIT` beyond all numbers; nothing has changed then
   */
  configure(vips: readonly DatapathVip[]): readonly PlacedVip[] {
    this.release();
    const wanted = vips.map(readVip);
    checkTwice(
      wanted.map(({ key }) => key),
      'vip ',
    );
    this.#checkRoom(wanted);
    this.#leave(wanted);
    const free = this.#freeNumbers();
    this.placed = wanted.map((vip) => this.#place(vip, free));
    return this.placed;
  }

  /**
   * Gives up the numbers of what is gone and in use no more; true if a vip was among it.
   * @param searches tables of slots to be searched at most, which takes long; the next call goes on with others
   */
  release(searches = Number.POSITIVE_INFINITY): boolean {
    if (this.#goneCount === 0) return false;
    let hasFreed = false;
    let left = searches;
    const first = this.#releaseFrom;
    for (let i = 0; i < this.#places.length && left > 0; i++) {
      const vip = (first + i) % this.#places.length;
      const place = this.#places[vip];
      if (!place) continue;
      const idle = [...place.numbers].filter(([, number]) => this.#isIdle(number));
      const inUse = place.isGone ? [] : idle.map(([, number]) => number);
      const kept = inUse.length > 0 ? this.#target.inSlots(vip, inUse) : undefined;
      if (kept) left--;
      this.#releaseFrom = vip + 1;
      for (const [name, number] of idle) {
        if (kept?.has(number)) continue;
        place.numbers.delete(name);
        this.#target.setFate(number, 'keep');
        this.#members[number] = undefined;
        this.#memberCount--;
        this.#goneCount--;
      }
      if (!place.isGone || place.numbers.size > 0) continue;
      this.#places[vip] = undefined;
      this.#vipOf.delete(formatEndpoint(place.endpoint));
      this.#target.removeVip(vip);
      hasFreed = true;
    }
    return hasFreed;
  }

  #isIdle(number: number): boolean {
    return this.#members[number]!.isGone && !this.#target.isHeld(number);
  }

  #checkRoom(wanted: readonly Wanted[]): void {
    let added = 0;
    for (const { key, backends } of wanted) {
      const vip = this.#vipOf.get(key);
      const known = vip === undefined ? undefined : this.#places[vip]!.numbers;
      for (const name of backends.keys()) if (!known?.has(name)) added++;
    }
    if (this.#memberCount + added <= noBackend) return;
    throw new InbandError(
      'LIMIT',
      `${this.#memberCount + added} backends: a table holds ${noBackend} at most`,
      {
        hint: 'those that are gone count for as long as they have flows',
      },
    );
  }

  /** What is not wanted any more is gone; its flows meet what its vip, in the new configuration if it is there, says. */
  #leave(wanted: readonly Wanted[]): void {
    const byKey = new Map(wanted.map((vip) => [vip.key, vip]));
    for (const [vip, place] of this.#places.entries()) {
      if (!place) continue;
      const next = byKey.get(formatEndpoint(place.endpoint));
      const fate = next?.lostFlows ?? place.lostFlows;
      for (const [name, number] of place.numbers) {
        const member = this.#members[number]!;
        if (next?.backends.has(name) || member.isGone) continue;
        this.#members[number] = { ...member, isGone: true };
        this.#goneCount++;
        this.#target.setFate(number, fate);
      }
      if (next || place.isGone) continue;
      this.#places[vip] = { ...place, isGone: true };
      this.#target.setTaking(vip, false);
    }
  }

  #place({ endpoint, key, lostFlows, backends }: Wanted, free: Iterator<number>): PlacedVip {
    const known = this.#vipOf.get(key);
    const vip = known ?? this.#target.addVip(endpoint);
    if (this.#places[vip]?.isGone) this.#target.setTaking(vip, true);
    const numbers = this.#places[vip]?.numbers ?? new Map<string, number>();
    this.#places[vip] = { endpoint, lostFlows, isGone: false, numbers };
    this.#vipOf.set(key, vip);
    return {
      vip,
      backends: Array.from(backends, ([name, destination]) => {
        const number = numbers.get(name) ?? this.#begin(free);
        if (this.#members[number]?.isGone) {
          this.#goneCount--;
          this.#target.setFate(number, 'keep');
        }
        this.#members[number] = { vip, destination, isGone: false };
        numbers.set(name, number);
        return number;
      }),
    };
  }

  #begin(free: Iterator<number>): number {
    const number: number = free.next().value;
    this.#memberCount++;
    this.#target.begin(number);
    return number;
  }

  *#freeNumbers(): Generator<number, never> {
    for (let number = 0; ; number++) if (this.#members[number] === undefined) yield number;
  }
}

/** A vip as it is to be placed; backends by address. */
interface Wanted {
  readonly endpoint: Endpoint;
  readonly key: string;
  readonly lostFlows: Fate;
  readonly backends: ReadonlyMap<string, Destination>;
}

/** @throws InbandError `CONFIG_INVALID` for a backend that is there twice */
function readVip({ endpoint, backends, lostFlows = 'keep' }: DatapathVip): Wanted {
  const key = formatEndpoint(endpoint);
  const read = backends.map(destinationOf);
  const names = read.map(({ address: { family, words } }) => formatAddress(family, ...words));
  checkTwice(names, `${key}: backend `);
  return { endpoint, key, lostFlows, backends: new Map(names.map((name, i) => [name, read[i]!])) };
}

/** The backend as it is sent to; its name is an address. */
function destinationOf({ name, encapsulation = 'l2' }: DatapathBackend): Destination {
  return { address: parseAddress(name)!, encapsulation };
}

function checkTwice(names: readonly string[], what: string): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) {
      throw new InbandError('CONFIG_INVALID', `${what}${name} is there twice`, { hint: 'leave one out' });
    }
    seen.add(name);
  }
}
