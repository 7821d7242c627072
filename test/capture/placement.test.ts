import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Placement, type PlacementTarget } from '../../src/datapath/capture/placement.ts';
import { type DatapathVip, type Fate, noBackend } from '../../src/datapath/datapath.ts';
import { VipTable } from '../../src/flow/vips.ts';
import { formatEndpoint, parseEndpoint } from '../../src/net/address.ts';

/** What a placement is carried out on, written down; flows and slots are what a test says they are. */
class Target implements PlacementTarget {
  readonly vips = new VipTable();
  readonly taking = new Map<number, boolean>();
  readonly begun: number[] = [];
  readonly fates = new Map<number, Fate>();
  readonly held = new Set<number>();
  /** Numbers in slots of each vip. */
  readonly slots = new Map<number, number[]>();

  addVip(endpoint: Parameters<VipTable['add']>[0]): number {
    const vip = this.vips.add(endpoint);
    this.taking.set(vip, true);
    this.slots.set(vip, []);
    return vip;
  }

  setTaking(vip: number, isTaking: boolean): void {
    this.taking.set(vip, isTaking);
    this.slots.set(vip, []);
  }

  removeVip(vip: number): void {
    this.vips.remove(vip);
    this.taking.delete(vip);
    this.slots.delete(vip);
  }

  begin(backend: number): void {
    this.begun.push(backend);
    this.fates.set(backend, 'keep');
  }

  setFate(backend: number, fate: Fate): void {
    this.fates.set(backend, fate);
  }

  isHeld(backend: number): boolean {
    return this.held.has(backend);
  }

  inSlots(vip: number, backends: readonly number[]): ReadonlySet<number> {
    return new Set(this.slots.get(vip)!.filter((backend) => backends.includes(backend)));
  }
}

function aPlacement() {
  const target = new Target();
  return { target, placement: new Placement(target) };
}

/** A vip 10.0.0.`last`:80 with backends 10.1.0.`backends`. */
const vip = (last: number, backends: readonly number[], lostFlows?: Fate): DatapathVip => ({
  endpoint: parseEndpoint(`10.0.0.${last}:80/tcp`, 'vip'),
  backends: backends.map((backend) => ({ name: `10.1.0.${backend}` })),
  ...(lostFlows && { lostFlows }),
});

describe('numbers', () => {
  it('run over all vips in order at first', () => {
    const { placement, target } = aPlacement();
    const placed = placement.configure([vip(1, [1, 2]), vip(2, [1]), vip(3, [7, 8])]);
    expect(placed).toEqual([
      { vip: 0, backends: [0, 1] },
      { vip: 1, backends: [2] },
      { vip: 2, backends: [3, 4] },
    ]);
    expect(placement.placed).toBe(placed);
    expect(target.begun).toEqual([0, 1, 2, 3, 4]);
  });

  it('stay with what stays, whatever order it is given in', () => {
    const { placement, target } = aPlacement();
    placement.configure([vip(1, [1, 2]), vip(2, [1])]);
    expect(placement.configure([vip(2, [1, 5]), vip(1, [2, 4, 1])])).toEqual([
      { vip: 1, backends: [2, 3] },
      { vip: 0, backends: [1, 4, 0] },
    ]);
    expect(target.begun).toEqual([0, 1, 2, 3, 4]);
  });

  it('are of an address, however it is written', () => {
    const { placement } = aPlacement();
    const at = (name: string): DatapathVip => ({
      endpoint: parseEndpoint('[2001:db8::1]:80/tcp', 'vip'),
      backends: [{ name }],
    });
    placement.configure([at('2001:db8::0:9')]);
    expect(placement.configure([at('2001:DB8:0::9')])[0]!.backends).toEqual([0]);
  });

  it('of what is gone are given to others when neither a flow nor a slot has them, the lowest first', () => {
    const { placement, target } = aPlacement();
    placement.configure([vip(1, [1, 2, 3, 4])]);
    target.held.add(1);
    target.slots.set(0, [2]);
    placement.configure([vip(1, [1])]);
    expect(placement.configure([vip(1, [1, 9])])[0]!.backends).toEqual([0, 3]);
    target.held.clear();
    expect(placement.configure([vip(1, [1, 9, 10])])[0]!.backends).toEqual([0, 3, 1]);
    target.slots.set(0, []);
    expect(placement.configure([vip(1, [1, 9, 10, 11])])[0]!.backends).toEqual([0, 3, 1, 2]);
    expect(target.begun).toEqual([0, 1, 2, 3, 3, 1, 2]);
    expect(placement.goneCount).toBe(0);
  });

  it('that a configuration leaves are not given to others by the same one, whose slots may hold them yet', () => {
    const { placement } = aPlacement();
    placement.configure([vip(1, [1])]);
    expect(placement.configure([vip(1, [2]), vip(2, [1])])).toEqual([
      { vip: 0, backends: [1] },
      { vip: 1, backends: [2] },
    ]);
  });

  it('come back with what comes back while its flows last', () => {
    const { placement, target } = aPlacement();
    placement.configure([vip(1, [1, 2], 'reset')]);
    target.held.add(1);
    placement.configure([vip(1, [1], 'reset')]);
    expect(target.fates.get(1)).toBe('reset');
    expect(placement.configure([vip(1, [1, 2])])[0]!.backends).toEqual([0, 1]);
    expect(target.fates.get(1)).toBe('keep');
    expect(target.begun).toEqual([0, 1]);
    expect(placement.goneCount).toBe(0);
  });
});

