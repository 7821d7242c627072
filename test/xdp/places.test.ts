import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Fate, noBackend } from '../../src/datapath/datapath.ts';
import { Places, type PlacesMemory } from '../../src/datapath/xdp/places.ts';
import type { XdpVip } from '../../src/datapath/xdp/setup.ts';
import { VipEntries, vipKey, vipMultiplier } from '../../src/datapath/xdp/vip-entries.ts';
import { inbandLimit, inbandMember, inbandMemberFlag, inbandVip } from '../../src/generated/layout.ts';
import { formatEndpoint, parseEndpoint } from '../../src/net/address.ts';
import { thrownBy } from '../native/support.ts';

const slots = 13;
const vipOf = (name: string, backends: readonly number[], lostFlows: Fate = 'keep'): XdpVip => ({
  endpoint: parseEndpoint(`10.0.0.1:${name}`, 'vip'),
  slots,
  backends,
  lostFlows,
});

/** Places in memory for so many. */
class Bed {
  readonly memory: PlacesMemory;
  readonly vipsMax: number;
  places: Places;
  readonly held = new Map<number, number>();
  nowMs = 0;

  constructor(vipsMax = 4, backends = 8, entries = 16) {
    this.vipsMax = vipsMax;
    this.memory = {
      vips: new ArrayBuffer(entries * inbandVip.size),
      members: new ArrayBuffer(backends * inbandMember.size),
      slots: new ArrayBuffer(8 * 4 * vipsMax),
    };
    this.places = this.read();
  }

  /** What somebody finds who comes later. */
  read(): Places {
    return new Places(this.memory, this.vipsMax, 0);
  }

  configure(...vips: XdpVip[]): number[][] {
    this.places.apply(this.places.plan(vips));
    return this.numbers;
  }

  get numbers(): number[][] {
    return this.places.placed.map(({ backends }) => [...backends]);
  }

  /** Releases again and again for some time. */
  rest(ms: number): number[] {
    const freed: number[] = [];
    for (const end = this.nowMs + ms; this.nowMs < end; this.nowMs += 100)
      freed.push(...this.places.release((number) => this.held.get(number) ?? 0, this.nowMs));
    return freed;
  }
}

const membersOf = (places: Places) =>
  [...places.members()].map(({ number, address, isGone }) => ({ number, address, isGone }));

describe('numbers of backends', () => {
  test('run over all vips in order at first', () => {
    const bed = new Bed();
    expect(bed.configure(vipOf('80/tcp', [1, 2]), vipOf('81/tcp', [1, 3]))).toEqual([
      [0, 1],
      [2, 3],
    ]);
    expect(bed.places.placed.map(({ vip }) => vip)).toEqual([0, 1]);
  });

  test('stay while others come and go, in whatever order', () => {
    const bed = new Bed();
    bed.configure(vipOf('80/tcp', [1, 2]), vipOf('81/tcp', [1, 3]));
    expect(bed.configure(vipOf('81/tcp', [4, 3]), vipOf('80/tcp', [2, 1]))).toEqual([
      [4, 3],
      [1, 0],
    ]);
    expect(bed.places.placed.map(({ vip }) => vip)).toEqual([1, 0]);
  });

  test('are given to others only when no flow and no slot has had them for a second', () => {
    const bed = new Bed();
    bed.configure(vipOf('80/tcp', [1, 2]));
    bed.places.slots(0).fill(1);
    bed.held.set(1, 1);
    bed.configure(vipOf('80/tcp', [1]));
    expect(bed.places.isWaiting).toBe(true);
    expect(bed.rest(2_000)).toEqual([]);
    bed.held.set(1, 0);
    expect(bed.rest(2_000)).toEqual([]);
    bed.places.slots(0).fill(0);
    expect(bed.configure(vipOf('80/tcp', [1, 9]))).toEqual([[0, 2]]);
    expect(bed.rest(1_000)).toEqual([]);
    expect(bed.rest(100)).toEqual([1]);
    expect(bed.places.isWaiting).toBe(false);
    expect(bed.configure(vipOf('80/tcp', [1, 9, 8]))).toEqual([[0, 2, 1]]);
  });

  test('rest anew when a flow has them again meanwhile', () => {
    const bed = new Bed();
    bed.configure(vipOf('80/tcp', [1, 2]));
    bed.configure(vipOf('80/tcp', [1]));
    bed.rest(800);
    bed.held.set(1, 1);
    bed.rest(100);
    bed.held.set(1, 0);
    expect(bed.rest(1_000)).toEqual([]);
    expect(bed.rest(200)).toEqual([1]);
  });

  test('come back with their backends', () => {
    const bed = new Bed();
    bed.configure(vipOf('80/tcp', [1, 2]));
    bed.configure(vipOf('80/tcp', [1]));
    const plan = bed.places.plan([vipOf('80/tcp', [1, 2])]);
    expect(plan).toMatchObject({ added: [], returned: [1] });
    expect(bed.places.apply(plan)).toEqual([]);
    expect(bed.numbers).toEqual([[0, 1]]);
    expect(bed.rest(3_000)).toEqual([]);
  });

  test('that are left out meet what the vip says now or, when it is gone, said last', () => {
    const bed = new Bed();
    bed.configure(vipOf('80/tcp', [1, 2], 'reset'), vipOf('81/tcp', [1], 'resteer'));
    const one = bed.places.apply(bed.places.plan([vipOf('80/tcp', [2]), vipOf('81/tcp', [1], 'reset')]));
    expect(one).toEqual([{ number: 0, fate: 'keep' }]);
    const all = bed.places.apply(bed.places.plan([]));
    expect(all).toEqual([
      { number: 1, fate: 'keep' },
      { number: 2, fate: 'reset' },
    ]);
  });
});

