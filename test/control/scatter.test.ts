import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Scatter } from '../../src/control/scatter.ts';

/** Numbers of a normal distribution, the same in every run. */
function normals(seed: number): () => number {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 1) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** A scatter that saw this many values. */
function taught(values: number, next: (i: number) => number): Scatter {
  const scatter = new Scatter(1);
  for (let i = 0; i < values; i++) scatter.add(0, next(i));
  scatter.compare();
  return scatter;
}

describe('the deviation of an average', () => {
  it('of values that do not depend on each other falls with the root of their number', () => {
    const normal = normals(1);
    const scatter = taught(20_000, () => 0.5 * normal());
    for (const count of [1, 4, 16, 64]) {
      const expected = 0.5 / Math.sqrt(count);
      expect(scatter.deviation(0, count)).toBeGreaterThan(0.7 * expected);
      expect(scatter.deviation(0, count)).toBeLessThan(2.2 * expected);
    }
  });

  it('of values that depend on each other falls later', () => {
    const normal = normals(2);
    let level = 0;
    const scatter = taught(20_000, () => {
      level = 0.97 * level + Math.sqrt(1 - 0.97 ** 2) * 0.5 * normal();
      return level;
    });
    expect(scatter.deviation(0, 8)).toBeGreaterThan(0.35);
    expect(scatter.deviation(0, 128)).toBeLessThan(0.35);
  });

  it('of steady values is the least that is believed, whatever their level', () => {
    const scatter = taught(2000, () => 3);
    expect(scatter.deviation(0, 1)).toBeLessThan(0.02);
    expect(scatter.deviation(0, 1)).toBeGreaterThan(0);
  });

  it('grows little by one lasting change', () => {
    const scatter = taught(2000, (i) => (i < 1000 ? 0 : 4));
    expect(scatter.deviation(0, 1)).toBeLessThan(0.06);
  });

  it('rises within a few groups when there is more chance, and falls slowly when there is less', () => {
    const normal = normals(3);
    const scatter = taught(1000, () => 0.1 * normal());
    for (let i = 0; i < 48; i++) scatter.add(0, normal());
    scatter.compare();
    const risen = scatter.deviation(0, 1);
    expect(risen).toBeGreaterThan(0.4);
    for (let i = 0; i < 48; i++) scatter.add(0, 0.1 * normal());
    scatter.compare();
    expect(scatter.deviation(0, 1)).toBeGreaterThan(0.6 * risen);
  });

  it('is at most little above what is usual among all series', () => {
    const normal = normals(4);
    const scatter = new Scatter(3);
    for (let i = 0; i < 2000; i++) {
      scatter.add(0, 2 * normal());
      scatter.add(1, 0.2 * normal());
      scatter.add(2, 0.2 * normal());
    }
    expect(scatter.deviation(0, 1)).toBeGreaterThan(1);
    scatter.compare();
    expect(scatter.deviation(0, 1)).toBeLessThan(0.5);
  });

  it('is a positive number that does not grow with the number of values, whatever they are', () => {
    const values = fc.array(fc.double({ min: -30, max: 30, noNaN: true }), { maxLength: 300 });
    fc.assert(
      fc.property(values, (given) => {
        const scatter = taught(given.length, (i) => given[i]!);
        let before = Number.POSITIVE_INFINITY;
        for (const count of [1, 2, 3, 4, 7, 8, 16, 40, 64, 128]) {
          const deviation = scatter.deviation(0, count);
          expect(deviation).toBeGreaterThan(0);
          expect(deviation).toBeLessThanOrEqual(before + 1e-12);
          before = deviation;
        }
      }),
    );
  });
});
