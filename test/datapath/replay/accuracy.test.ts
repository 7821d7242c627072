import { expect, test } from 'vitest';
import { Accuracy } from '../../../src/datapath/replay/accuracy.ts';

const response = 0;
const handshake = 1;
const make = () => new Accuracy(['request', 'handshake', 'server']);

/** A sample that is compared with its truth. */
function compare(
  accuracy: Accuracy,
  backend: number,
  kind: number,
  at: number,
  latency: number,
  truth: number,
) {
  accuracy.addSample(backend, kind, at, latency);
  accuracy.addError(backend, kind, latency, truth);
}

test('without samples there is no error', () => {
  const accuracy = make();
  accuracy.addTruth(0, 'response', 0, 100);
  expect(accuracy.summary([0, 1], response)).toEqual({
    matched: 0,
    median_relative_error: null,
    p95_absolute_relative_error: null,
    within_20_percent: null,
    windows: 0,
    window_error_p50: null,
    window_error_p90: null,
  });
});

test('errors are relative to the truth, signed in the median and absolute in the rest', () => {
  const accuracy = make();
  for (const latency of [50, 100, 110, 120, 300]) compare(accuracy, 0, response, 0, latency, 100);
  expect(accuracy.summary([0], response)).toMatchObject({
    matched: 5,
    median_relative_error: 0.1,
    p95_absolute_relative_error: 2,
    within_20_percent: 0.6,
  });
});

test('a sample without a truth counts in its window only', () => {
  const accuracy = make();
  compare(accuracy, 0, response, 0, 150, Number.NaN);
  accuracy.addTruth(0, 'response', 10, 100);
  expect(accuracy.summary([0], response)).toMatchObject({
    matched: 0,
    median_relative_error: null,
    within_20_percent: null,
    windows: 1,
    window_error_p50: 0.5,
  });
});

test('a window compares medians of all its samples and truths by when they began', () => {
  const accuracy = make();
  for (const [at, latency] of [
    [0, 100],
    [50e6, 120],
    [99e6, 900],
    [100e6, 1000],
  ] as const) {
    accuracy.addTruth(0, 'response', at, latency);
  }
  for (const [at, latency] of [
    [1e6, 60],
    [99.9e6, 90],
    [199e6, 1500],
    [250e6, 7],
  ] as const) {
    compare(accuracy, 0, response, at, latency, Number.NaN);
  }
  // Medians 60 against 120 and 1500 against 1000; the third window has no truth.
  expect(accuracy.summary([0], response)).toMatchObject({
    windows: 2,
    window_error_p50: 0.5,
    window_error_p90: 0.5,
  });
});

test('each window is one backend: two that are off in opposite ways do not make up for each other', () => {
  const accuracy = make();
  for (const [backend, latency] of [
    [0, 50],
    [1, 200],
  ] as const) {
    accuracy.addTruth(backend, 'response', 0, 100);
    compare(accuracy, backend, response, 0, latency, 100);
  }
  expect(accuracy.summary([0, 1], response)).toMatchObject({
    matched: 2,
    median_relative_error: -0.5,
    p95_absolute_relative_error: 1,
    windows: 2,
    window_error_p50: 0.5,
    window_error_p90: 1,
  });
});

test('each kind of sample is held against its own kind of truth', () => {
  const accuracy = make();
  accuracy.addTruth(0, 'response', 0, 100);
  accuracy.addTruth(0, 'handshake', 0, 1000);
  compare(accuracy, 0, response, 0, 110, 100);
  compare(accuracy, 0, handshake, 0, 1300, 1000);
  expect(accuracy.summary([0], response).window_error_p50).toBeCloseTo(0.1);
  expect(accuracy.summary([0], handshake).window_error_p50).toBeCloseTo(0.3);
});

test('of server stamps windows compare means, and single ones are not compared', () => {
  const accuracy = make();
  for (const latency of [1e6, 3e6]) accuracy.addTruth(0, 'response', 0, latency);
  for (const latency of [-1e6, 5e6]) {
    accuracy.addSample(0, 2, 0, latency);
    accuracy.addError(0, 2, latency, 1e6);
  }
  expect(accuracy.summary([0], 2)).toMatchObject({ matched: 0, windows: 1, window_error_p90: 0 });
});
