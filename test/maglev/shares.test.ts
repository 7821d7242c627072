import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InbandError } from '../../src/errors.ts';
import { createTableBuilder } from '../../src/maglev/builder.ts';
import { populate } from '../../src/maglev/population.ts';
import { Quotas } from '../../src/maglev/quota.ts';
import { noBackend, type TableBuilder } from '../../src/maglev/shares.ts';
import { slotsDefault } from '../../src/maglev/size.ts';
import { countSlots, equalBackends, namesBySlot } from './tables.ts';

const methods = ['stateless', 'minimal'] as const;
const slots = 251;
const share = fc.oneof(
  { weight: 4, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) },
  fc.constantFrom(0, 1, 5e-324, 1e-12, 1e300),
);
const sharesOf = (count: number) => fc.array(share, { minLength: count, maxLength: count });

function fewestMoves(before: number[], after: number[]): number {
  return after.reduce((sum, count, i) => sum + Math.max(0, count - before[i]!), 0);
}

/** Builds, and returns the slots moved with the fewest that would have done. */
function buildAndCompare(builder: TableBuilder, shares: number[], table: Uint16Array) {
  const before = countSlots(table, builder.names.length);
  const moved = builder.build(Float64Array.from(shares), table);
  return { moved, fewest: fewestMoves(before, countSlots(table, builder.names.length)) };
}

