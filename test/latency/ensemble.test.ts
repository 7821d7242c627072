import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Cliff,
  cliffs,
  type EnsembleOptions,
  EnsembleTimeout,
  epochDefault,
  timeoutsDefault,
  timeoutsMax,
} from '../../src/latency/ensemble.ts';
import { ns } from '../../src/units.ts';
import { type EpochState, ensembleTimeout, type FixedState, ratios } from './algorithms.ts';
import { type Arrival, anyArrivals, drive, oneFlow, type Sampled } from './drive.ts';

const size = { flows: 4, backends: 2 };
const backendOf = (flow: number) => flow % 2;
const scopes = ['flow', 'backend'] as const;

function anEnsemble(changes: Partial<EnsembleOptions> = {}): EnsembleTimeout {
  const timeoutsNs = [10, 100, 1000].map(ns);
  return new EnsembleTimeout(
    { timeoutsNs, epochNs: ns(10_000), cliff: 'smooth', counts: 'flow', ...changes },
    size,
  );
}

/** What Algorithm 2 as printed gives. */
function literal(arrivals: Arrival[], { timeoutsNs, epochNs, cliff, counts }: EnsembleOptions): Sampled[] {
  const flows = new Map<number, FixedState[]>();
  const states = new Map<number, EpochState>();
  const samples: Sampled[] = [];
  arrivals.forEach(({ flow, isFirst, now }, i) => {
    const scope = counts === 'flow' ? flow : backendOf(flow);
    if (isFirst) {
      flows.set(
        flow,
        timeoutsNs.map(() => ({ timeLastBatch: now, timeLastPkt: now })),
      );
      if (counts === 'backend') return;
      states.set(scope, { counts: timeoutsNs.map(() => 0), epochStart: now, chosen: undefined });
    }
    if (!states.has(scope)) {
      states.set(scope, { counts: timeoutsNs.map(() => 0), epochStart: undefined, chosen: undefined });
    }
    const scoped = states.get(scope)!;
    const estimate = ensembleTimeout(flows.get(flow)!, scoped, timeoutsNs, now, epochNs, ratios[cliff]);
    if (estimate !== undefined) samples.push([i, estimate]);
  });
  return samples;
}

/** Times of packets with these gaps between them, from `start` on. */
function at(start: number, ...gaps: number[]): number[] {
  const times = [start];
  for (const gap of gaps) times.push(times.at(-1)! + gap);
  return times;
}

describe('Algorithm 2', () => {
  for (const cliff of cliffs) {
    for (const counts of scopes) {
      it(`it gives the samples of the paper, with ${cliff} cliffs counted per ${counts}`, () => {
        const options = {
          timeoutsNs: [50, 100, 200, 400, 800].map(ns),
          epochNs: ns(3000),
          cliff,
          counts,
        };
        let samples = 0;
        fc.assert(
          fc.property(anyArrivals(4, [50, 100, 200, 400, 800, 3000]), (arrivals) => {
            const expected = literal(arrivals, options);
            expect(drive(new EnsembleTimeout(options, size), arrivals, backendOf)).toEqual(expected);
            samples += expected.length;
          }),
          { numRuns: 300 },
        );
        expect(samples).toBeGreaterThan(1000);
      });
    }
  }

  it('a request of ten packets every 500 us is measured as 500 us with the settings of the paper', () => {
    const ensemble = new EnsembleTimeout(
      { timeoutsNs: timeoutsDefault, epochNs: epochDefault, cliff: 'smooth', counts: 'flow' },
      size,
    );
    // Packets of a batch come 10 us apart; every tenth batch has a pause of 100 us in it.
    const times = Array.from({ length: 2000 }, (_, i) => {
      const batch = Math.floor(i / 10);
      return batch * 500e3 + (i % 10) * 10e3 + (batch % 10 === 0 && i % 10 > 4 ? 100e3 : 0);
    });
    const samples = drive(ensemble, oneFlow(...times), backendOf);
    expect(samples[0]![0]).toBe(1280);
    expect(new Set(samples.map(([, latency]) => latency))).toEqual(new Set([500e3]));
    expect(samples.length).toBe(72);
  });
});

