import { beforeEach, describe, expect, test } from 'vitest';
import { ns } from '../../src/units.ts';
import { needsXdp } from '../native/support.ts';
import { seededRandom, vip } from './support.ts';
import { Traffic } from './traffic.ts';
import { Twins } from './twins.ts';

beforeEach(needsXdp);

const vips = [
  vip('10.0.0.1:80/tcp', 65_537, 0),
  vip('10.0.0.1:443/tcp', 251, 3),
  vip('10.0.0.2:53/udp', 13, 5),
];
const backends = 8;

describe('the program does what the TypeScript engine does', () => {
  const packets = 15_000;
  for (const [name, options] of [
    ['with the smooth cliff', { cliff: 'smooth' }],
    ['with the infinite cliff', { cliff: 'infinite' }],
    ['with the damped cliff', { cliff: 'damped' }],
    ['with two timeouts', { cliff: 'smooth', timeoutsNs: [ns(100e3), ns(1e6)] }],
  ] as const) {
    for (const clients of [4, 300]) {
      test(`${name} and ${clients} clients`, () => {
        const twins = new Twins({ vips, backends, ...options });
        const traffic = new Traffic(clients, clients);
        const random = seededRandom(7);
        const tables = vips.map(({ firstBackend }, index) => {
          const last = vips[index + 1]?.firstBackend ?? backends;
          return { slots: twins.program.program.slots(index), pool: last - firstBackend };
        });
        for (const { slots, pool } of tables)
          slots.forEach((_, slot) => {
            slots[slot] = slot % pool;
          });
        for (let i = 0; i < packets; i++) {
          if (i % 100 === 0) {
            const { slots, pool } = tables[Math.floor(random() * tables.length)]!;
            const shift = Math.floor(random() * pool);
            slots.forEach((_, slot) => {
              slots[slot] = (slot + shift) % pool;
            });
          }
          twins.step(traffic.next(), traffic.nowNs);
        }
        twins.compare();
        expect(twins.samples).toBeGreaterThan(500);
        expect(twins.forwarded).toBeGreaterThan(packets / 2);
      });
    }
  }
});
