import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Balance } from '../../src/control/balance.ts';
import { reasonText } from '../../src/control/reason.ts';
import { type Latencies, Scene } from './scene.ts';
import { GivenSignals } from './signals.ts';

describe('balance', () => {
  it('takes a difference of stamps that is small beside a tick of 1 ms for none, and a large one for what it is', () => {
    const small = new Scene(2);
    small.kind = 'server';
    small.run(3000, [330, 480]);
    expect([...small.shares]).toEqual([0.5, 0.5]);
    const asRequests = new Scene(2);
    asRequests.run(3000, [330, 480]);
    expect(asRequests.shares[1]).toBeLessThan(0.4);
    const large = new Scene(2);
    large.kind = 'server';
    large.run(1000, [330, 330]);
    large.run(2000, [330, 1330]);
    expect(large.shares[1]).toBeLessThan(0.2);
  });

  it('leaves equal backends alone', () => {
    const scene = new Scene(3);
    scene.run(1000, [260, 270, 250]);
    expect([...scene.shares]).toEqual([1 / 3, 1 / 3, 1 / 3]);
  });

  it('tolerates a difference of a quarter', () => {
    const scene = new Scene(2);
    scene.run(2000, [260, 320]);
    expect([...scene.shares]).toEqual([0.5, 0.5]);
  });

  it('leaves a backend that is half as slow again, however little that is', () => {
    const scene = new Scene(2);
    scene.run(3000, [260, 390]);
    expect(scene.shares[1]).toBeLessThan(0.1);
  });

  it('moves in the second tick in a row that meets a jump to over twice the latency', () => {
    const scene = new Scene(2);
    scene.run(305, [260, 260]);
    scene.run(1, [260, 1260]);
    expect(scene.shares[0]).toBe(0.5);
    scene.run(1, [260, 1260]);
    expect(scene.shares[0]).toBeCloseTo(0.7, 12);
  });

  it('learns from jumps of the equal what is no jump', () => {
    const scene = new Scene(2);
    const now = (ms: number): Latencies => (ms % 200 < 3 ? [260, 1260] : [260, 260]);
    scene.run(5000, now);
    const before = [...scene.shares];
    scene.run(2, [260, 1260]);
    expect(Math.abs(scene.shares[0]! - before[0]!)).toBeLessThan(0.03);
  });

  it('leaves a backend that became a millisecond slower within 50 ms, but for a floor to see it by', () => {
    const scene = new Scene(2);
    scene.run(300, [260, 260]);
    scene.run(50, [260, 1260]);
    expect(scene.shares[1]).toBeLessThan(0.04);
    scene.run(5000, [260, 1260]);
    expect(scene.shares[1]).toBeCloseTo(0.005, 6);
  });

  it('keeps 4 % of the weight of one slow backend among many, and less than 1 % of traffic for several', () => {
    const scene = new Scene(10);
    scene.perMs = 200;
    const latencies = new Array(10).fill(260);
    scene.run(300, latencies);
    latencies[0] = 3000;
    scene.run(1000, latencies);
    expect(scene.shares[0]).toBeCloseTo(0.004, 4);
    latencies.fill(3000, 0, 4);
    scene.run(3000, latencies);
    expect(scene.shares.slice(0, 4).reduce((a, b) => a + b)).toBeLessThan(0.01);
    for (const share of scene.shares.slice(0, 4)) expect(share).toBeGreaterThan(0.001);
  });

  it('moves no more than alpha of all traffic in a step', () => {
    const scene = new Scene(2, new Balance({ alpha: 0.03 }));
    scene.run(305, [260, 260]);
    scene.run(9, [260, 1260]);
    expect(scene.shares[1]).toBeCloseTo(0.47, 12);
    scene.run(10, [260, 1260]);
    expect(scene.shares[1]).toBeCloseTo(0.44, 12);
  });

  it('gives what it takes to the others in proportion to their weights', () => {
    const scene = new Scene(3);
    scene.weights.set([0.4, 0.4, 0.2]);
    scene.shares.set([0.4, 0.4, 0.2]);
    scene.run(305, [260, 260, 260]);
    scene.run(2, [1260, 260, 260]);
    const [slow, more, less] = scene.shares;
    expect(slow).toBeCloseTo(0.2, 2);
    expect(more! / less!).toBeCloseTo(2, 9);
  });

  it('does not take a jump of all backends for one of the slowest', () => {
    const scene = new Scene(3);
    scene.run(300, [260, 260, 260]);
    scene.run(500, [1260, 1300, 1280]);
    expect([...scene.shares]).toEqual([1 / 3, 1 / 3, 1 / 3]);
  });

  it('leaves several backends that became slow at the same time', () => {
    const scene = new Scene(4);
    scene.perMs = 80;
    scene.run(300, [260, 260, 260, 260]);
    scene.run(100, [260, 2000, 260, 3000]);
    expect(scene.shares[1]).toBeLessThan(0.02);
    expect(scene.shares[3]).toBeLessThan(0.02);
    expect(scene.shares[0]).toBeCloseTo(scene.shares[2]!, 6);
  });

  it('sees the slow backends when most are', () => {
    const scene = new Scene(4);
    scene.perMs = 80;
    scene.run(300, [260, 260, 260, 260]);
    scene.run(500, [2000, 2000, 260, 260]);
    expect(scene.shares[2]! + scene.shares[3]!).toBeGreaterThan(0.95);
  });

  it('is hardly moved by outliers of both', () => {
    const scene = new Scene(2);
    for (let i = 0; i < 200; i++) {
      scene.windows[i % 2]!.record(50e6);
      scene.run(23, [260, 260]);
    }
    expect(scene.shares[1]).toBeCloseTo(0.5, 1);
  });

  it('leaves a backend of which only the mean is higher, by few very slow answers', () => {
    const scene = new Scene(2);
    scene.run(300, [260, 260]);
    for (let i = 0; i < 400; i++) {
      scene.windows[1]!.record(50e6);
      scene.run(5, [260, 260]);
    }
    expect(scene.shares[1]).toBeLessThan(0.1);
  });

  it('returns to the weights within 1.2 s of recovery, and stays there', () => {
    const scene = new Scene(2);
    scene.run(300, [260, 260]);
    scene.run(500, [260, 1260]);
    expect(scene.shares[1]).toBeCloseTo(0.005, 6);
    scene.run(1200, [260, 260]);
    expect(scene.shares[1]).toBeCloseTo(0.5, 9);
    scene.run(500, [260, 260]);
    expect(scene.shares[1]).toBeCloseTo(0.5, 9);
    expect(scene.tick()).toBe(false);
  });

  it('gives a backend without samples its traffic back, so that it is judged again', () => {
    const scene = new Scene(2);
    scene.run(300, [260, 260]);
    scene.run(200, [260, 1260]);
    scene.run(4000, [260, undefined]);
    expect(scene.shares[1]).toBeCloseTo(0.5, 9);
  });

  it('keeps to configured weights', () => {
    const scene = new Scene(2);
    scene.weights.set([0.8, 0.2]);
    scene.shares.set([0.8, 0.2]);
    scene.run(300, [260, 260]);
    scene.run(500, [1260, 260]);
    expect(scene.shares[0]).toBeCloseTo(0.005, 6);
    scene.run(2000, [260, 260]);
    expect(scene.shares[0]).toBeCloseTo(0.8, 9);
  });

  it('does nothing before there are samples, with one backend and with none', () => {
    const scene = new Scene(2);
    expect(scene.tick()).toBe(false);
    const single = new Scene(1);
    single.run(100, [5000]);
    expect([...single.shares]).toEqual([1]);
    expect(new Scene(0).tick()).toBe(false);
  });

  it('says why it moved', () => {
    const scene = new Scene(2);
    expect(scene.policy.reasons).toEqual([]);
    scene.run(304, [290, 290]);
    const texts: string[] = [];
    for (let ms = 0; ms < 30; ms++) {
      scene.run(1, [290, 1310]);
      for (const reason of scene.policy.reasons!) texts.push(reasonText(reason));
    }
    expect(texts[0]).toBe('jumped, request latest 1.31ms vs pool 290us -> share 0.500 -> 0.300');
    expect(texts[1]).toMatch(
      /^request p50 1.31ms vs pool 290us over 1\dms, \d+ samples -> share 0.300 -> 0.15\d$/,
    );
  });

  it('forgets what it measured when the kind of samples changes', () => {
    const scene = new Scene(2);
    scene.run(300, [260, 260]);
    scene.kind = 'handshake';
    scene.run(200, [100, 1260]);
    expect([...scene.shares]).toEqual([0.5, 0.5]);
    scene.run(300, [100, 1260]);
    expect(scene.shares[1]).toBeLessThan(0.05);
  });

  it('takes a clock that stands for no time', () => {
    const scene = new Scene(2);
    scene.run(300, [260, 260]);
    for (let i = 0; i < 1000; i++) {
      scene.windows[0]!.record(260e3);
      scene.windows[1]!.record(9e6);
      scene.tick();
    }
    expect(scene.shares[1]).toBeGreaterThanOrEqual(0.25);
  });
});

