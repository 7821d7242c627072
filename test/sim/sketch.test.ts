import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Sketch } from '../../src/sim/sketch.ts';

const latencies = fc.array(fc.double({ min: 64, max: 1e12, noNaN: true }), { minLength: 1, maxLength: 300 });

function sketchOf(values: readonly number[]): Sketch {
  const sketch = new Sketch();
  for (const value of values) sketch.add(value);
  return sketch;
}

it('without latencies all figures are 0', () => {
  const sketch = new Sketch();
  expect([sketch.count, sketch.meanNs, sketch.percentileNs(50), sketch.maxNs]).toEqual([0, 0, 0, 0]);
});

it('a percentile is within 1.6 % of the exact one', () => {
  fc.assert(
    fc.property(latencies, fc.integer({ min: 0, max: 100 }), (values, percent) => {
      const sorted = values.toSorted((a, b) => a - b);
      const exact = sorted[Math.max(1, Math.ceil((percent / 100) * values.length)) - 1]!;
      const found = sketchOf(values).percentileNs(percent);
      expect(Math.abs(found / exact - 1)).toBeLessThan(1 / 64 + 1e-9);
    }),
  );
});

it('merging two sketches is the same as adding all to one', () => {
  fc.assert(
    fc.property(latencies, latencies, (a, b) => {
      const merged = sketchOf(a);
      merged.merge(sketchOf(b));
      const all = sketchOf([...a, ...b]);
      expect(merged.count).toBe(all.count);
      expect(merged.maxNs).toBe(all.maxNs);
      for (const percent of [0, 50, 95, 99, 100]) {
        expect(merged.percentileNs(percent)).toBe(all.percentileNs(percent));
      }
    }),
  );
});

it('latencies outside its range count at its ends', () => {
  const sketch = sketchOf([0, 1, 1e15]);
  expect(sketch.count).toBe(3);
  expect(sketch.percentileNs(50)).toBeLessThanOrEqual(65);
  expect(sketch.maxNs).toBe(1e15);
});

it('begins anew after a reset', () => {
  const sketch = sketchOf([1e6, 2e6]);
  sketch.reset();
  sketch.add(5e3);
  expect(sketch.count).toBe(1);
  expect(sketch.percentileNs(99)).toBeLessThanOrEqual(5e3);
});