describe('what is gone', () => {
  it('meets the fate that its vip says now, or said last if that is gone, too', () => {
    const { placement, target } = aPlacement();
    placement.configure([vip(1, [1, 2], 'keep'), vip(2, [3], 'resteer')]);
    for (const number of [0, 1, 2]) target.held.add(number);
    placement.configure([vip(1, [1], 'reset')]);
    expect([...target.fates]).toEqual([
      [0, 'keep'],
      [1, 'reset'],
      [2, 'resteer'],
    ]);
  });

  it('keeps the fate that it met when others go', () => {
    const { placement, target } = aPlacement();
    placement.configure([vip(1, [1, 2, 3], 'keep')]);
    for (const number of [0, 1, 2]) target.held.add(number);
    placement.configure([vip(1, [1, 2], 'keep')]);
    placement.configure([vip(1, [1], 'reset')]);
    expect([1, 2].map((number) => target.fates.get(number))).toEqual(['reset', 'keep']);
  });

  it('as a vip takes no flows, and is one for as long as it has some', () => {
    const { placement, target } = aPlacement();
    placement.configure([vip(1, [1]), vip(2, [2, 3])]);
    target.held.add(2);
    placement.configure([vip(1, [1])]);
    expect(target.taking.get(1)).toBe(false);
    expect(placement.endpoints.map(formatEndpoint)).toEqual(['10.0.0.1:80/tcp', '10.0.0.2:80/tcp']);
    expect(placement.release()).toBe(false);
    expect(placement.goneCount).toBe(1);
    target.held.clear();
    expect(placement.release()).toBe(true);
    expect(placement.endpoints.map(formatEndpoint)).toEqual(['10.0.0.1:80/tcp']);
    expect(placement.endpointOf(1)).toBeUndefined();
    expect(target.vips.size).toBe(1);
    expect(placement.configure([vip(1, [1]), vip(9, [2])])[1]).toEqual({ vip: 1, backends: [1] });
  });

  it('as a vip gets its number and slots without backends when it comes back before that', () => {
    const { placement, target } = aPlacement();
    placement.configure([vip(1, [1]), vip(2, [2])]);
    target.held.add(1);
    target.slots.set(1, [1]);
    placement.configure([vip(1, [1])]);
    expect(placement.configure([vip(1, [1]), vip(2, [4, 2])])[1]).toEqual({ vip: 1, backends: [2, 1] });
    expect(target.taking.get(1)).toBe(true);
    expect(target.slots.get(1)).toEqual([]);
    expect(target.fates.get(1)).toBe('keep');
  });

  it('has somewhere to go until its number is given up', () => {
    const { placement, target } = aPlacement();
    placement.configure([vip(1, [1, 2])]);
    target.held.add(1);
    placement.configure([vip(1, [1])]);
    placement.release();
    expect(placement.destinations.map((one) => one?.address.words[0])).toEqual([0x0a010001, 0x0a010002]);
    target.held.clear();
    placement.release();
    expect(placement.destinations[1]).toBeUndefined();
    expect(target.fates.get(1)).toBe('keep');
  });
});

