import {
  inbandEstimator,
  inbandFate,
  inbandLimit,
  inbandPlace,
  inbandVip,
  inbandVipFlag,
} from '../../generated/layout.ts';
import type { Endpoint } from '../../net/address.ts';
import type { Fate, LiveEstimator } from '../datapath.ts';

/** Largest table of vips as a power of two: a place, plus one, is in 16 bits of a flow's key, and all ones are taken. */
export const vipBitsMax = 15;
/** An odd number whose multiples spread over all bits: 2^64 divided by the golden ratio (Knuth, 6.4). */
export const vipMultiplier = 0x9e3779b97f4a7c15n;

/** What an entry of the table of vips says. */
export interface VipEntry {
  /** IPv4. */
  readonly endpoint: Endpoint;
  /** Of the slot hash. */
  readonly seed: number;
  readonly slots: number;
  readonly slotFirst: number;
  readonly index: number;
  readonly estimator: LiveEstimator;
  readonly isGone: boolean;
  readonly lostFlows: Fate;
}

const { fields, size } = inbandVip;

/** Keys by inverse of an enum's numbers. */
const nameOf = <Name extends string>(values: Readonly<Record<Name, number>>, value: number): Name =>
  (Object.keys(values) as Name[]).find((name) => values[name] === value)!;

/** A vip's key as the program reads it: address, port and protocol, in the order of the wire. */
export function vipKey({ address, port, proto }: Endpoint): bigint {
  const bytes = new DataView(new ArrayBuffer(8));
  bytes.setInt32(0, address.words[0]);
  bytes.setUint16(4, port);
  bytes.setUint8(6, proto);
  return bytes.getBigUint64(0, true);
}

/**
 * The table of vips in memory that the program reads: open addressing with linear probing. The program sees an entry from
 * the moment on that its key is there, so that this is written last; a place that a vip left does not end a search.
 */
export class VipEntries {
  readonly #view: DataView;
  readonly #keys: BigInt64Array;
  readonly #mask: number;
  readonly #shift: bigint;

  /** @param memory 2^n entries */
  constructor(memory: ArrayBuffer) {
    this.#view = new DataView(memory);
    this.#keys = new BigInt64Array(memory);
    this.#mask = memory.byteLength / size - 1;
    this.#shift = BigInt(64 - Math.round(Math.log2(this.#mask + 1)));
  }

  /** Calls for each vip of the table. */
  *read(): Generator<VipEntry & { readonly place: number }> {
    const view = this.#view;
    for (let place = 0; place <= this.#mask; place++) {
      const at = place * size;
      const proto = view.getUint8(at + fields.proto.offset);
      if (proto === inbandPlace.empty || proto === inbandPlace.left) continue;
      const word = view.getInt32(at + fields.addrBe.offset);
      yield {
        place,
        endpoint: {
          address: { family: 4, words: [word, 0, 0, 0] },
          port: view.getUint16(at + fields.portBe.offset),
          proto,
        },
        seed: view.getUint32(at + fields.seed.offset, true),
        slots: view.getUint32(at + fields.slotCount.offset, true),
        slotFirst: view.getUint32(at + fields.slotFirst.offset, true),
        index: view.getUint16(at + fields.index.offset, true),
        estimator: nameOf(inbandEstimator, view.getUint8(at + fields.estimator.offset)),
        isGone: (view.getUint8(at + fields.flags.offset) & inbandVipFlag.gone) !== 0,
        lostFlows: nameOf(inbandFate, view.getUint8(at + fields.lostFlows.offset)),
      };
    }
  }

  /**
   * Where a vip that is not in the table may be put; undefined if that is too far from where its search starts.
   * @param taken places that count as taken as well
   */
  roomFor(endpoint: Endpoint, taken: ReadonlySet<number>): number | undefined {
    const start = Number(BigInt.asUintN(64, vipKey(endpoint) * vipMultiplier) >> this.#shift);
    for (let probe = 0; probe < inbandLimit.vipProbesMax; probe++) {
      const place = (start + probe) & this.#mask;
      const proto = this.#view.getUint8(place * size + fields.proto.offset);
      if ((proto === inbandPlace.empty || proto === inbandPlace.left) && !taken.has(place)) return place;
    }
    return undefined;
  }

  /** Puts a vip to a place. */
  put(place: number, entry: VipEntry): void {
    const view = this.#view;
    const at = place * size;
    view.setUint32(at + fields.seed.offset, entry.seed, true);
    view.setUint32(at + fields.slotCount.offset, entry.slots, true);
    view.setUint32(at + fields.slotFirst.offset, entry.slotFirst, true);
    view.setUint16(at + fields.index.offset, entry.index, true);
    view.setUint8(at + fields.estimator.offset, inbandEstimator[entry.estimator]);
    this.mark(place, entry.isGone, entry.lostFlows);
    Atomics.store(this.#keys, at / 8, BigInt.asIntN(64, vipKey(entry.endpoint)));
  }

  mark(place: number, isGone: boolean, lostFlows: Fate): void {
    const at = place * size;
    this.#view.setUint8(at + fields.lostFlows.offset, inbandFate[lostFlows]);
    this.#view.setUint8(at + fields.flags.offset, isGone ? inbandVipFlag.gone : 0);
  }

  setEstimator(place: number, estimator: LiveEstimator): void {
    this.#view.setUint8(place * size + fields.estimator.offset, inbandEstimator[estimator]);
  }

  /** Takes a vip out. */
  remove(place: number): void {
    const left = BigInt(inbandPlace.left) << BigInt(8 * fields.proto.offset);
    Atomics.store(this.#keys, (place * size) / 8, left);
    // Before a place that ends searches, places that were left end them as well.
    for (let last = place; this.#protoAt(last) === inbandPlace.left; last = (last - 1) & this.#mask) {
      if (this.#protoAt(last + 1) !== inbandPlace.empty) return;
      Atomics.store(this.#keys, (last * size) / 8, 0n);
    }
  }

  #protoAt(place: number): number {
    return this.#view.getUint8((place & this.#mask) * size + fields.proto.offset);
  }
}