describe('a backend that can be used again', () => {
  it('begins with a tenth of its weight and has all of it a second later', () => {
    const scene = new Scene(2);
    scene.run(300, [260, 260]);
    scene.usable[1] = 0;
    scene.run(300, [260, undefined]);
    scene.usable[1] = 1;
    scene.run(1, [260, 260]);
    expect(scene.shares[1]).toBeLessThan(0.06);
    scene.run(500, [260, 260]);
    expect(scene.shares[1]).toBeGreaterThan(0.2);
    expect(scene.shares[1]).toBeLessThan(0.4);
    scene.run(700, [260, 260]);
    expect(scene.shares[1]).toBeCloseTo(0.5, 9);
  });

  it('is not judged by what it was before', () => {
    const scene = new Scene(2);
    scene.run(300, [260, 260]);
    scene.run(200, [260, 5000]);
    scene.usable[1] = 0;
    scene.run(50, [260, undefined]);
    scene.usable[1] = 1;
    scene.run(1200, [260, 260]);
    expect(scene.shares[1]).toBeCloseTo(0.5, 9);
  });
});

describe('a backend that stops answering', () => {
  /** A pool with signals in which all answered for a while. */
  function counted(backends: number): Scene {
    const scene = new Scene(backends);
    scene.perMs = 40;
    scene.signals = Array.from({ length: backends }, () => new GivenSignals());
    scene.run(300, new Array(backends).fill(260));
    return scene;
  }

  it('is left within few milliseconds, for a hundredth of its weight', () => {
    const scene = counted(2);
    scene.run(4, [260, undefined]);
    expect(scene.shares[1]).toBeLessThan(0.35);
    expect(scene.policy.reasons).toMatchObject([{ backend: 1, cause: 'waiting', samples: 4 }]);
    scene.run(10, [260, undefined]);
    expect(scene.shares[1]).toBeCloseTo(0.005, 12);
    scene.run(5000, [260, undefined]);
    expect(scene.shares[1]).toBeCloseTo(0.005, 12);
  });

  it('has its share again a second after it answers', () => {
    const scene = counted(2);
    scene.run(100, [260, undefined]);
    scene.run(1300, [260, 260]);
    expect(scene.shares[1]).toBeCloseTo(0.5, 9);
  });

  it('is kept while no other answers either', () => {
    const scene = counted(3);
    scene.run(100, [undefined, undefined, undefined]);
    expect([...scene.shares]).toEqual([1 / 3, 1 / 3, 1 / 3]);
  });

  it('has its weight again when too few would be left', () => {
    const scene = counted(4);
    scene.run(20, [260, 260, undefined, undefined]);
    expect(scene.shares[2]! + scene.shares[3]!).toBeLessThan(0.1);
    scene.run(20, [260, undefined, undefined, undefined]);
    expect([...scene.shares]).toEqual([0.25, 0.25, 0.25, 0.25]);
  });
});