describe('epochs', () => {
  /** Ten gaps of 50: they cross the timeout of 10 and not that of 100. */
  const fifties = new Array(10).fill(50);

  it('there is no estimate before the first epoch has ended', () => {
    expect(drive(anEnsemble(), oneFlow(...at(0, ...fifties, 9499)), backendOf)).toEqual([]);
  });

  it('a packet one epoch after its start is the first of the next, and the new timeout judges it', () => {
    expect(drive(anEnsemble(), oneFlow(...at(0, ...fifties, 9500)), backendOf)).toEqual([[11, 9500]]);
  });

  it('the first packet of an epoch counts in the one before', () => {
    // Its gap is the only one to cross any timeout: without it the epoch would be empty and nothing be chosen.
    const samples = drive(anEnsemble(), oneFlow(...at(0, ...new Array(9).fill(5), 9955, 20)), backendOf);
    expect(samples).toEqual([
      [10, 10_000],
      [11, 20],
    ]);
  });

  it('the next epoch starts with the packet that ended the one before, not on a grid', () => {
    // The second epoch runs from 15,000; at 20,000 the choice of 10 still holds, from 25,000 on it is 100.
    const times = [...at(0, ...fifties), ...at(15_000, 50, 50), 20_000, ...at(20_200, 200, 200, 200), 25_000];
    const samples = drive(anEnsemble({ cliff: 'smooth' }), oneFlow(...times, 25_050), backendOf);
    expect(samples.map(([i]) => i)).toEqual([11, 12, 13, 14, 15, 16, 17, 18, 19]);
  });

  it('an epoch without a sample keeps its timeout', () => {
    const quiet = Array.from({ length: 1100 }, (_, i) => 10_010 + 10 * (i + 1));
    const times = [...at(0, ...fifties), 10_010, ...quiet, quiet.at(-1)! + 50];
    const samples = drive(anEnsemble(), oneFlow(...times), backendOf);
    expect(samples.map(([i]) => i)).toEqual([11, times.length - 1]);
  });
});

describe('the cliff', () => {
  /** After an epoch of these gaps: which of the timeouts 10, 100 and 1000 is in use. */
  function chosenAfter(cliff: Cliff, ...gaps: number[]): number | undefined {
    const times = at(0, ...gaps);
    expect(times.at(-1)).toBeLessThan(10_000);
    // Packets 5 apart cross nothing and lead to the end of the epoch; then come gaps that tell the timeouts apart.
    while (times.at(-1)! < 10_000) times.push(times.at(-1)! + 5);
    times.push(...at(times.at(-1)! + 50, 500));
    const samples = drive(anEnsemble({ cliff }), oneFlow(...times), backendOf);
    return [undefined, 100, 10][samples.length];
  }

  it('the steepest fall in counts wins', () => {
    // Counts 6, 2, 1: ratios 3 and 2.
    expect(chosenAfter('infinite', 50, 50, 50, 50, 500, 2000)).toBe(10);
    // Counts 7, 6, 1: ratios 7/6 and 6.
    expect(chosenAfter('infinite', 50, 500, 500, 500, 500, 500, 2000)).toBe(100);
  });

  it('equal ratios: the smallest timeout wins', () => {
    // Counts 4, 2, 1.
    expect(chosenAfter('infinite', 50, 50, 500, 2000)).toBe(10);
    // Counts 7, 3, 1: as smoothed, 8/4 and 4/2.
    expect(chosenAfter('smooth', 50, 50, 50, 50, 500, 500, 2000)).toBe(10);
    // Counts 1, 1, 1: no fall at all.
    expect(chosenAfter('infinite', 2000)).toBe(10);
  });

  it('one stray gap wins an epoch with infinite ratios, and not with smooth ones', () => {
    // Counts 9, 1, 0: ratios 9 and infinity; smoothed, 10/2 and 2/1.
    const gaps = [50, 50, 50, 50, 50, 50, 50, 50, 500];
    expect(chosenAfter('infinite', ...gaps)).toBe(100);
    expect(chosenAfter('smooth', ...gaps)).toBe(10);
  });

  it('a thin tail wins an epoch with smooth ratios, and not with damped ones', () => {
    // Counts 64, 8, 0: smoothed, 65/9 and 9/1; damped, 69/13 and 13/5.
    const gaps = [...Array(56).fill(50), ...Array(8).fill(500)];
    expect(chosenAfter('smooth', ...gaps)).toBe(100);
    expect(chosenAfter('damped', ...gaps)).toBe(10);
  });

  it('nothing beyond the last timeout with a sample is a cliff', () => {
    // Counts 3, 0, 0: ratios infinity and 0/0.
    expect(chosenAfter('infinite', 50, 50, 50)).toBe(10);
    expect(chosenAfter('smooth', 50, 50, 50)).toBe(10);
  });

  it('the largest timeout is never chosen', () => {
    expect(chosenAfter('infinite', 2000, 2000, 2000)).toBe(10);
    expect(chosenAfter('smooth', 2000, 2000, 2000)).toBe(10);
  });
});

