import fc from 'fast-check';
import { expect, it } from 'vitest';
import { VipTable, vipsMax } from '../../src/flow/vips.ts';
import type { Endpoint } from '../../src/net/address.ts';
import { anyAddress } from '../support/arbitraries.ts';
import { ip } from '../support/frames.ts';

const find = (table: VipTable, { address, port, proto }: Endpoint) =>
  table.find(address.family, ...address.words, port, proto);

const endpoint = (text: string, port: number, proto = 6): Endpoint => ({ address: ip(text), port, proto });

it('vips are numbered in the order they were added, the same one once', () => {
  const table = new VipTable();
  expect(table.add(endpoint('10.0.0.1', 80))).toBe(0);
  expect(table.add(endpoint('2001:db8::1', 80))).toBe(1);
  expect(table.add(endpoint('10.0.0.1', 80))).toBe(0);
  expect(table.size).toBe(2);
  expect(table.vips[1]).toEqual(endpoint('2001:db8::1', 80));
});

it('an empty table finds nothing', () => {
  expect(find(new VipTable(), endpoint('10.0.0.1', 80))).toBe(-1);
});

it('address, port, protocol and family all tell vips apart', () => {
  const table = new VipTable();
  const vips = [
    endpoint('10.0.0.1', 80),
    endpoint('10.0.0.2', 80),
    endpoint('10.0.0.1', 81),
    endpoint('10.0.0.1', 80, 17),
    // The first word is that of 10.0.0.1.
    endpoint('a00:1::', 80),
    endpoint('a00:1::1', 80),
    endpoint('a00:1:0:0:1::', 80),
    endpoint('a00:1:0:1::', 80),
  ];
  expect(vips.map((vip) => table.add(vip))).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(vips.map((vip) => find(table, vip))).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
});

it('any vips are found again, and others are not', () => {
  const anyVip = fc.record({
    address: fc.constantFrom<4 | 6>(4, 6).chain(anyAddress),
    port: fc.integer({ min: 1, max: 65535 }),
    proto: fc.constantFrom(6, 17),
  });
  fc.assert(
    fc.property(fc.array(anyVip, { maxLength: 100, size: 'max' }), anyVip, (vips, other) => {
      const table = new VipTable();
      const numbers = vips.map((vip) => table.add(vip));
      expect(vips.map((vip) => find(table, vip))).toEqual(numbers);
      const known = vips.findIndex((vip) => JSON.stringify(vip) === JSON.stringify(other));
      expect(find(table, other)).toBe(known < 0 ? -1 : numbers[known]);
    }),
  );
});

it('a vip that is removed is not found, and its number is the next one given', () => {
  const table = new VipTable();
  const vips = [1, 2, 3, 4].map((port) => endpoint('10.0.0.1', port));
  for (const vip of vips) table.add(vip);
  table.remove(2);
  table.remove(0);
  expect(vips.map((vip) => find(table, vip))).toEqual([-1, 1, -1, 3]);
  expect(table.size).toBe(2);
  expect(table.add(endpoint('10.0.0.9', 1))).toBe(0);
  expect(table.add(vips[0]!)).toBe(2);
  expect(table.add(vips[2]!)).toBe(4);
  expect(vips.map((vip) => find(table, vip))).toEqual([2, 1, 4, 3]);
});

it('vips that come and go are found like those of a map', () => {
  const steps = fc.array(fc.tuple(fc.nat(40), fc.boolean()), { maxLength: 120, size: 'max' });
  fc.assert(
    fc.property(steps, (list) => {
      const table = new VipTable();
      const known = new Map<number, number>();
      for (const [port, isAdded] of list) {
        const vip = endpoint('10.0.0.1', port + 1);
        if (isAdded) {
          const number = table.add(vip);
          const others = [...known].filter(([other]) => other !== port).map(([, taken]) => taken);
          expect(others).not.toContain(number);
          known.set(port, number);
        } else if (known.has(port)) {
          table.remove(known.get(port)!);
          known.delete(port);
        }
        expect(table.size).toBe(known.size);
      }
      for (let port = 0; port <= 40; port++) {
        expect(find(table, endpoint('10.0.0.1', port + 1))).toBe(known.get(port) ?? -1);
      }
    }),
  );
});

it(`it grows to ${vipsMax} vips, and refuses one more with a hint`, () => {
  const table = new VipTable();
  const vip = (i: number): Endpoint => ({
    address: { family: 4, words: [0x0a000000 + (i >> 2), 0, 0, 0] },
    port: 1 + (i & 1),
    proto: i & 2 ? 6 : 17,
  });
  for (let i = 0; i < vipsMax; i++) table.add(vip(i));
  let wrong = 0;
  for (let i = 0; i < vipsMax; i++) if (find(table, vip(i)) !== i) wrong++;
  expect(wrong).toBe(0);
  expect(find(table, vip(vipsMax))).toBe(-1);
  expect(table.add(vip(5))).toBe(5);
  expect(() => table.add(vip(vipsMax))).toThrow(
    expect.objectContaining({ code: 'LIMIT', message: 'more than 65536 vips', hint: 'name them with --vip' }),
  );
});