describe('whatever the latencies', () => {
  const rows = (backends: number) =>
    fc.array(
      fc.array(fc.oneof(fc.integer({ min: 1, max: 100_000 }), fc.constant(undefined)), {
        minLength: backends,
        maxLength: backends,
      }),
      { maxLength: 40 },
    );

  it('the sum of shares stays and every share keeps its floor', () => {
    const pools = fc
      .integer({ min: 2, max: 6 })
      .chain((backends) => fc.tuple(fc.constant(backends), rows(backends)));
    fc.assert(
      fc.property(pools, fc.double({ min: 0.01, max: 1, noNaN: true }), ([backends, latencies], alpha) => {
        const scene = new Scene(backends, new Balance({ alpha }));
        for (const row of latencies) {
          scene.run(13, row as Latencies);
          expect(scene.shares.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 9);
          for (const share of scene.shares) expect(share).toBeGreaterThanOrEqual(0.005 / backends - 1e-9);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('the sum of shares stays when backends take turns in being slow for long', () => {
    const scene = new Scene(2);
    for (let turn = 0; turn < 100; turn++) scene.run(60, turn % 2 === 0 ? [260, 1260] : [1260, 260]);
    expect(scene.shares[0]! + scene.shares[1]!).toBeCloseTo(1, 9);
  });
});

describe('settings', () => {
  for (const alpha of [0, -0.1, 1.1, Number.NaN]) {
    it(`an alpha of ${alpha} is refused`, () => {
      expect(() => new Balance({ alpha })).toThrowError(
        expect.objectContaining({ code: 'USAGE', hint: 'give 0.000001 to 1' }),
      );
    });
  }

  it('a slow ratio of 2 tolerates 1.9 times the latency', () => {
    const scene = new Scene(2, new Balance({ slow: 2 }));
    scene.run(1000, [260, 480]);
    expect([...scene.shares]).toEqual([0.5, 0.5]);
  });
});