describe('quotas', () => {
  it('add up to the slots, are within one slot of exact, and leave zeros at zero', () => {
    const parts = fc.array(share, { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(parts, (list) => {
        const total = list.reduce((sum, part) => sum + part, 0);
        fc.pre(total > 0);
        const order = Uint16Array.from(list, (_, i) => i);
        const quotas = new Quotas(slots, order).fill(list);
        expect(quotas.reduce((sum, quota) => sum + quota, 0)).toBe(slots);
        list.forEach((part, i) => {
          expect(Math.abs(quotas[i]! - (part / total) * slots)).toBeLessThan(1 + 1e-6);
          if (part === 0) expect(quotas[i]).toBe(0);
        });
      }),
    );
  });

  it('take fractions that differ by rounding noise as equal', () => {
    const order = Uint16Array.of(0, 1, 2);
    expect([...new Quotas(11, order).fill([1, 1 + 1e-15, 1])]).toEqual([4, 4, 3]);
    expect([...new Quotas(11, order).fill([1 - 1e-15, 1, 1 + 2e-15])]).toEqual([4, 4, 3]);
  });

  it('give the slots left over to the largest fractions, equal ones in the order of names', () => {
    expect([...new Quotas(10, Uint16Array.of(0, 1, 2)).fill([0.24, 0.39, 0.37])]).toEqual([2, 4, 4]);
    expect([...new Quotas(11, Uint16Array.of(2, 0, 1)).fill([1, 1, 1])]).toEqual([4, 3, 4]);
  });
});

describe.each(methods)('a %s builder', (method) => {
  const build = (count: number, shares: number[], table?: Uint16Array) => {
    const builder = createTableBuilder(equalBackends(count), { slots, method });
    const out = table ?? builder.createTable();
    return { changed: builder.build(Float64Array.from(shares), out), table: out, builder };
  };

  it('gives each backend its quota of slots, for any shares and any table before', () => {
    fc.assert(
      fc.property(sharesOf(6), sharesOf(6), (first, second) => {
        fc.pre(first.some((part) => part > 0) && second.some((part) => part > 0));
        const { table, builder } = build(6, first);
        builder.build(Float64Array.from(second), table);
        const { order } = populate(equalBackends(6), slots, 0);
        const expected = new Quotas(slots, order).fill(second);
        expect(countSlots(table, 6)).toEqual([...expected]);
      }),
    );
  });

  it('returns how many slots changed, and changes none when shares stay', () => {
    fc.assert(
      fc.property(sharesOf(5), sharesOf(5), (first, second) => {
        const { table, builder } = build(5, first);
        const before = table.slice();
        const changed = builder.build(Float64Array.from(second), table);
        expect(changed).toBe(table.reduce((sum, owner, slot) => sum + (owner === before[slot] ? 0 : 1), 0));
        expect(builder.build(Float64Array.from(second), table)).toBe(0);
      }),
    );
  });

  it('starts from the table by weights, which shares equal to the weights leave alone', () => {
    const backends = [3, 1, 2].map((weight, i) => ({ name: `b${i}`, weight }));
    const builder = createTableBuilder(backends, { slots, method });
    const table = builder.createTable();
    expect(builder.build(Float64Array.of(0.5, 1 / 6, 1 / 3), table)).toBe(0);
  });

  it('falls back to the weights when every share is 0', () => {
    const { table, builder } = build(4, [1, 0, 0, 0]);
    expect(countSlots(table, 4)).toEqual([slots, 0, 0, 0]);
    builder.build(new Float64Array(4), table);
    expect(countSlots(table, 4)).toEqual(countSlots(builder.createTable(), 4));
  });

  it('gives a backend of weight 0 no slots, whatever its share', () => {
    const backends = [1, 0, 1].map((weight, i) => ({ name: `b${i}`, weight }));
    const builder = createTableBuilder(backends, { slots, method });
    const table = builder.createTable();
    builder.build(Float64Array.of(1, 8, 1), table);
    expect(countSlots(table, 3)[1]).toBe(0);
    builder.build(Float64Array.of(0, 8, 0), table);
    expect(countSlots(table, 3)[1]).toBe(0);
  });

  it('gives a single backend every slot', () => {
    expect(countSlots(build(1, [0.3]).table, 1)).toEqual([slots]);
    expect(countSlots(build(1, [0]).table, 1)).toEqual([slots]);
  });

  it.each([Number.NaN, -0.1, Number.POSITIVE_INFINITY, Number.MAX_VALUE])(
    'refuses a share of %d by name and leaves the table unchanged',
    (bad) => {
      const { table, builder } = build(3, [1, 2, 3]);
      const before = table.slice();
      expect(() => builder.build(Float64Array.of(1, bad, 1), table)).toThrow(
        expect.objectContaining({ code: 'USAGE', message: expect.stringContaining('10.0.0.1:80') }),
      );
      expect(table).toEqual(before);
    },
  );

  it('refuses shares and tables of the wrong length', () => {
    const { table, builder } = build(3, [1, 2, 3]);
    expect(() => builder.build(new Float64Array(2), table)).toThrow(InbandError);
    expect(() => builder.build(new Float64Array(3), table.subarray(1))).toThrow(InbandError);
  });

  it('writes 32-bit tables with the same backends as 16-bit ones', () => {
    const { table, builder } = build(5, [1, 2, 3, 4, 5]);
    const wide = Uint32Array.from(builder.createTable());
    builder.build(Float64Array.of(1, 2, 3, 4, 5), wide);
    expect([...wide]).toEqual([...table]);
  });

  it('gives slots that name no backend of the pool to one', () => {
    const table = new Uint16Array(slots).fill(0xffff);
    expect(build(3, [1, 1, 1], table).changed).toBe(slots);
    expect(Math.max(...table)).toBe(2);
  });

  it('does not depend on the order of configuration', () => {
    fc.assert(
      fc.property(sharesOf(7), (shares) => {
        const backends = equalBackends(7);
        const reversed = backends.toReversed();
        const [a, b] = [backends, reversed].map((list) => {
          const builder = createTableBuilder(list, { slots, method });
          const table = builder.createTable();
          builder.build(Float64Array.from(list === backends ? shares : shares.toReversed()), table);
          return namesBySlot(list, table);
        });
        expect(a).toEqual(b);
      }),
    );
  });

  it('says how much memory it holds', () => {
    const { memoryBytes } = createTableBuilder(equalBackends(10), { method });
    // The minimal one holds nothing of the size of the table.
    expect(memoryBytes).toBeGreaterThan(method === 'stateless' ? slotsDefault * 6 : 10 * 8);
    expect(memoryBytes).toBeLessThan(method === 'stateless' ? slotsDefault * 20 : 10 * 100);
  });
});

describe('the stateless builder', () => {
  it('is the default', () => {
    const shares = Float64Array.of(1, 2, 3);
    const [a, b] = [{}, { method: 'stateless' as const }].map((options) => {
      const builder = createTableBuilder(equalBackends(3), { slots, ...options });
      const table = new Uint16Array(slots);
      builder.build(shares, table);
      return table;
    });
    expect(a).toEqual(b);
  });

  it('makes the same table from the same shares, whatever it built before', () => {
    fc.assert(
      fc.property(fc.array(sharesOf(6), { maxLength: 4 }), sharesOf(6), (history, shares) => {
        const veteran = createTableBuilder(equalBackends(6), { slots });
        const table = veteran.createTable();
        for (const past of history) veteran.build(Float64Array.from(past), table);
        veteran.build(Float64Array.from(shares), table);
        const fresh = new Uint16Array(slots).fill(0xffff);
        createTableBuilder(equalBackends(6), { slots }).build(Float64Array.from(shares), fresh);
        expect(table).toEqual(fresh);
      }),
    );
  });

  it('moves no more than shares demand when one backend gives to one other', () => {
    const builder = createTableBuilder(equalBackends(10));
    const table = builder.createTable();
    const shares = new Array<number>(10).fill(0.1);
    for (let step = 1; step <= 9; step++) {
      shares[3] = 0.1 - step * 0.01;
      shares[7] = 0.1 + step * 0.01;
      const { moved, fewest } = buildAndCompare(builder, shares, table);
      expect(fewest).toBeGreaterThan(600);
      expect(moved).toBe(fewest);
    }
  });

  it('moves no more than shares demand when one of 100 backends gives to all others and takes it back', () => {
    const builder = createTableBuilder(equalBackends(100));
    const table = builder.createTable();
    const shares = new Array<number>(100).fill(0.01 + 0.001 / 99);
    shares[42] = 0.009;
    const away = buildAndCompare(builder, shares, table);
    expect(away.fewest).toBeGreaterThan(60);
    expect(away.moved).toBe(away.fewest);
    const back = buildAndCompare(builder, new Array<number>(100).fill(0.01), table);
    expect(back.moved).toBe(back.fewest);
  });

  it('moves at most three times the fewest when one of 100 backends goes on giving to all others', () => {
    const builder = createTableBuilder(equalBackends(100));
    const table = builder.createTable();
    const shares = new Array<number>(100);
    for (let step = 1; step <= 9; step++) {
      shares.fill(0.01 + (step * 0.001) / 99);
      shares[42] = 0.01 - step * 0.001;
      const { moved, fewest } = buildAndCompare(builder, shares, table);
      expect(moved).toBeLessThanOrEqual(fewest * 3);
    }
  });

  it.each([10, 100])(
    'moves at most two and a half times the fewest on a random walk of %i shares',
    (count) => {
      const builder = createTableBuilder(equalBackends(count));
      const table = builder.createTable();
      const shares = new Array<number>(count).fill(1 / count);
      let state = 1;
      let [sumMoved, sumFewest] = [0, 0];
      for (let step = 0; step < 50; step++) {
        for (let i = 0; i < count; i++) {
          state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
          shares[i]! *= state >>> 31 ? 1.01 : 0.99;
        }
        const { moved, fewest } = buildAndCompare(builder, shares, table);
        sumMoved += moved;
        sumFewest += fewest;
      }
      expect(sumMoved).toBeLessThanOrEqual(sumFewest * 2.5);
    },
  );
});

describe('the minimal builder', () => {
  it('moves exactly as many slots as shares demand', () => {
    fc.assert(
      fc.property(fc.array(sharesOf(6), { minLength: 1, maxLength: 5 }), (walk) => {
        const builder = createTableBuilder(equalBackends(6), { slots, method: 'minimal' });
        const table = builder.createTable();
        for (const shares of walk) {
          const { moved, fewest } = buildAndCompare(builder, shares, table);
          expect(moved).toBe(fewest);
        }
      }),
    );
  });

  it('keeps a table that already holds the quotas, even if another builder made it', () => {
    const shares = Float64Array.of(5, 1, 1, 3);
    const table = createTableBuilder(equalBackends(4), { slots }).createTable();
    createTableBuilder(equalBackends(4), { slots }).build(shares, table);
    expect(createTableBuilder(equalBackends(4), { slots, method: 'minimal' }).build(shares, table)).toBe(0);
  });

  it('moves the same slots every time from the same table', () => {
    const tables = [0, 1].map(() => {
      const builder = createTableBuilder(equalBackends(5), { slots, method: 'minimal' });
      const table = builder.createTable();
      builder.build(Float64Array.of(1, 2, 3, 4, 5), table);
      builder.build(Float64Array.of(5, 1, 1, 4, 1), table);
      return table;
    });
    expect(tables[0]).toEqual(tables[1]);
  });
});

describe.each(methods)('numbers of backends, by a %s builder', (method) => {
  const numbers = [7, 0, 65_534];
  const backends = equalBackends(3);

  it('stand in the table where their indices would', () => {
    const plain = createTableBuilder(backends, { slots, method });
    const numbered = createTableBuilder(backends, { slots, method, numbers });
    expect([...numbered.createTable()]).toEqual([...plain.createTable()].map((index) => numbers[index]));
    const shares = Float64Array.of(0.2, 0.3, 0.5);
    const [table, other] = [plain.createTable(), numbered.createTable()];
    expect(numbered.build(shares, other)).toBe(plain.build(shares, table));
    expect([...other]).toEqual([...table].map((index) => numbers[index]));
  });

  it('that are of nobody lose their slots, and a builder beside does not know them either', () => {
    const builder = createTableBuilder(backends, { slots, method, numbers });
    const other = createTableBuilder(backends, { slots, method, numbers: [1, 2, 3] });
    const table = other.createTable();
    const even = Float64Array.of(1, 1, 1);
    expect(builder.build(even, table)).toBe(slots);
    expect(new Set(table)).toEqual(new Set(numbers));
    expect(other.build(even, table)).toBe(slots);
    table.fill(noBackend);
    expect(builder.build(even, table)).toBe(slots);
    expect(builder.build(even, table)).toBe(0);
  });

  it.each([
    [[7, 0], 'too few'],
    [[7, 0, 7], 'one twice'],
    [[7, 0, 65_535], 'that of no backend'],
    [[7, 0, -1], 'a negative one'],
    [[7, 0, 1.5], 'a fraction'],
  ])('cannot be %j: %s', (wrong, _what) => {
    expect(() => createTableBuilder(backends, { slots, method, numbers: wrong })).toThrow(
      `numbers of backends cannot be ${wrong.join(', ')}`,
    );
  });
});
