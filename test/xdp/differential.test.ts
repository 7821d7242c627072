import { beforeEach, describe, expect, test } from 'vitest';
import type { LiveEstimator } from '../../src/datapath/datapath.ts';
import { ns } from '../../src/units.ts';
import { needsXdp } from '../native/support.ts';
import { Conversations } from './conversations.ts';
import { seededRandom, vip } from './support.ts';
import { Traffic } from './traffic.ts';
import { Twins, type TwinsOptions } from './twins.ts';

beforeEach(needsXdp);

const vipsOf = (estimator: LiveEstimator) => [
  vip('10.0.0.1:80/tcp', 65_537, 0, estimator),
  vip('10.0.0.1:443/tcp', 251, 3, estimator),
  vip('10.0.0.2:53/udp', 13, 5, estimator),
];
const backends = 8;

/** Shows both engines so many packets, and moves slots with every hundredth. */
function compareOn(traffic: Traffic | Conversations, packets: number, options: Partial<TwinsOptions>): Twins {
  const { vips = vipsOf('auto') } = options;
  const twins = new Twins({ vips, backends, cliff: 'smooth', ...options });
  const random = seededRandom(7);
  const tables = vips.map(({ firstBackend }, index) => {
    const last = vips[index + 1]?.firstBackend ?? backends;
    return { slots: twins.program.program.slots(index), first: firstBackend, pool: last - firstBackend };
  });
  for (const { slots, first, pool } of tables)
    slots.forEach((_, slot) => {
      slots[slot] = first + (slot % pool);
    });
  for (let i = 0; i < packets; i++) {
    if (i % 100 === 0) {
      const { slots, first, pool } = tables[Math.floor(random() * tables.length)]!;
      const shift = Math.floor(random() * pool);
      slots.forEach((_, slot) => {
        slots[slot] = first + ((slot + shift) % pool);
      });
    }
    twins.step(traffic.next(), traffic.nowNs);
  }
  twins.compare();
  return twins;
}

describe('the program does what the TypeScript engine does', () => {
  const packets = 15_000;
  for (const [name, options] of [
    ['ensemble with the smooth cliff', { cliff: 'smooth', vips: vipsOf('ensemble') }],
    ['ensemble with the infinite cliff', { cliff: 'infinite', vips: vipsOf('ensemble') }],
    ['ensemble with the damped cliff', { cliff: 'damped', vips: vipsOf('ensemble') }],
    ['ensemble with two timeouts', { timeoutsNs: [ns(100e3), ns(1e6)], vips: vipsOf('ensemble') }],
    ['auto', { vips: vipsOf('auto') }],
  ] as const) {
    for (const clients of [4, 300]) {
      test(`${name}, on disturbed traffic of ${clients} clients`, () => {
        const twins = compareOn(new Traffic(clients, clients), packets, options);
        expect(twins.samples).toBeGreaterThan(100);
        expect(twins.forwarded).toBeGreaterThan(packets / 2);
      });
    }
  }

  for (const [seed, clients] of [
    [1, 3],
    [2, 40],
    [3, 40],
    [4, 400],
  ] as const) {
    test(`auto, on conversations of ${clients} clients (seed ${seed})`, () => {
      const twins = compareOn(new Conversations(seed, clients), 30_000, {});
      expect(twins.forwarded).toBe(30_000);
      for (const kind of ['handshake', 'request', 'pipelined', 'server', 'gap', 'quic'])
        expect(twins.counts[kind], kind).toBeGreaterThan(20);
    });
  }
});
