import { beforeEach, describe, expect, test } from 'vitest';
import { type Fate, type LiveEstimator, noBackend } from '../../src/datapath/datapath.ts';
import type { XdpVip } from '../../src/datapath/xdp/program.ts';
import { ns } from '../../src/units.ts';
import { needsXdp } from '../native/support.ts';
import { Conversations } from './conversations.ts';
import { addressOf, seededRandom, type TestVip, vip, withBackends } from './support.ts';
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

/** What operators, health checks and reloads do to both engines while traffic goes on. */
class Operations {
  readonly #random: () => number;
  readonly #twins: Twins;
  readonly #all: readonly XdpVip[];

  constructor(twins: Twins, vips: readonly TestVip[], seed: number) {
    this.#twins = twins;
    this.#all = withBackends(vips, backends);
    this.#random = seededRandom(seed);
  }

  next(nowNs: number): void {
    const dice = this.#random();
    const backend = this.#below(backends);
    if (dice < 0.3) this.#twins.setFate(backend, this.#fate());
    else if (dice < 0.4) this.#twins.setReachable(backend, this.#random() < 0.7);
    else if (dice < 0.6) this.#twins.sweep(nowNs);
    else if (dice < 0.8) this.#twins.configure(this.#some());
    else this.#shuffle();
  }

  #fate(): Fate {
    return (['keep', 'resteer', 'reset'] as const)[this.#below(3)]!;
  }

  /** Most of the vips, with most of their backends, or others besides. */
  #some(): XdpVip[] {
    const vips = this.#all.filter(() => this.#random() < 0.8);
    return vips.map((vip) => {
      const kept = vip.backends.filter(() => this.#random() < 0.7);
      const more = this.#random() < 0.3 ? [addressOf(100)] : [];
      return { ...vip, backends: [...kept, ...more], lostFlows: this.#fate() };
    });
  }

  /** Gives the slots of each vip to some of its backends, or to none. */
  #shuffle(): void {
    for (const { vip, backends } of this.#twins.program.program.placed) {
      const slots = this.#twins.program.program.slots(vip);
      const to = backends.filter(() => this.#random() < 0.6);
      const shift = this.#below(8);
      slots.forEach((_, slot) => {
        slots[slot] = to.length > 0 ? to[(slot + shift) % to.length]! : noBackend;
      });
    }
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}

describe('both engines do the same while vips and backends come and go', () => {
  for (const [seed, clients, estimator] of [
    [1, 40, 'auto'],
    [2, 400, 'auto'],
    [3, 300, 'ensemble'],
  ] as const) {
    test(`with fates, on disturbed traffic of ${clients} clients, ${estimator}`, () => {
      const vips = vipsOf(estimator);
      // Each vip may get one backend more.
      const twins = new Twins({ vips, backends, numbers: backends + vips.length, cliff: 'smooth' });
      const operations = new Operations(twins, vips, seed);
      const traffic = new Traffic(seed, clients);
      for (let i = 0; i < 20_000; i++) {
        if (i % 200 === 0) operations.next(traffic.nowNs);
        twins.step(traffic.next(), traffic.nowNs);
      }
      twins.compare();
      const { reset, no_backend, tx } = twins.program.program.counters.packets();
      expect(reset).toBeGreaterThan(50);
      expect(no_backend).toBeGreaterThan(50);
      expect(tx).toBeGreaterThan(1_000);
      expect(twins.program.program.counters.flows().resteered).toBeGreaterThan(20);
    });
  }

  test('with fates, on conversations', () => {
    const vips = vipsOf('auto');
    const twins = new Twins({ vips, backends, numbers: backends + vips.length, cliff: 'smooth' });
    const operations = new Operations(twins, vips, 5);
    const traffic = new Conversations(5, 100);
    for (let i = 0; i < 30_000; i++) {
      if (i % 300 === 0) operations.next(traffic.nowNs);
      twins.step(traffic.next(), traffic.nowNs);
    }
    twins.compare();
    expect(twins.samples).toBeGreaterThan(1_000);
    expect(twins.program.program.counters.packets().reset).toBeGreaterThan(50);
  });
});
