import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Random } from '../../src/sim/random.ts';
import { PoolModel } from './pool.ts';

describe('operations on a pool', () => {
  test('are refused when they would leave nobody to take new flows', () => {
    const pool = new PoolModel(['a', 'b']);
    pool.apply({ kind: 'drain', server: 'a' });
    for (const kind of ['drain', 'maintenance', 'remove'] as const) {
      expect(pool.allows({ kind, server: 'b' })).toBe(false);
    }
    expect(pool.allows({ kind: 'remove', server: 'a' })).toBe(true);
    expect(pool.allows({ kind: 'ready', server: 'a' })).toBe(true);
  });

  test('are refused when they would change nothing', () => {
    const pool = new PoolModel(['a', 'b', 'c']);
    expect(pool.allows({ kind: 'ready', server: 'a' })).toBe(false);
    expect(pool.allows({ kind: 'add', server: 'a' })).toBe(false);
    expect(pool.allows({ kind: 'weight', server: 'a', weight: null })).toBe(false);
    pool.apply({ kind: 'remove', server: 'a' });
    expect(pool.allows({ kind: 'drain', server: 'a' })).toBe(false);
    expect(pool.configured).toEqual(['b', 'c']);
  });

  test('are remembered of a server that is away', () => {
    const pool = new PoolModel(['a', 'b']);
    pool.apply({ kind: 'drain', server: 'a' });
    pool.apply({ kind: 'remove', server: 'a' });
    pool.apply({ kind: 'add', server: 'a' });
    expect(pool.told('a').state).toBe('drain');
    expect(pool.ready).toEqual(['b']);
  });

  test('that are drawn always leave a server ready, change something, and are the same for the same seed', () => {
    const sequence = (seed: number) => {
      const [pool, random] = [new PoolModel(['a', 'b', 'c', 'd']), new Random(seed, 0)];
      return Array.from({ length: 60 }, () => {
        const operation = pool.draw(random)!;
        expect(pool.allows(operation)).toBe(true);
        pool.apply(operation);
        expect(pool.ready.length).toBeGreaterThan(0);
        return operation;
      });
    };
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        expect(sequence(seed)).toEqual(sequence(seed));
      }),
      { numRuns: 30 },
    );
    expect(new Set(sequence(1).map(({ kind }) => kind)).size).toBe(6);
  });

  test('are of the servers that are asked for', () => {
    const [pool, random] = [new PoolModel(['a', 'b']), new Random(3, 0)];
    for (let i = 0; i < 20; i++) expect(pool.draw(random, ['b'])!.server).toBe('b');
    expect(pool.draw(random, ['b'], ['add'])).toBeUndefined();
  });
});
