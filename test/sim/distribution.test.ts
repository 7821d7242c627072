import { describe, expect, it, test } from 'vitest';
import { type Distribution, draw, moments } from '../../src/sim/distribution.ts';
import { Random } from '../../src/sim/random.ts';

const all: Distribution[] = [
  { kind: 'constant', valueNs: 5e3 },
  { kind: 'exponential', meanNs: 1e6 },
  { kind: 'gamma', meanNs: 2e5, cv: 0.5 },
  { kind: 'uniform', fromNs: 1e5, toNs: 1e6 },
  { kind: 'lognormal', medianNs: 50e6, p99Ns: 200e6 },
  { kind: 'profile', everyNs: 1e9, medianNs: [1e6, 4e6], p99Ns: [5e6, 20e6] },
];

describe.each(all)('$kind', (distribution) => {
  it('draws have the mean and variation that moments states', () => {
    const random = new Random(3, 9);
    const atNs = 0.5e9;
    const values = Array.from({ length: 100_000 }, () => draw(distribution, random, atNs));
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    const stated = moments(distribution, atNs);
    expect(Math.abs(mean / stated.meanNs - 1)).toBeLessThan(0.02);
    expect(Math.abs(variance / mean ** 2 - stated.cv2)).toBeLessThan(0.05 * (1 + stated.cv2));
  });
});

it('a lognormal has its median and its p99', () => {
  const random = new Random(4, 4);
  const distribution = { kind: 'lognormal', medianNs: 50e6, p99Ns: 200e6 } as const;
  const sorted = Array.from({ length: 100_000 }, () => draw(distribution, random, 0)).sort((a, b) => a - b);
  expect(sorted[50_000]! / 50e6).toBeCloseTo(1, 1);
  expect(sorted[99_000]! / 200e6).toBeCloseTo(1, 1);
});

test('a profile goes from point to point on a line of logarithms, and stays at its last one', () => {
  const profile: Distribution = { kind: 'profile', everyNs: 1e9, medianNs: [1e6, 4e6], p99Ns: [1e6, 4e6] };
  const at = (timeNs: number) => draw(profile, new Random(1, 1), timeNs);
  expect(at(0)).toBeCloseTo(1e6, 3);
  expect(at(0.5e9)).toBeCloseTo(2e6, 3);
  expect(at(1e9)).toBeCloseTo(4e6, 3);
  expect(at(60e9)).toBeCloseTo(4e6, 3);
});
