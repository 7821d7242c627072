import { expect, it, test } from 'vitest';
import { Random, Xoshiro128 } from '../../src/sim/random.ts';

const draws = 200_000;

function momentsOf(draw: () => number): { mean: number; variance: number; least: number } {
  let [sum, squares, least] = [0, 0, Number.POSITIVE_INFINITY];
  for (let i = 0; i < draws; i++) {
    const value = draw();
    sum += value;
    squares += value * value;
    least = Math.min(least, value);
  }
  return { mean: sum / draws, variance: squares / draws - (sum / draws) ** 2, least };
}

it('gives the published sequence of xoshiro128**', () => {
  const generator = new Xoshiro128(1, 2, 3, 4);
  const first = Array.from({ length: 4 }, () => generator.next());
  expect(first).toEqual([11520, 0, 5927040, 70819200]);
});

it('gives the same numbers for the same seed and stream, and others for others', () => {
  const numbers = (seed: number, stream: number) => {
    const random = new Random(seed, stream);
    return Array.from({ length: 8 }, () => random.next());
  };
  expect(numbers(7, 3)).toEqual(numbers(7, 3));
  expect(numbers(7, 3)).not.toEqual(numbers(7, 4));
  expect(numbers(7, 3)).not.toEqual(numbers(8, 3));
  expect(numbers(0, 0)).not.toEqual(Array(8).fill(0));
});

it('is uniform between 0 and 1, both excluded', () => {
  const random = new Random(1, 1);
  const { mean, variance, least } = momentsOf(() => random.uniform());
  expect(mean).toBeCloseTo(0.5, 2);
  expect(variance).toBeCloseTo(1 / 12, 2);
  expect(least).toBeGreaterThan(0);
});

test.each([
  ['exponential', (random: Random) => random.exponential(), 1, 1],
  ['normal', (random: Random) => random.normal(), 0, 1],
  ['gamma of shape 4', (random: Random) => random.gamma(4), 1, 0.25],
  ['gamma of shape 2.5', (random: Random) => random.gamma(2.5), 1, 0.4],
  ['gamma of shape 0.5', (random: Random) => random.gamma(0.5), 1, 2],
] as const)('%s draws have their mean and variance', (_name, draw, mean, variance) => {
  const random = new Random(5, 2);
  const found = momentsOf(() => draw(random));
  expect(Math.abs(found.mean - mean)).toBeLessThan(0.02);
  expect(Math.abs(found.variance - variance)).toBeLessThan(0.05);
});
