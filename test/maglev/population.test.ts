import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InbandError } from '../../src/errors.ts';
import { createTableBuilder, disruption } from '../../src/maglev/builder.ts';
import { type MaglevBackend, permutationOf, populate } from '../../src/maglev/population.ts';
import { backendsMax, slotsDefault, slotsMax } from '../../src/maglev/size.ts';
import { countSlots, equalBackends, namesBySlot } from './tables.ts';

const primes = [101, 251, 1021, 4093];

function errorOf(action: () => unknown): InbandError {
  try {
    action();
  } catch (error) {
    if (error instanceof InbandError) return error;
  }
  throw new Error('no InbandError was thrown');
}

describe('a permutation', () => {
  it('visits every slot exactly once', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer(), fc.constantFrom(...primes), (name, seed, slots) => {
        const { offset, skip } = permutationOf(name, slots, seed);
        const visited = new Set(Array.from({ length: slots }, (_, step) => (offset + step * skip) % slots));
        expect(visited.size).toBe(slots);
        expect(offset).toBeLessThan(slots);
        expect(skip).toBeGreaterThan(0);
      }),
    );
  });
});

describe('a table by weights', () => {
  it('gives every slot to one backend and lists it once in the order taken', () => {
    const weights = fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(weights, fc.constantFrom(...primes), fc.integer(), (list, slots, seed) => {
        fc.pre(list.some((weight) => weight > 0));
        const backends = list.map((weight, i) => ({ name: `b${i}`, weight }));
        const { owners, taken, starts } = populate(backends, slots, seed);
        expect(new Set(taken).size).toBe(slots);
        expect(starts.at(-1)).toBe(slots);
        const fromTaken = new Uint16Array(slots);
        for (let i = 0; i < backends.length; i++) {
          for (const slot of taken.subarray(starts[i], starts[i + 1])) fromTaken[slot] = i;
        }
        expect(fromTaken).toEqual(owners);
      }),
    );
  });

  it('takes for each backend the first slot of its permutation that is free on its turn', () => {
    const backends = equalBackends(3);
    const { taken, starts, order } = populate(backends, 101, 5);
    const free = new Set(Array.from({ length: 101 }, (_, slot) => slot));
    for (let turn = 0; turn < 101; turn++) {
      const backend = order[turn % 3]!;
      const { offset, skip } = permutationOf(backends[backend]!.name, 101, 5);
      let slot = offset;
      while (!free.has(slot)) slot = (slot + skip) % 101;
      free.delete(slot);
      expect(taken[starts[backend]! + Math.floor(turn / 3)]).toBe(slot);
    }
  });

  it.each([1, 2, 3, 10, 99, 100])('holds equal backends within 2 %% of each other, %i backends', (count) => {
    const slots = countSlots(populate(equalBackends(count), slotsDefault, 1).owners, count);
    expect(Math.max(...slots) / Math.min(...slots)).toBeLessThanOrEqual(1.02);
  });

  it('does not depend on the order of configuration', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.record({ name: fc.string(), weight: fc.integer({ min: 1, max: 9 }) }), {
          minLength: 1,
          maxLength: 10,
          selector: ({ name }) => name,
        }),
        fc.integer(),
        (backends, turn) => {
          const at = Math.abs(turn) % backends.length;
          const turned = [...backends.slice(at), ...backends.slice(0, at)].reverse();
          const before = namesBySlot(backends, populate(backends, 1021, 3).owners);
          expect(namesBySlot(turned, populate(turned, 1021, 3).owners)).toEqual(before);
        },
      ),
    );
  });

  it('depends on the seed', () => {
    const [a, b] = [1, 2].map((seed) => populate(equalBackends(4), 1021, seed).owners);
    expect(a).not.toEqual(b);
  });

  it('gives slots in the ratio of weights to within one slot', () => {
    const weights = [10, 1, 0, 0.5, 3];
    const backends = weights.map((weight, i) => ({ name: `b${i}`, weight }));
    const counts = countSlots(populate(backends, slotsDefault, 0).owners, 5);
    weights.forEach((weight, i) => {
      expect(Math.abs(counts[i]! - (weight / 14.5) * slotsDefault)).toBeLessThan(1);
    });
    expect(counts[2]).toBe(0);
  });

  it('moves few needless slots when a weight is halved', () => {
    const before = equalBackends(10);
    const after = before.map((backend, i) => (i === 4 ? { ...backend, weight: 0.5 } : backend));
    const [a, b] = [before, after].map((backends) => populate(backends, slotsDefault, 0).owners);
    const moved = a!.reduce((sum, owner, slot) => sum + (owner === b![slot] ? 0 : 1), 0);
    expect(moved / slotsDefault).toBeLessThan(0.1 - 0.5 / 9.5 + 0.02);
  });

  it.each([3, 10, 100])('changes at most 1/N + 2 %% of slots when one of %i leaves', (count) => {
    const all = equalBackends(count);
    const before = { names: all.map(({ name }) => name), table: populate(all, slotsDefault, 0).owners };
    for (const leaver of [0, count >> 1, count - 1]) {
      const rest = all.filter((_, i) => i !== leaver);
      const after = { names: rest.map(({ name }) => name), table: populate(rest, slotsDefault, 0).owners };
      const { moved, needless } = disruption(before, after);
      expect(moved / slotsDefault).toBeLessThanOrEqual(1 / count + 0.02);
      expect(moved - needless).toBe(countSlots(before.table, count)[leaver]);
    }
  });
});

