/** SplitMix32: turns any 32-bit seed into well-mixed words, as the authors of xoshiro advise for its state. */
function splitMix(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return z ^ (z >>> 16);
  };
}

/** Up to this shape a product of uniform numbers is faster than rejection. */
const erlangMax = 8;

/** xoshiro128** of Blackman and Vigna (2018): 32 bits a time, period 2^128-1. Its state must not be all 0. */
export class Xoshiro128 {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(a: number, b: number, c: number, d: number) {
    this.#a = a;
    this.#b = b;
    this.#c = c;
    this.#d = d;
  }

  /** A u32. */
  next(): number {
    const scrambled = Math.imul(this.#b, 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9);
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result >>> 0;
  }
}

/**
 * The only source of chance in a simulation. Streams with different numbers are independent for all that matters here, so
 * that a policy that asks for more of one kind of event does not change what another server or client draws.
 */
export class Random extends Xoshiro128 {
  #spare = Number.NaN;

  /** @param seed u32 of the run; `stream` tells the drawers of one run apart */
  constructor(seed: number, stream: number) {
    const next = splitMix(seed ^ Math.imul(stream + 1, 0x9e3779b1));
    super(next(), next(), next(), next() | 1);
  }

  /** Above 0 and below 1, in steps of 2^-32, so that its logarithm is finite. */
  uniform(): number {
    return (this.next() + 0.5) / 0x1_0000_0000;
  }

  /** Exponentially distributed, mean 1. */
  exponential(): number {
    return -Math.log(this.uniform());
  }

  /** Normally distributed, mean 0, standard deviation 1 (Box and Muller, both values used). */
  normal(): number {
    const spare = this.#spare;
    if (!Number.isNaN(spare)) {
      this.#spare = Number.NaN;
      return spare;
    }
    const radius = Math.sqrt(2 * this.exponential());
    const angle = 2 * Math.PI * this.uniform();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /**
   * Gamma distributed with this shape, mean 1. `shape` above 0. A small whole shape is a sum of exponentials, of which
   * one logarithm is enough; else Marsaglia and Tsang (2000).
   */
  gamma(shape: number): number {
    if (shape <= erlangMax && Number.isInteger(shape)) {
      let product = this.uniform();
      for (let i = 1; i < shape; i++) product *= this.uniform();
      return -Math.log(product) / shape;
    }
    if (shape < 1) return (this.#gammaOf(shape + 1) * this.uniform() ** (1 / shape)) / shape;
    return this.#gammaOf(shape) / shape;
  }

  /** Gamma distributed with a shape of at least 1 and scale 1. */
  #gammaOf(shape: number): number {
    const d = shape - 1 / 3;
    const c = 1 / Math.sqrt(9 * d);
    for (;;) {
      const x = this.normal();
      const v = (1 + c * x) ** 3;
      if (v > 0 && Math.log(this.uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
    }
  }
}
