import { describe, expect, it } from 'vitest';
import { Silence } from '../../src/control/silence.ts';
import { ns } from '../../src/units.ts';
import { anInput } from './input.ts';
import { GivenSignals } from './signals.ts';

const typicalNs = 300e3;

/** Backends whose responses a test gives, with a tick per ms. */
class Scene {
  readonly signals: GivenSignals[];
  readonly silence: Silence;
  readonly usable: Uint8Array;
  nowMs = 0;

  constructor(backends: number) {
    this.signals = Array.from({ length: backends }, () => new GivenSignals());
    this.silence = new Silence(backends, ns(0));
    this.usable = new Uint8Array(backends).fill(1);
  }

  /** Lets ms pass, in each of which backends answer so many requests; undefined holds four that were sent when it began. */
  run(ms: number, perMs: readonly (number | undefined)[]): number[] {
    const begun = this.nowMs;
    for (let i = 0; i < ms; i++) {
      this.nowMs++;
      perMs.forEach((count, b) => {
        const signals = this.signals[b]!;
        if (count === undefined) signals.sentNs = new Array(4).fill(begun * 1e6);
        else {
          signals.sentNs = [];
          signals.answer(count);
        }
      });
      this.tick();
    }
    return [...this.silence.silent];
  }

  tick(): void {
    const { signals, usable } = this;
    for (const one of signals) one.update(this.nowMs * 1e6);
    const none = new Float64Array(signals.length);
    const input = { windows: signals.map(() => never), weights: none, shares: none };
    this.silence.look(anInput({ ...input, now: ns(this.nowMs * 1e6), signals, usable }), typicalNs);
  }
}

const never = {
  lastNs: Number.NaN,
  count: 0,
  meanNs: 0,
  typicalNs: 0,
  percentileNs: () => 0,
  reset: () => {},
};

describe('a backend is silent', () => {
  it('when it answers nothing for two milliseconds that is due four times as often in each', () => {
    const scene = new Scene(2);
    expect(scene.run(200, [8, 8])).toEqual([0, 0]);
    expect(scene.run(3, [8, undefined])).toEqual([0, 1]);
  });

  it('until it answers', () => {
    const scene = new Scene(2);
    scene.run(200, [8, 8]);
    expect(scene.run(100, [8, undefined])).toEqual([0, 1]);
    expect(scene.run(1, [8, 8])).toEqual([0, 0]);
  });

  it('only after longer if it paused before', () => {
    const scene = new Scene(2);
    scene.run(200, [8, 8]);
    scene.run(6, [8, undefined]);
    scene.run(200, [8, 8]);
    expect(scene.run(5, [8, undefined])).toEqual([0, 0]);
    expect(scene.run(6, [8, undefined])).toEqual([0, 1]);
  });
});

describe('a backend is not silent', () => {
  it('while none answers: that is no matter of one server', () => {
    const scene = new Scene(3);
    scene.run(200, [8, 8, 8]);
    expect(scene.run(50, [undefined, undefined, undefined])).toEqual([0, 0, 0]);
  });

  it('without a request in flight', () => {
    const scene = new Scene(2);
    scene.run(200, [8, 8]);
    expect(scene.run(50, [8, 0])).toEqual([0, 0]);
  });

  it('with few requests that are answered rarely', () => {
    const scene = new Scene(2);
    for (let i = 0; i < 20; i++) scene.run(10, i % 2 === 0 ? [1, 1] : [1, 0]);
    expect(scene.run(4, [1, undefined])).toEqual([0, 0]);
  });

  it('for requests that were waiting when others were answered long after', () => {
    const scene = new Scene(2);
    const stuck = scene.signals[1]!;
    for (let ms = 0; ms < 400; ms++) {
      scene.nowMs++;
      for (const signals of scene.signals) signals.answer(8);
      stuck.sentNs = [0, 0, 0, 0];
      scene.tick();
    }
    for (let ms = 0; ms < 20; ms++) {
      scene.nowMs++;
      scene.signals[0]!.answer(8);
      scene.tick();
    }
    expect([...scene.silence.silent]).toEqual([0, 0]);
  });

  it('if it cannot be used anyway', () => {
    const scene = new Scene(2);
    scene.run(200, [8, 8]);
    scene.usable[1] = 0;
    expect(scene.run(20, [8, undefined])).toEqual([0, 0]);
  });

  it('when its first look finds responses of before', () => {
    const scene = new Scene(2);
    for (const signals of scene.signals) signals.answer(1e6);
    scene.run(1, [0, 0]);
    expect(scene.run(5, [0, undefined])).toEqual([0, 0]);
  });
});

it('a clock that stands changes nothing', () => {
  const scene = new Scene(2);
  scene.run(200, [8, 8]);
  scene.run(10, [8, undefined]);
  const before = [...scene.silence.silent];
  for (let i = 0; i < 10; i++) scene.tick();
  expect([...scene.silence.silent]).toEqual(before);
});
