import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Pirate } from '../../src/latency/pirate.ts';
import { anyArrivals, drive, oneFlow, type Sampled } from './drive.ts';

const size = { flows: 8, backends: 2 };
const backendOf = (flow: number) => flow & 1;

/** Times in ns of `count` bursts every `everyUs`, of packets at these offsets in us. */
function bursts(count: number, everyUs: number, offsetsUs: number[], fromUs = 0): number[] {
  return Array.from({ length: count }, (_, i) =>
    offsetsUs.map((offset) => 1000 * (fromUs + i * everyUs + offset)),
  ).flat();
}

const samplesOf = (times: number[]) => drive(new Pirate(size), oneFlow(...times), backendOf);

function expectAll(samples: Sampled[], us: number, atLeast: number): void {
  expect(samples.length).toBeGreaterThanOrEqual(atLeast);
  for (const [, latency] of samples) expect(Math.abs(latency / 1000 - us)).toBeLessThan(0.1);
}

describe('prominent gaps', () => {
  it('of a closed loop are its latency', () => {
    expectAll(samplesOf(bursts(2000, 400, [0])), 400, 1400);
  });

  it('between bursts are the latency from the first packet of one to that of the next', () => {
    expectAll(samplesOf(bursts(400, 700, [0, 5, 10, 30])), 700, 200);
  });

  it('that are the longest count, others are within a burst', () => {
    expectAll(samplesOf(bursts(600, 2000, [0, 100, 200])), 2000, 300);
  });

  it('are looked for in every epoch: a step is followed', () => {
    const before = bursts(600, 400, [0, 5]);
    const after = bursts(1500, 3000, [0, 5], 600 * 400);
    const samples = samplesOf([...before, ...after]);
    expectAll(
      samples.filter(([i]) => i < before.length),
      400,
      300,
    );
    expectAll(
      samples.filter(([i]) => i > before.length + 2 * 512),
      3000,
      900,
    );
  });

  it('are those of pacing and of think time as well: headers are not looked at', () => {
    expectAll(samplesOf(bursts(3000, 240, [0])), 240, 2400);
    expectAll(samplesOf(bursts(1000, 20_000, [0, 5])), 20_000, 700);
  });

  it('are none where all gaps are below 16 us', () => {
    expect(samplesOf(bursts(5000, 10, [0]))).toEqual([]);
  });
});

it('there is no sample before the first epoch has ended, and none over a pause of 2.1 s', () => {
  const times = bursts(600, 400, [0]);
  const samples = samplesOf([...times, 1e10, 1e10 + 400e3]);
  // The gap after the epoch starts a burst, the next one ends it.
  expect(samples[0]![0]).toBe(514);
  expectAll(samples, 400, 86);
  expect(samples.at(-1)![0]).toBe(599);
});

it('backends are apart', () => {
  const pirate = new Pirate(size);
  const arrivals = [400, 5000].flatMap((every, flow) =>
    bursts(6e6 / every, every, [0]).map((now, i) => ({ flow, isFirst: i === 0, now })),
  );
  arrivals.sort((a, b) => a.now - b.now);
  const samples = drive(pirate, arrivals, backendOf);
  for (const [flow, us] of [400, 5000].entries()) {
    expectAll(
      samples.filter(([i]) => arrivals[i]!.flow === flow),
      us,
      500,
    );
  }
});

it('whatever comes, samples are from 16 us to 2.2 s, and the same each time', () => {
  let count = 0;
  fc.assert(
    fc.property(anyArrivals(8, [20e3, 300e3, 5e6]), (some) => {
      // Three rounds of the same make enough gaps for an epoch.
      const round = some.at(-1)?.now ?? 0;
      const arrivals = [0, 1, 2, 3, 4, 5, 6].flatMap((i) =>
        some.map((arrival) => ({ ...arrival, now: arrival.now + i * round })),
      );
      const samples = drive(new Pirate(size), arrivals, backendOf);
      for (const [, latency] of samples) expect(latency >= 16e3 && latency < 2.2e9).toBe(true);
      expect(drive(new Pirate(size), arrivals, backendOf)).toEqual(samples);
      count += samples.length;
    }),
  );
  expect(count).toBeGreaterThan(1000);
});
