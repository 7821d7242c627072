import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Balance } from '../../src/control/balance.ts';
import { Window } from '../../src/latency/window.ts';
import { ns } from '../../src/units.ts';
import { anInput } from './input.ts';

/** A pool of backends on a balance, with time in ms. */
class Scene {
  readonly policy: Balance;
  readonly windows: Window[];
  readonly weights: Float64Array;
  readonly shares: Float64Array;
  nowMs = 0;

  constructor(backends: number, alpha?: number) {
    this.policy = new Balance(alpha);
    this.windows = Array.from({ length: backends }, () => new Window());
    this.weights = new Float64Array(backends).fill(1 / backends);
    this.shares = Float64Array.from(this.weights);
  }

  /** Lets ticks of 1 ms pass, in each of which every backend with a latency (in us) gives ten samples. */
  run(ms: number, latenciesUs: readonly (number | undefined)[]): void {
    for (let i = 0; i < ms; i++) {
      this.nowMs++;
      latenciesUs.forEach((us, b) => {
        if (us !== undefined) for (let n = 0; n < 10; n++) this.windows[b]!.record(us * 1000);
      });
      this.tick();
    }
  }

  tick(): boolean {
    const { windows, weights, shares } = this;
    return this.policy.decide(anInput({ now: ns(this.nowMs * 1e6), windows, weights, shares }));
  }
}

describe('balance', () => {
  it('leaves equal backends alone', () => {
    const scene = new Scene(3);
    scene.run(1000, [260, 270, 250]);
    expect([...scene.shares]).toEqual([1 / 3, 1 / 3, 1 / 3]);
  });

  it('tolerates a difference of a quarter', () => {
    const scene = new Scene(2);
    scene.run(1000, [260, 324]);
    expect([...scene.shares]).toEqual([0.5, 0.5]);
  });

  it('moves alpha of all traffic with the first window of 10 ms that shows a slow backend', () => {
    const scene = new Scene(2, 0.1);
    scene.run(21, [260, 260]);
    scene.run(9, [260, 360]);
    expect(scene.shares[0]).toBeCloseTo(0.5, 12);
    scene.run(1, [260, 360]);
    expect(scene.shares[0]).toBeCloseTo(0.6, 12);
  });

  it('moves in the second tick in a row that meets a jump to twice the latency', () => {
    const scene = new Scene(2, 0.1);
    scene.run(25, [260, 260]);
    scene.run(1, [260, 1260]);
    expect(scene.shares[0]).toBe(0.5);
    scene.run(1, [260, 1260]);
    expect(scene.shares[0]).toBeCloseTo(0.6, 12);
  });

  it('does not wait for a step back to be over before it leaves a slow backend', () => {
    const scene = new Scene(2, 0.1);
    scene.run(25, [260, 260]);
    scene.shares.set([0.4, 0.6]);
    scene.run(1, [260, 260]);
    const before = scene.shares[1]!;
    expect(before).toBeCloseTo(0.595, 12);
    scene.run(2, [260, 1260]);
    expect(scene.shares[1]).toBeCloseTo(before - 0.1, 12);
  });

  it('does not take a jump of all backends for one of the slowest', () => {
    const scene = new Scene(3, 0.1);
    scene.run(25, [260, 260, 260]);
    scene.run(5, [1260, 1300, 1280]);
    expect([...scene.shares]).toEqual([1 / 3, 1 / 3, 1 / 3]);
  });

  it('takes the slowest of several backends that jumped', () => {
    const scene = new Scene(3, 0.1);
    scene.run(25, [260, 260, 260]);
    scene.run(2, [260, 2000, 3000]);
    expect(scene.shares[2]).toBeCloseTo(1 / 3 - 0.1, 12);
  });

  it('moves again every 10 ms and stops at a floor of 4 % of the backend, within 100 ms', () => {
    const scene = new Scene(2, 0.1);
    scene.run(21, [260, 1260]);
    expect(scene.shares[1]).toBeCloseTo(0.3, 12);
    scene.run(79, [260, 1260]);
    expect(scene.shares[1]).toBeCloseTo(0.02, 12);
  });

  it('waits for enough samples, however long that takes', () => {
    const scene = new Scene(2, 0.1);
    scene.windows[0]!.record(260e3);
    for (let n = 0; n < 15; n++) scene.windows[1]!.record(9e6);
    scene.run(50, [260, undefined]);
    expect(scene.shares[0]).toBe(0.5);
    scene.windows[1]!.record(9e6);
    scene.run(1, [260, undefined]);
    expect(scene.shares[0]).toBeCloseTo(0.6, 12);
  });

  it('gives what it takes to the others in proportion to what they hold', () => {
    const scene = new Scene(3, 0.1);
    scene.run(10, [1000, 200, 200]);
    scene.shares.set([0.5, 0.25, 0.25]);
    scene.run(1, [1000, 200, 200]);
    expect([...scene.shares]).toEqual([expect.closeTo(0.4), expect.closeTo(0.3), expect.closeTo(0.3)]);
  });

  it('is not moved by outliers', () => {
    const scene = new Scene(2);
    for (let i = 0; i < 200; i++) {
      scene.windows[1]!.record(50e6);
      scene.run(1, [260, 260]);
    }
    expect([...scene.shares]).toEqual([0.5, 0.5]);
  });

  it('returns to the weights a second after recovery, and stays there', () => {
    const scene = new Scene(2);
    scene.run(200, [260, 1260]);
    scene.run(1020, [260, 260]);
    expect(scene.shares[1]).toBeCloseTo(0.5, 12);
    scene.run(500, [260, 260]);
    expect(scene.shares[1]).toBeCloseTo(0.5, 12);
    expect(scene.tick()).toBe(false);
  });

  it('gives a backend without samples its traffic back, so that it is judged again', () => {
    const scene = new Scene(2);
    scene.run(200, [260, 1260]);
    scene.run(3000, [260, undefined]);
    expect(scene.shares[1]).toBeCloseTo(0.5, 12);
  });

  it('does nothing before there are samples, and with one backend', () => {
    const scene = new Scene(2);
    expect(scene.tick()).toBe(false);
    const single = new Scene(1);
    single.run(100, [5000]);
    expect([...single.shares]).toEqual([1]);
  });

  it('keeps the sum of shares and every share above its floor, whatever the latencies', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 6 }),
        fc.array(fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 6, maxLength: 6 }), {
          maxLength: 50,
        }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (backends, latencies, alpha) => {
          const scene = new Scene(backends, alpha);
          for (const row of latencies) {
            scene.run(13, row.slice(0, backends));
            const sum = scene.shares.reduce((a, b) => a + b, 0);
            expect(sum).toBeCloseTo(1, 9);
            for (const share of scene.shares) expect(share).toBeGreaterThanOrEqual(0.04 / backends - 1e-9);
          }
        },
      ),
    );
  });

  it('keeps the sum of shares when backends take turns in being slow for long', () => {
    const scene = new Scene(2, 0.1);
    for (let turn = 0; turn < 500; turn++) scene.run(60, turn % 2 === 0 ? [260, 1260] : [1260, 260]);
    expect(scene.shares[0]! + scene.shares[1]!).toBeCloseTo(1, 9);
  });

  it('refuses an alpha that is no fraction', () => {
    for (const alpha of [0, -0.1, 1.1, Number.NaN]) {
      expect(() => new Balance(alpha)).toThrowError(expect.objectContaining({ code: 'USAGE' }));
    }
  });
});