describe('a vip', () => {
  test('has no backend in its slots at first, and again when it comes back', () => {
    const bed = new Bed();
    bed.configure(vipOf('80/tcp', [1]));
    expect([...bed.places.slots(0)]).toEqual(new Array(slots).fill(noBackend));
    bed.places.slots(0).fill(0);
    bed.configure(vipOf('80/tcp', [1]));
    expect([...bed.places.slots(0)]).toEqual(new Array(slots).fill(0));
    bed.configure();
    bed.configure(vipOf('80/tcp', [1]));
    expect([...bed.places.slots(0)]).toEqual(new Array(slots).fill(noBackend));
    expect(bed.numbers).toEqual([[0]]);
  });

  test('that is gone keeps its number and place until its backends have no flows', () => {
    const bed = new Bed();
    bed.configure(vipOf('80/tcp', [1]), vipOf('81/tcp', [2]));
    bed.held.set(0, 1);
    bed.configure(vipOf('81/tcp', [2]));
    bed.rest(2_000);
    const [entry] = [...new VipEntries(bed.memory.vips).read()].filter(({ index }) => index === 0);
    expect(entry).toMatchObject({ isGone: true, slots });
    bed.configure(vipOf('81/tcp', [2]), vipOf('82/tcp', [3]));
    expect(bed.places.placed.map(({ vip }) => vip)).toEqual([1, 2]);
    bed.held.set(0, 0);
    expect(bed.rest(1_200)).toEqual([0]);
    expect([...new VipEntries(bed.memory.vips).read()].map(({ index }) => index).sort()).toEqual([1, 2]);
    bed.configure(vipOf('83/tcp', [4]), vipOf('81/tcp', [2]), vipOf('82/tcp', [3]));
    expect(bed.places.placed[0]).toEqual({ vip: 0, backends: [0] });
  });
});

describe('who comes after somebody that did not come to an end', () => {
  const memberAt = (bed: Bed, number: number) => {
    const { size, fields } = inbandMember;
    const view = new DataView(bed.memory.members, number * size, size);
    return {
      setFlags: (flags: number) => view.setUint8(fields.flags.offset, flags),
      setPlace: (place: number) => view.setUint16(fields.vipPlace.offset, place, true),
    };
  };

  test('frees a number whose vip was not there yet', () => {
    const bed = new Bed();
    bed.configure(vipOf('80/tcp', [1]));
    memberAt(bed, 1).setPlace([...new VipEntries(bed.memory.vips).read()][0]!.place + 1);
    memberAt(bed, 1).setFlags(inbandMemberFlag.used);
    bed.places = bed.read();
    expect(membersOf(bed.places)).toHaveLength(1);
    expect(bed.configure(vipOf('80/tcp', [1, 2]))).toEqual([[0, 1]]);
  });

  test('takes all backends of a vip that was left out for gone', () => {
    const bed = new Bed();
    bed.configure(vipOf('80/tcp', [1, 2]));
    bed.configure();
    memberAt(bed, 1).setFlags(inbandMemberFlag.used);
    bed.places = bed.read();
    expect(bed.rest(1_200)).toEqual([0, 1]);
    expect([...new VipEntries(bed.memory.vips).read()]).toEqual([]);
  });

  test('removes a vip that is gone and has no backends left', () => {
    const bed = new Bed();
    bed.configure(vipOf('80/tcp', [1]));
    bed.configure();
    memberAt(bed, 0).setFlags(0);
    bed.places = bed.read();
    expect(bed.places.isWaiting).toBe(true);
    bed.rest(100);
    expect([...new VipEntries(bed.memory.vips).read()]).toEqual([]);
    expect(bed.places.isWaiting).toBe(false);
  });
});

