import type { Pool } from '../control/pool.ts';

/**
 * Shares of a pool that takes the place of another: what the policy gave a backend in relation to its weight it has still,
 * and one that is new has its weight.
 * @param weights of the backends, above 0
 * @param earlier place of each in the pool before, -1 for one that is new
 * @returns parts of any sum
 */
export function carriedShares(
  weights: readonly number[],
  earlier: readonly number[],
  before: Pool,
): number[] {
  return weights.map((weight, b) => {
    const was = earlier[b]!;
    return was < 0 ? weight : (weight * before.shares[was]!) / before.weights[was]!;
  });
}

/**
 * Shares that make the table as it was found. A backend without slots, which could not be used or is new, has its weight:
 * as it holds none, what the others hold in relation to each other is what counts.
 * @param weights of the backends, above 0
 * @param counted slots that each of them holds
 * @returns parts of any sum; the weights where nobody holds a slot
 */
export function countedShares(weights: readonly number[], counted: readonly number[]): readonly number[] {
  const total = counted.reduce((sum, count) => sum + count, 0);
  if (total === 0) return weights;
  const sum = weights.reduce((a, b) => a + b, 0);
  const absent = weights.reduce((a, weight, b) => a + (counted[b] === 0 ? weight / sum : 0), 0);
  return counted.map((count, b) => (count === 0 ? weights[b]! / sum : (count / total) * (1 - absent)));
}