it('few tables of slots are searched at once, and all of them by and by', () => {
  const { placement, target } = aPlacement();
  const vips = (backend: number) => [1, 2, 3, 4, 5].map((last) => vip(last, [backend]));
  placement.configure(vips(1));
  for (const place of [0, 1, 2, 3, 4]) target.slots.set(place, [place]);
  placement.configure(vips(2));
  target.slots.set(4, []);
  const left = [1, 2, 3].map(() => {
    placement.release(2);
    return placement.goneCount;
  });
  expect(left).toEqual([5, 5, 4]);
  for (const place of [0, 1, 2, 3]) target.slots.set(place, []);
  for (let call = 0; call < 2; call++) placement.release(2);
  expect(placement.goneCount).toBe(0);
});

describe('a configuration that is refused changes nothing', () => {
  function refused(vips: readonly DatapathVip[]) {
    const { placement, target } = aPlacement();
    const placed = placement.configure([vip(1, [1])]);
    const thrown = (() => {
      try {
        placement.configure(vips);
        return undefined;
      } catch (error) {
        return error;
      }
    })();
    expect(placement.placed).toBe(placed);
    expect(target.begun).toEqual([0]);
    expect([...target.taking]).toEqual([[0, true]]);
    return expect(thrown);
  }

  it('as a vip is there twice', () => {
    refused([vip(2, [1]), vip(2, [2])]).toMatchObject({
      code: 'CONFIG_INVALID',
      message: 'vip 10.0.0.2:80/tcp is there twice',
    });
  });

  it('as a backend is there twice', () => {
    refused([vip(2, [1, 2, 1])]).toMatchObject({
      code: 'CONFIG_INVALID',
      message: '10.0.0.2:80/tcp: backend 10.1.0.1 is there twice',
    });
  });

  it('as there are more backends than numbers', () => {
    const many = Array.from({ length: noBackend }, (_, i) => ({
      name: `10.2.${i >> 8}.${i & 255}`,
    }));
    refused([{ ...vip(2, []), backends: many }]).toMatchObject({ code: 'LIMIT' });
    const { placement } = aPlacement();
    placement.configure([{ ...vip(2, []), backends: many }]);
    expect(placement.placed[0]!.backends.at(-1)).toBe(noBackend - 1);
  });
});

it('takes 1,000 backends in 100 vips, and others of each, without touching what stays', () => {
  const { placement, target } = aPlacement();
  const vips = (shift: number) =>
    Array.from({ length: 100 }, (_, i) =>
      vip(
        i + 1,
        [...Array(10).keys()].map((b) => b + shift),
      ),
    );
  const before = placement.configure(vips(0));
  const after = placement.configure(vips(1));
  expect(target.begun).toHaveLength(1_100);
  for (const [i, { backends }] of after.entries()) {
    expect(backends.slice(0, 9)).toEqual(before[i]!.backends.slice(1));
  }
});

it('whatever is configured, numbers are unique, stay, and are never those of flows or slots of others', () => {
  const anyVips = fc
    .uniqueArray(fc.tuple(fc.nat(3), fc.uniqueArray(fc.nat(5), { maxLength: 5 })), {
      selector: ([last]) => last,
      maxLength: 4,
    })
    .map((list) => list.map(([last, backends]) => vip(last, backends)));
  const step = fc.record({ vips: anyVips, held: fc.nat(255), slotted: fc.nat(255) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const { placement, target } = aPlacement();
      /** Who has each number that flows or slots have. */
      let owners = new Map<number, string>();
      for (const { vips, held, slotted } of steps) {
        const placed = placement.configure(vips);
        const now = new Map<number, string>();
        for (const [i, { vip: place, backends }] of placed.entries()) {
          expect(formatEndpoint(target.vips.vips[place]!)).toBe(formatEndpoint(vips[i]!.endpoint));
          for (const [b, number] of backends.entries()) {
            expect(now.has(number)).toBe(false);
            now.set(
              number,
              `${i} ${formatEndpoint(vips[i]!.endpoint)} ${vips[i]!.backends[b]!.name}`.slice(2),
            );
          }
        }
        for (const [number, owner] of owners) if (now.has(number)) expect(now.get(number)).toBe(owner);
        owners = new Map([...owners, ...now]);
        target.held.clear();
        for (const number of owners.keys()) if ((held >> (number & 7)) & 1) target.held.add(number);
        for (const { vip: place, backends } of placed) {
          target.slots.set(
            place,
            backends.filter((number) => (slotted >> (number & 7)) & 1),
          );
        }
        const inSlots = new Set([...target.slots.values()].flat());
        for (const number of [...owners.keys()]) {
          if (!now.has(number) && !target.held.has(number) && !inSlots.has(number)) owners.delete(number);
        }
      }
    }),
    { numRuns: 300 },
  );
});
