import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FixedTimeout } from '../../src/latency/fixed.ts';
import { ns } from '../../src/units.ts';
import { type FixedState, fixedTimeout } from './algorithms.ts';
import { anyArrivals, drive, oneFlow, type Sampled } from './drive.ts';

const size = { flows: 4, backends: 2 };
const samplesOf = (timeout: number, ...times: number[]) =>
  drive(new FixedTimeout(ns(timeout), size), oneFlow(...times), () => 0);

it('it gives the samples of Algorithm 1', () => {
  const timeout = 64_000;
  fc.assert(
    fc.property(anyArrivals(4, [timeout]), (arrivals) => {
      const flows = new Map<number, FixedState>();
      const expected: Sampled[] = [];
      arrivals.forEach(({ flow, isFirst, now }, i) => {
        if (isFirst) flows.set(flow, { timeLastBatch: now, timeLastPkt: now });
        const estimate = fixedTimeout(flows.get(flow)!, timeout, now);
        if (estimate !== undefined) expected.push([i, estimate]);
      });
      expect(drive(new FixedTimeout(ns(timeout), size), arrivals, (flow) => flow % 2)).toEqual(expected);
    }),
    { numRuns: 300 },
  );
});

it('a gap equal to the timeout starts no batch, a longer one does', () => {
  expect(samplesOf(100, 0, 100)).toEqual([]);
  expect(samplesOf(100, 0, 101)).toEqual([[1, 101]]);
});

it('a latency runs from the first packet of one batch to the first of the next', () => {
  expect(samplesOf(100, 1000, 1010, 1020, 1500, 1510, 2500)).toEqual([
    [3, 500],
    [5, 1000],
  ]);
});

it('gaps below the timeout never add up to a batch', () => {
  expect(samplesOf(100, ...Array.from({ length: 50 }, (_, i) => 90 * i))).toEqual([]);
});

it('flows do not disturb each other', () => {
  const arrivals = [
    { flow: 0, isFirst: true, now: 0 },
    { flow: 1, isFirst: true, now: 90 },
    { flow: 0, isFirst: false, now: 150 },
    { flow: 1, isFirst: false, now: 180 },
  ];
  expect(drive(new FixedTimeout(ns(100), size), arrivals, () => 0)).toEqual([[2, 150]]);
});

it('a flow number used again starts clean', () => {
  const arrivals = [...oneFlow(0, 200), ...oneFlow(1000, 1050), ...oneFlow(5000, 5101)];
  expect(drive(new FixedTimeout(ns(100), size), arrivals, () => 0)).toEqual([
    [1, 200],
    [5, 101],
  ]);
});

it('time before 0 counts like any other', () => {
  expect(samplesOf(100, -500, -300, -199)).toEqual([
    [1, 200],
    [2, 101],
  ]);
});

it('the name says the timeout exactly', () => {
  const nameOf = (timeout: number) => new FixedTimeout(ns(timeout), size).name;
  expect([64_000, 1_024_000, 4_096_000, 1_500_000, 1, 2e6, 3e9].map(nameOf)).toEqual([
    'fixed:64us',
    'fixed:1024us',
    'fixed:4096us',
    'fixed:1500us',
    'fixed:1ns',
    'fixed:2ms',
    'fixed:3s',
  ]);
  expect(new FixedTimeout(ns(64_000), size).kinds).toEqual(['fixed:64us']);
});
