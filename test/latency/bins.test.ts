import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { inbandHistogram, inbandLimit } from '../../src/generated/layout.ts';
import { BinWindow, binCount, binOf, binStartNs, LiveBins, readU64 } from '../../src/latency/bins.ts';

const latencyEnd = 2 ** inbandLimit.latencyBits;
const latency = fc.oneof(
  fc.nat(5000),
  fc.integer({ min: 0, max: latencyEnd - 1 }),
  fc.nat(39).map((bits) => Math.min(2 ** bits, latencyEnd - 1)),
  fc.nat(39).map((bits) => 2 ** bits - 1),
);

describe('bins', () => {
  test('cover every latency without gap or overlap', () => {
    expect(binStartNs(0)).toBe(0);
    expect(binStartNs(binCount)).toBe(latencyEnd);
    for (let bin = 0; bin < binCount; bin++) {
      expect(binStartNs(bin + 1)).toBeGreaterThan(binStartNs(bin));
      expect(binOf(binStartNs(bin))).toBe(bin);
      expect(binOf(binStartNs(bin + 1) - 1)).toBe(bin);
    }
  });

  test('are at most a sixteenth of a latency wide from 1 us on', () => {
    for (let bin = binOf(1024); bin < binCount; bin++) {
      expect((binStartNs(bin + 1) - binStartNs(bin)) / binStartNs(bin)).toBeLessThanOrEqual(1 / 16);
    }
  });
});

/** Histograms of some CPUs, as the kernel would write them. */
class Kernel {
  readonly bins: LiveBins;
  readonly #words: Uint32Array;
  readonly #stride = inbandHistogram.size / 4;
  #timeNs = 1e12;

  constructor(cpus: number) {
    this.#words = new Uint32Array(cpus * this.#stride);
    this.bins = new LiveBins(
      this.#words,
      Array.from({ length: cpus }, (_, cpu) => cpu * this.#stride),
    );
  }

  record(latencyNs: number, cpu = 0): void {
    const { count, sumNs, lastNs, lastTimeNs, bins } = inbandHistogram.fields;
    const word = (offset: number) => cpu * this.#stride + offset / 4;
    const write = (offset: number, value: number) => {
      this.#words[word(offset)] = value % 2 ** 32;
      this.#words[word(offset) + 1] = Math.floor(value / 2 ** 32);
    };
    this.#timeNs += 1000;
    write(count.offset, readU64(this.#words, word(count.offset)) + 1);
    write(sumNs.offset, readU64(this.#words, word(sumNs.offset)) + latencyNs);
    write(lastNs.offset, latencyNs);
    write(lastTimeNs.offset, this.#timeNs);
    this.#words[word(bins.offset) + binOf(latencyNs)]! += 1;
  }
}

describe('a window over bins', () => {
  test('is empty at first, whatever was sampled before', () => {
    const kernel = new Kernel(2);
    kernel.record(5000);
    const window = new BinWindow(kernel.bins);
    expect([window.count, window.meanNs, window.percentileNs(50), window.lastNs]).toEqual([0, 0, 0, 5000]);
    expect(window.update()).toBe(false);
    expect(new BinWindow(new Kernel(1).bins).lastNs).toBeNaN();
  });

  test('holds the samples of all CPUs since it began', () => {
    const kernel = new Kernel(3);
    kernel.record(1e9, 1);
    const window = new BinWindow(kernel.bins);
    kernel.record(1000, 0);
    kernel.record(3000, 2);
    kernel.record(2000, 1);
    expect(window.count).toBe(0);
    expect(window.update()).toBe(true);
    expect(window.update()).toBe(false);
    expect([window.count, window.meanNs, window.lastNs]).toEqual([3, 2000, 2000]);
    window.reset();
    expect([window.count, window.meanNs, window.percentileNs(99), window.lastNs]).toEqual([0, 0, 0, 2000]);
  });

  test('reads bins that have gone round 2^32', () => {
    const words = new Uint32Array(inbandHistogram.size / 4);
    const bin = inbandHistogram.fields.bins.offset / 4 + binOf(5000);
    words[bin] = 2 ** 32 - 1;
    const window = new BinWindow(new LiveBins(words, [0]));
    words[bin] = 1;
    expect(binOf(window.percentileNs(50))).toBe(binOf(5000));
  });

  test('gives percentiles within a bin of what they are', () => {
    fc.assert(
      fc.property(fc.array(latency, { minLength: 1, maxLength: 200 }), fc.nat(100), (latencies, percent) => {
        const kernel = new Kernel(2);
        const window = new BinWindow(kernel.bins);
        for (const [i, latencyNs] of latencies.entries()) kernel.record(latencyNs, i % 2);
        window.update();
        const sorted = [...latencies].sort((a, b) => a - b);
        const exact = sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)]!;
        const bin = binOf(exact);
        const estimate = window.percentileNs(percent);
        expect(estimate).toBeGreaterThan(binStartNs(bin));
        expect(estimate).toBeLessThanOrEqual(binStartNs(bin + 1));
      }),
    );
  });
});
