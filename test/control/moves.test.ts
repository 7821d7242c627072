import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { moveFrom, raiseTo } from '../../src/control/moves.ts';

const all = (count: number) => new Uint8Array(count).fill(1);

describe('moving from a backend', () => {
  it('gives to those that may receive, by weight', () => {
    const shares = Float64Array.of(0.4, 0.2, 0.2, 0.2);
    const weights = Float64Array.of(0.25, 0.5, 0.125, 0.125);
    expect(moveFrom(0, 0.1, { shares, weights }, Uint8Array.of(1, 1, 1, 0))).toBe(0.1);
    expect([...shares]).toEqual([0.4 - 0.1, 0.2 + 0.08, expect.closeTo(0.22, 12), 0.2]);
  });

  it('moves nothing when nobody may receive, or there is nothing to move', () => {
    const shares = Float64Array.of(0.5, 0.5);
    const input = { shares, weights: shares.slice() };
    expect(moveFrom(0, 0.1, input, Uint8Array.of(1, 0))).toBe(0);
    expect(moveFrom(0, 0, input, all(2))).toBe(0);
    expect(moveFrom(0, -1, input, all(2))).toBe(0);
    expect(moveFrom(0, Number.NaN, input, all(2))).toBe(0);
    expect([...shares]).toEqual([0.5, 0.5]);
  });
});

describe('raising towards the weights', () => {
  it('takes from those above theirs, in proportion to that', () => {
    const shares = Float64Array.of(0.1, 0.5, 0.4);
    const weights = Float64Array.of(0.4, 0.3, 0.3);
    expect(raiseTo(weights, shares, Float64Array.of(0.06, 0.06, 0.06))).toBeCloseTo(0.06, 12);
    expect([...shares].map((share) => Number(share.toFixed(9)))).toEqual([0.16, 0.46, 0.38]);
  });

  it('ends at the weights', () => {
    const shares = Float64Array.of(0.399, 0.601);
    const weights = Float64Array.of(0.4, 0.6);
    raiseTo(weights, shares, Float64Array.of(0.5, 0.5));
    expect(shares[0]).toBeCloseTo(0.4, 12);
    expect(raiseTo(weights, shares, Float64Array.of(0.5, 0.5))).toBe(0);
  });

  it('keeps the sum of shares and leaves none negative, whatever they are', () => {
    const numbers = fc.array(fc.double({ min: 0.001, max: 1, noNaN: true }), { minLength: 2, maxLength: 9 });
    fc.assert(
      fc.property(numbers, numbers, numbers, (a, b, c) => {
        const count = Math.min(a.length, b.length, c.length);
        const normalised = (values: number[]) => {
          const part = values.slice(0, count);
          const sum = part.reduce((x, y) => x + y, 0);
          return Float64Array.from(part, (value) => value / sum);
        };
        const [shares, weights] = [normalised(a), normalised(b)];
        raiseTo(weights, shares, Float64Array.from(c.slice(0, count)));
        moveFrom(0, 0.5 * shares[0]!, { shares, weights }, all(count));
        expect(shares.reduce((x, y) => x + y, 0)).toBeCloseTo(1, 9);
        expect(Math.min(...shares)).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});
