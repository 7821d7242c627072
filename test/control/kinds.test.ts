import { describe, expect, it } from 'vitest';
import { KindChooser } from '../../src/control/kinds.ts';
import { Pool } from '../../src/control/pool.ts';
import { Shift } from '../../src/control/shift.ts';
import { Window } from '../../src/latency/window.ts';
import { ns } from '../../src/units.ts';

/** A chooser among kinds of two backends, with ticks of 10 ms. */
class Scene {
  readonly windows: Window[][];
  readonly chooser: KindChooser;
  readonly usable = Uint8Array.of(1, 1);
  changes = 0;
  nowMs = 0;

  readonly kinds: string[];

  constructor(kinds: string[]) {
    this.kinds = kinds;
    this.windows = kinds.map(() => [new Window(), new Window()]);
    this.chooser = new KindChooser(kinds, this.windows);
  }

  get chosen(): string {
    return this.kinds[this.chooser.chosen]!;
  }

  /** Lets ms pass; per kind and tick so many samples of each backend. The chosen kind's windows are reset at times. */
  run(ms: number, samples: Record<string, [number, number]>): string {
    for (let i = 0; i < ms / 10; i++) {
      this.nowMs += 10;
      for (const [kind, counts] of Object.entries(samples)) {
        counts.forEach((count, b) => {
          for (let n = 0; n < count; n++) this.windows[this.kinds.indexOf(kind)]![b]!.record(1000);
        });
      }
      if (this.chooser.look(ns(this.nowMs * 1e6), this.usable)) this.changes++;
      if (i % 3 === 0) for (const window of this.windows[this.chooser.chosen]!) window.reset();
      this.chooser.settle();
    }
    return this.chosen;
  }
}

describe('the kind to control on', () => {
  it('is the one that says most of a request where several are as frequent', () => {
    expect(new Scene(['handshake', 'request']).run(500, { handshake: [5, 5], request: [5, 5] })).toBe(
      'request',
    );
    expect(new Scene(['gap', 'server']).run(500, { gap: [5, 5], server: [5, 5] })).toBe('server');
    expect(new Scene(['quic', 'ensemble:damped']).run(500, { quic: [5, 5], 'ensemble:damped': [5, 5] })).toBe(
      'ensemble:damped',
    );
  });

  it('is the one that all backends have, however many samples one has of another', () => {
    expect(new Scene(['request', 'handshake']).run(500, { request: [50, 0], handshake: [2, 2] })).toBe(
      'handshake',
    );
  });

  it('is a much more frequent one even if it tells less', () => {
    expect(new Scene(['request', 'gap']).run(500, { request: [1, 1], gap: [20, 20] })).toBe('gap');
  });

  it('turns within half a second to one that tells more, as when requests follow the first handshakes', () => {
    const scene = new Scene(['handshake', 'request']);
    expect(scene.run(50, { handshake: [1, 1] })).toBe('handshake');
    expect(scene.run(500, { handshake: [1, 1], request: [9, 9] })).toBe('request');
    expect(scene.changes).toBe(1);
  });

  it('turns only after a second or more to one that tells less', () => {
    const scene = new Scene(['request', 'gap']);
    scene.run(1000, { request: [9, 9], gap: [1, 1] });
    expect(scene.run(900, { gap: [9, 9] })).toBe('request');
    expect(scene.run(3000, { gap: [9, 9] })).toBe('gap');
  });

  it('stays through a pause without samples', () => {
    const scene = new Scene(['handshake', 'request']);
    scene.run(1000, { handshake: [1, 1], request: [9, 9] });
    scene.run(60_000, {});
    expect(scene.chosen).toBe('request');
  });

  it('is not decided by a backend that gives no samples, nor by one that cannot be used', () => {
    expect(new Scene(['handshake', 'request']).run(500, { handshake: [5, 0], request: [5, 0] })).toBe(
      'request',
    );
    const scene = new Scene(['handshake', 'request']);
    scene.usable[1] = 0;
    expect(scene.run(500, { handshake: [5, 5], request: [5, 0] })).toBe('request');
  });
});

it('a pool acts on the samples of the new kind alone after it changed', () => {
  const windows = [
    [new Window(), new Window()],
    [new Window(), new Window()],
  ];
  const backends = [
    { name: 'a', weight: 1 },
    { name: 'b', weight: 1 },
  ];
  const pool = new Pool({ policy: new Shift(0.1), backends, kinds: ['handshake', 'request'], windows });
  windows[0]![0]!.record(1000);
  windows[0]![1]!.record(1000);
  pool.decide(ns(1e6));
  expect(pool.kind).toBe('handshake');
  for (let ms = 100; ms <= 500; ms += 100) {
    for (const window of windows[1]!) for (let i = 0; i < 9; i++) window.record(5000);
    pool.decide(ns(ms * 1e6));
  }
  expect(pool.kind).toBe('request');
  expect([...pool.shares]).toEqual([0.5, 0.5]);
  windows[0]![1]!.record(9e6);
  expect(pool.decide(ns(600e6))).toBe(false);
  windows[1]![1]!.record(9e6);
  expect(pool.decide(ns(700e6))).toBe(true);
  expect(pool.shares[0]).toBeCloseTo(0.6, 12);
});