describe('a configuration that does not fit is refused and changes nothing', () => {
  for (const [what, vips, code, message] of [
    [
      'too many backends',
      [vipOf('80/tcp', [1, 2, 3, 4, 5, 6, 7, 8, 9])],
      'LIMIT',
      'no room for more than 8 backends',
    ],
    [
      'too many vips',
      [80, 81, 82, 83, 84].map((port) => vipOf(`${port}/tcp`, [1])),
      'LIMIT',
      'more than 4 vips',
    ],
    ['a table of another size', [{ ...vipOf('80/tcp', [1]), slots: 17 }], 'LIMIT', 'a table of another size'],
    [
      'a vip twice',
      [vipOf('80/tcp', [1]), vipOf('80/tcp', [1])],
      'CONFIG_INVALID',
      'vip 10.0.0.1:80/tcp is there twice',
    ],
    [
      'a backend twice',
      [vipOf('80/tcp', [5, 167772165, 167772165])],
      'CONFIG_INVALID',
      'vip 10.0.0.1:80/tcp: backend 10.0.0.5 is there twice',
    ],
  ] as const) {
    test(what, () => {
      const bed = new Bed();
      bed.configure(vipOf('80/tcp', [1, 2]));
      const before = Buffer.from(bed.memory.vips.slice()).toString('hex');
      const error = thrownBy(() => bed.configure(...vips));
      expect(error).toMatchObject({ name: 'InbandError', code });
      expect(error.message).toContain(message);
      expect(Buffer.from(bed.memory.vips.slice()).toString('hex')).toBe(before);
      expect(bed.numbers).toEqual([[0, 1]]);
      expect(bed.configure(vipOf('80/tcp', [1, 2, 3]))).toEqual([[0, 1, 2]]);
    });
  }
});

/** Where the program finds a vip, as `find_vip` of native/bpf/vip.h searches; -1 if it does not. */
function placeOf(memory: ArrayBuffer, { endpoint }: XdpVip): number {
  const keys = new BigUint64Array(memory);
  const entries = memory.byteLength / inbandVip.size;
  const start = Number(
    BigInt.asUintN(64, vipKey(endpoint) * vipMultiplier) >> BigInt(64 - Math.log2(entries)),
  );
  for (let probe = 0; probe < inbandLimit.vipProbesMax; probe++) {
    const place = (start + probe) % entries;
    const key = keys[(place * inbandVip.size) / 8]!;
    if (key === 0n) return -1;
    if (key === vipKey(endpoint)) return place;
  }
  return -1;
}

test('whatever is configured: what is there is found, what stays does not move, and who comes later reads the same', () => {
  const ports = [80, 81, 82, 83, 84, 85];
  const aConfiguration = fc.dictionary(
    fc.constantFrom(...ports.map(String)),
    fc.uniqueArray(fc.integer({ min: 1, max: 5 }), { minLength: 1 }),
  );
  const aStep = fc.record({
    vips: aConfiguration,
    held: fc.uniqueArray(fc.nat(47), { maxLength: 10 }),
    restMs: fc.constantFrom(0, 500, 5_000),
  });
  fc.assert(
    fc.property(fc.array(aStep, { minLength: 5, maxLength: 30 }), (steps) => {
      const bed = new Bed(12, 48, 32);
      let before = new Map<string, number>();
      for (const { vips, held, restMs } of steps) {
        const wanted = Object.entries(vips).map(([port, backends]) => vipOf(`${port}/tcp`, backends));
        bed.held.clear();
        for (const number of held) bed.held.set(number, 1);
        bed.configure(...wanted);
        const numbers = new Map<string, number>();
        for (const [i, vip] of wanted.entries()) {
          const { vip: index, backends } = bed.places.placed[i]!;
          const place = placeOf(bed.memory.vips, vip);
          expect(place).toBeGreaterThanOrEqual(0);
          expect(bed.places.indexAt(place)).toBe(index);
          for (const [b, address] of vip.backends.entries())
            numbers.set(`${formatEndpoint(vip.endpoint)} ${address}`, backends[b]!);
        }
        for (const [name, number] of numbers) expect(before.get(name) ?? number).toBe(number);
        before = numbers;
        const all = [...bed.places.members()].map(({ number }) => number);
        expect(new Set(all).size).toBe(all.length);
        const regions = [...new VipEntries(bed.memory.vips).read()].sort((a, b) => a.slotFirst - b.slotFirst);
        for (const [i, { slotFirst }] of regions.entries())
          expect(slotFirst).toBeGreaterThanOrEqual(i === 0 ? 0 : regions[i - 1]!.slotFirst + slots);
        for (const number of bed.rest(restMs)) expect(held).not.toContain(number);
        const later = bed.read();
        expect(membersOf(later)).toEqual(membersOf(bed.places));
        const byVip = (places: Places) => [...places.placed].sort((a, b) => a.vip - b.vip);
        const sorted = byVip(bed.places).map(({ vip, backends }) => ({
          vip,
          backends: [...backends].sort(),
        }));
        expect(byVip(later).map(({ vip, backends }) => ({ vip, backends: [...backends].sort() }))).toEqual(
          sorted,
        );
      }
    }),
    { numRuns: 60 },
  );
});