describe('disruption', () => {
  const before = { names: ['a', 'b', 'c'], table: Uint16Array.of(0, 1, 2, 0) };

  it('compares by name, not by index', () => {
    expect(disruption(before, { names: ['c', 'b', 'a'], table: Uint16Array.of(2, 1, 0, 2) })).toEqual({
      moved: 0,
      needless: 0,
    });
  });

  it('calls a move needless only when both backends were there before and after', () => {
    expect(disruption(before, { names: ['a', 'b', 'd'], table: Uint16Array.of(1, 1, 0, 2) })).toEqual({
      moved: 3,
      needless: 1,
    });
  });

  it('refuses tables of different sizes', () => {
    const error = errorOf(() => disruption(before, { names: ['a'], table: new Uint16Array(3) }));
    expect(error.code).toBe('USAGE');
  });
});

describe('a table that cannot be', () => {
  const cases: [string, MaglevBackend[], number, RegExp][] = [
    ['a size that is not prime', equalBackends(2), 65_536, /65521 and 65537/],
    ['a size below every prime', equalBackends(2), -4, /11/],
    ['a size above the limit', equalBackends(2), 1_100_009, new RegExp(`${slotsMax}`)],
    ['a size that is not a number', equalBackends(2), Number.NaN, /65537/],
    ['a fractional size', equalBackends(2), 100.5, /97 and 101/],
    ['too few slots per backend', equalBackends(11), 101, /10 slots per backend/],
    ['no backend', [], 101, /1 to 4096/],
    ['too many backends', equalBackends(backendsMax + 1), 65_537, /1 to 4096/],
    ['two backends of one name', [...equalBackends(1), ...equalBackends(1)], 101, /own name/],
    ['a negative weight', [{ name: 'a', weight: -1 }], 101, /0 or more/],
    ['a weight that is not a number', [{ name: 'a', weight: Number.NaN }], 101, /0 or more/],
    ['an infinite weight', [{ name: 'a', weight: Number.POSITIVE_INFINITY }], 101, /0 or more/],
    ['weights that are all 0', [{ name: 'a', weight: 0 }], 101, /positive/],
  ];

  it.each(cases)('is refused with a hint: %s', (_, backends, slots, hint) => {
    const error = errorOf(() => createTableBuilder(backends, { slots }));
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.hint).toMatch(hint);
  });

  it('is refused for a method that does not exist', () => {
    const error = errorOf(() => createTableBuilder(equalBackends(1), { method: 'toString' as 'minimal' }));
    expect(error.code).toBe('USAGE');
    expect(error.hint).toMatch(/stateless, minimal/);
  });

  it.each([11, slotsMax])('is not refused at the ends of the range: %i slots', (slots) => {
    expect(createTableBuilder(equalBackends(1), { slots }).createTable().length).toBe(slots);
  });
});
