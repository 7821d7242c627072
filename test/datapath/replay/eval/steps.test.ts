import { describe, expect, test } from 'vitest';
import { evidentSteps, listedSteps, type Step, stepRow } from '../../../../src/datapath/replay/eval/steps.ts';
import { latencies, type Row, samples } from './support.ts';

const windowNs = 100e6;

/** A sample every 10 ms for 4 s, 1 ms long and from `stepMs` on `after`. */
const stepping = (stepMs: number, after: number, noise = 0): Row[] =>
  Array.from({ length: 400 }, (_, i) => [i * 10, (i * 10 < stepMs ? 1 : after) + noise * Math.sin(i * i)]);

const stepAt = (ms: number): Step => ({
  backend: 0,
  fromNs: ms * 1e6,
  toNs: ms * 1e6,
  endNs: Number.POSITIVE_INFINITY,
  source: 'switch',
});

describe('steps', () => {
  test('that are evident in the truth are found to the window, also under noise', () => {
    expect(evidentSteps(latencies(...stepping(2000, 2)), windowNs)).toMatchObject([
      { backend: 0, fromNs: 2000e6, source: 'truth' },
    ]);
    expect(evidentSteps(latencies(...stepping(1000, 1.5, 0.15)), windowNs)).toMatchObject([
      { fromNs: 1000e6 },
    ]);
  });

  test('are not seen in a truth that only wavers, or is short', () => {
    expect(evidentSteps(latencies(...stepping(9999, 1, 0.3)), windowNs)).toEqual([]);
    expect(evidentSteps(latencies([0, 1], [200, 5]), windowNs)).toEqual([]);
    expect(evidentSteps(latencies(), windowNs)).toEqual([]);
  });

  test('that are listed belong to the backend of that name, and last until its next one', () => {
    const switches = [
      { server: 's2', timeNs: 5e9 },
      { server: 's2', timeNs: 9e9 },
    ];
    expect(listedSteps(switches, ['s1', 's2'])).toEqual([
      { backend: 1, fromNs: 5e9, toNs: 5e9, endNs: 9e9, source: 'switch' },
    ]);
  });

  test('that are listed of servers that no backend is named after are everybody’s, from the first to the last', () => {
    const switches = [
      { server: 's1', timeNs: 5e9 },
      { server: 's2', timeNs: 5.005e9 },
    ];
    expect(listedSteps(switches, ['10.0.0.1:80/tcp'])).toMatchObject([{ fromNs: 5e9, toNs: 5.005e9 }]);
  });

  test('show in estimates by how much and after how many windows', () => {
    const truth = latencies(...stepping(2000, 2));
    const late = samples('request', ...stepping(2130, 2.1));
    const row = stepRow(stepAt(2000), truth, { estimator: 'x', kind: 'request', parts: [late] }, windowNs);
    expect(row).toMatchObject({ truth_before_ns: 1e6, truth_after_ns: 2e6, before_ns: 1e6, after_ns: 2.1e6 });
    expect(row.seen_after_windows).toBe(2);
  });

  test.each([
    ['go the other way', 0.5],
    ['hardly move', 1.2],
  ])('are not seen by estimates that %s', (_, after) => {
    const truth = latencies(...stepping(2000, 2));
    const parts = [samples('request', ...stepping(2000, after))];
    const row = stepRow(stepAt(2000), truth, { estimator: 'x', kind: 'request', parts }, windowNs);
    expect(row.seen_after_windows).toBeNull();
  });

  test('of server stamps are steps of the mean, and so is their truth', () => {
    const truth = latencies([0, 1], [10, 3], [1000, 2], [1010, 6]);
    const parts = [samples('server', [0, -1], [10, 5], [1000, 0], [1010, 8])];
    const row = stepRow(stepAt(500), truth, { estimator: 'x', kind: 'server', parts }, windowNs);
    expect(row).toMatchObject({ truth_before_ns: 2e6, truth_after_ns: 4e6, before_ns: 2e6, after_ns: 4e6 });
  });

  test('without samples on one side are not seen', () => {
    const parts = [samples('request', [0, 1], [100, 1])];
    const truth = latencies(...stepping(2000, 2));
    expect(stepRow(stepAt(2000), truth, { estimator: 'x', kind: 'request', parts }, windowNs)).toMatchObject({
      before_ns: 1e6,
      after_ns: null,
      seen_after_windows: null,
    });
  });
});