describe('scopes', () => {
  /** An epoch of flow 0 that chooses the timeout of 10, and flow 1 or 2 of another or the same backend after it. */
  function secondFlow(counts: 'flow' | 'backend', flow: number): Sampled[] {
    const teach = oneFlow(...at(0, 5, ...new Array(10).fill(50), 9500));
    const learn = [
      { flow, isFirst: true, now: 10_100 },
      { flow, isFirst: false, now: 10_150 },
    ];
    return drive(anEnsemble({ counts }), [...teach, ...learn], backendOf).filter(([i]) => i >= teach.length);
  }

  it('counted per backend, a new flow uses the timeout that others of the backend chose', () => {
    expect(secondFlow('backend', 2)).toEqual([[14, 50]]);
  });

  it('counted per backend, other backends learn nothing', () => {
    expect(secondFlow('backend', 1)).toEqual([]);
  });

  it('counted per flow, each learns alone', () => {
    expect(secondFlow('flow', 2)).toEqual([]);
  });

  it('a flow number used again starts clean, with times, counts and choice', () => {
    const before = oneFlow(...at(0, ...new Array(10).fill(50), 9500));
    // The old choice would sample 50; the old counts and epoch would choose at 25,000.
    const after = oneFlow(20_000, 20_050, 25_000, 29_999);
    const samples = drive(anEnsemble({ counts: 'flow' }), [...before, ...after], backendOf);
    expect(samples.map(([i]) => i)).toEqual([11]);
  });

  it('counted per backend, a flow number used again starts a batch, and keeps the choice', () => {
    const before = oneFlow(...at(0, 5, ...new Array(10).fill(50), 9500));
    const after = oneFlow(20_000, 20_050);
    const samples = drive(anEnsemble({ counts: 'backend' }), [...before, ...after], backendOf);
    expect(samples.filter(([i]) => i >= before.length)).toEqual([[before.length + 1, 50]]);
  });
});

describe('settings', () => {
  it('the defaults are those of the paper', () => {
    expect(timeoutsDefault).toEqual([64e3, 128e3, 256e3, 512e3, 1.024e6, 2.048e6, 4.096e6]);
    expect(epochDefault).toBe(64e6);
  });

  it('the name says both readings, and it emits one kind', () => {
    const ensemble = anEnsemble({ cliff: 'infinite', counts: 'backend' });
    expect(ensemble.name).toBe('ensemble:infinite:backend');
    expect(ensemble.kinds).toEqual(['ensemble:infinite:backend']);
  });

  it('state per flow is a few bytes per timeout', () => {
    expect(anEnsemble({ counts: 'backend' }).bytesPerFlow).toBe(4 * 8);
    expect(anEnsemble({ counts: 'flow' }).bytesPerFlow).toBe(4 * 8 + 3 * 4 + 8 + 1);
  });

  it('timeouts that are too few, too many or not increasing are refused with an example', () => {
    const many = Array.from({ length: timeoutsMax + 1 }, (_, i) => i + 1);
    for (const timeouts of [[], [5], [5, 5], [5, 4], [0, 5], [-1, 5], [Number.NaN, 5], many]) {
      expect(() => anEnsemble({ timeoutsNs: timeouts.map(ns) })).toThrow(
        expect.objectContaining({
          code: 'USAGE',
          message: expect.stringMatching(/^timeouts: '.*' is not 2 to 32 increasing durations$/),
          hint: expect.stringContaining('64us,128us'),
        }),
      );
    }
    expect(anEnsemble({ timeoutsNs: many.slice(1).map(ns) }).kinds).toHaveLength(1);
  });
});
