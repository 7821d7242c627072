import type { PolicyInput } from './policy.ts';

/** Moves of traffic between backends; each keeps the sum of shares. */

/** A share or move below this is none: what remains after sums of fractions. */
export const least = 1e-9;

/**
 * Takes `amount` of all traffic from a backend and gives it to those that `mayReceive`, in proportion to their weights.
 * Returns what was moved: 0 if there are none.
 */
export function moveFrom(
  b: number,
  amount: number,
  { shares, weights }: Pick<PolicyInput, 'shares' | 'weights'>,
  mayReceive: Uint8Array,
): number {
  if (!(amount > least)) return 0;
  let receiving = 0;
  for (let i = 0; i < shares.length; i++) if (i !== b && mayReceive[i] === 1) receiving += weights[i]!;
  if (receiving === 0) return 0;
  for (let i = 0; i < shares.length; i++) {
    if (i !== b && mayReceive[i] === 1) shares[i]! += (amount * weights[i]!) / receiving;
  }
  shares[b]! -= amount;
  return amount;
}

/**
 * Raises shares below their weight by `raises`, at most to the weight, with what others hold above theirs, in proportion to
 * that. Returns how much was moved in all. Changes `raises`.
 */
export function raiseTo(weights: Float64Array, shares: Float64Array, raises: Float64Array): number {
  let above = 0;
  let raised = 0;
  for (let b = 0; b < shares.length; b++) {
    const missing = weights[b]! - shares[b]!;
    raises[b] = Math.max(0, Math.min(raises[b]!, missing));
    above += Math.max(0, -missing);
    raised += raises[b]!;
  }
  // What is above and what is missing are equal but for rounding.
  const part = Math.min(1, above / raised);
  if (!(raised * part > least)) return 0;
  const taken = (raised * part) / above;
  for (let b = 0; b < shares.length; b++) {
    const excess = shares[b]! - weights[b]!;
    if (excess > 0) shares[b]! -= excess * taken;
    else shares[b]! += raises[b]! * part;
  }
  return raised * part;
}
