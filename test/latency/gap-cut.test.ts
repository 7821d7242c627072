import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseCut, gapBucketOf, gapBuckets, gapTicksMax } from '../../src/latency/gap-cut.ts';

/** Bucket of a gap in us. */
const at = (us: number) => gapBucketOf(Math.round((us * 1000) / 64));

/** A histogram with so many gaps of so many us. */
function gaps(...counts: [us: number, count: number][]): Uint32Array {
  const histogram = new Uint32Array(gapBuckets);
  for (const [us, count] of counts) histogram[at(us)]! += count;
  return histogram;
}

const cutOf = (histogram: Uint32Array, valleyMax = 0) => chooseCut(histogram, 0, valleyMax);

describe('buckets', () => {
  it('are two to an octave from 16.4 us on, and one below', () => {
    expect([0, 255, 256, 383, 384, 511, 512, 767, 768].map(gapBucketOf)).toEqual([0, 0, 1, 1, 2, 2, 3, 3, 4]);
    expect(gapBucketOf(gapTicksMax - 1)).toBe(gapBuckets - 1);
  });

  it('grow with the gap', () => {
    fc.assert(
      fc.property(fc.nat(gapTicksMax - 1), fc.nat(gapTicksMax - 1), (a, b) => {
        expect(gapBucketOf(Math.min(a, b))).toBeLessThanOrEqual(gapBucketOf(Math.max(a, b)));
      }),
    );
  });
});

describe('the cut', () => {
  it('is half an octave below the mode of waiting', () => {
    expect(cutOf(gaps([1, 100], [300, 20]))).toBe(at(300) - 1);
    expect(cutOf(gaps([1, 100], [30_000, 20]))).toBe(at(30_000) - 1);
  });

  it('leaves out the gaps within a round trip, if they are below half of it', () => {
    expect(cutOf(gaps([1, 70], [22, 10], [70, 10], [170, 10]))).toBe(at(170) - 1);
  });

  it('takes in a mode that lies over two buckets', () => {
    expect(cutOf(gaps([1, 100], [190, 12], [200, 12]))).toBe(at(190) - 1);
  });

  it('is not moved by a few idle gaps, which the paper lets decide', () => {
    expect(cutOf(gaps([1, 100], [300, 20], [9000, 1], [500_000, 1]))).toBe(at(300) - 1);
  });

  it('is none of gaps of one size', () => {
    expect(cutOf(gaps([240, 128]))).toBe(0);
    expect(cutOf(gaps([240, 64], [340, 64]))).toBe(0);
    expect(cutOf(gaps([1, 128]))).toBe(0);
    expect(cutOf(new Uint32Array(gapBuckets))).toBe(0);
  });

  it('is none of fewer than eight gaps, nor of gaps of all sizes', () => {
    expect(cutOf(gaps([1, 100], [300, 7]))).toBe(0);
    expect(cutOf(gaps([1, 100], [300, 8]))).toBe(at(300) - 1);
    const all = new Uint32Array(gapBuckets).fill(6);
    expect(cutOf(all)).toBe(0);
  });

  it('goes down through a valley where it may, and no further than that', () => {
    expect(cutOf(gaps([1, 100], [300, 40]), 4)).toBe(at(300) - 5);
    expect(cutOf(gaps([1, 100], [300, 40]), 2)).toBe(at(300) - 3);
    expect(cutOf(gaps([1, 100], [70, 10], [300, 40]), 4)).toBe(at(70) + 1);
  });

  it('asks for a valley where one response sets off one request', () => {
    const shallow = gaps([1, 100], [140, 11], [300, 40]);
    expect(cutOf(shallow, 4)).toBe(0);
    expect(cutOf(shallow)).not.toBe(0);
  });
});

it('reads the histogram that begins where it is told, and nothing else', () => {
  const one = gaps([1, 100], [300, 20]);
  const all = new Uint32Array(3 * gapBuckets).fill(77);
  all.set(one, gapBuckets);
  expect(chooseCut(all, gapBuckets, 0)).toBe(cutOf(one));
});

it('whatever the gaps, the cut is a bucket above the first, with waits above it and finer gaps below', () => {
  const counts = fc.array(fc.oneof(fc.constant(0), fc.constant(0), fc.nat(60)), {
    minLength: gapBuckets,
    maxLength: gapBuckets,
  });
  let found = 0;
  fc.assert(
    fc.property(counts, fc.constantFrom(0, 4), (counts, valleyMax) => {
      const histogram = Uint32Array.from(counts);
      const cut = chooseCut(histogram, 0, valleyMax);
      expect(Array.from(histogram)).toEqual(counts);
      if (cut === 0) return;
      found++;
      const sum = (from: number, to: number) => counts.slice(from, to).reduce((all, count) => all + count, 0);
      expect(cut).toBeLessThan(gapBuckets - 1);
      expect(sum(cut, gapBuckets)).toBeGreaterThanOrEqual(8);
      expect(sum(0, cut)).toBeGreaterThan(0);
    }),
    { numRuns: 2000 },
  );
  expect(found).toBeGreaterThan(20);
});
