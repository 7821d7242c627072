import fc from 'fast-check';
import type { Estimator } from '../../src/latency/estimator.ts';
import { Packet } from '../../src/net/packet.ts';
import { ns } from '../../src/units.ts';

/** A packet as estimators by time see it: only its flow and when it came. */
export interface Arrival {
  flow: number;
  /** Whether it is the first packet of a flow, known before by this number or not. */
  isFirst: boolean;
  now: number;
}

/** A sample: the index of the arrival that completed it, and the latency. */
export type Sampled = [arrival: number, latencyNs: number];

/** Shows an estimator the arrivals; flow f belongs to backend `backendOf(f)`. */
export function drive(
  estimator: Estimator,
  arrivals: Arrival[],
  backendOf: (flow: number) => number,
): Sampled[] {
  const packet = new Packet();
  const samples: Sampled[] = [];
  arrivals.forEach(({ flow, isFirst, now }, i) => {
    if (isFirst) estimator.open(flow, backendOf(flow), packet, ns(now));
    else {
      estimator.observe(flow, backendOf(flow), packet, ns(now), (_kind, latencyNs) => {
        samples.push([i, latencyNs]);
      });
    }
  });
  return samples;
}

/** The arrivals of one flow at these times, the first one its first packet. */
export function oneFlow(...times: number[]): Arrival[] {
  return times.map((now, i) => ({ flow: 0, isFirst: i === 0, now }));
}

/**
 * Arrivals of up to `flows` flows, with gaps at, just below and just above each of the given durations, and of any
 * size between; flows end, and their numbers are used by others.
 */
export function anyArrivals(flows: number, durationsNs: readonly number[]): fc.Arbitrary<Arrival[]> {
  const gap = fc.oneof(
    fc.nat(2),
    fc
      .tuple(fc.constantFrom(...durationsNs), fc.constantFrom(-1, 0, 1))
      .map(([duration, off]) => duration + off),
    fc.nat(2 * durationsNs.at(-1)!),
  );
  const reuse = fc.oneof(
    { weight: 60, arbitrary: fc.constant(false) },
    { weight: 1, arbitrary: fc.constant(true) },
  );
  const step = fc.record({ flow: fc.nat(flows - 1), gap, reuse });
  return fc.tuple(fc.nat(1e6), fc.array(step, { maxLength: 300, size: 'max' })).map(([start, steps]) => {
    const seen = new Set<number>();
    let now = start;
    return steps.map(({ flow, gap, reuse }) => {
      const isFirst = reuse || !seen.has(flow);
      seen.add(flow);
      now += gap;
      return { flow, isFirst, now };
    });
  });
}
