import { beforeEach, describe, expect, test } from 'vitest';
import { Forwarder, type Reason, reasons } from '../../src/datapath/capture/forwarder.ts';
import { type Fate, noBackend } from '../../src/datapath/datapath.ts';
import type { XdpSample } from '../../src/datapath/xdp/program.ts';
import { epochDefault, timeoutsDefault } from '../../src/latency/ensemble.ts';
import { ns } from '../../src/units.ts';
import { needsXdp } from '../native/support.ts';
import { macOf, seededRandom, sourceMac, TestProgram, vip, xdp } from '../xdp/support.ts';
import { Traffic } from '../xdp/traffic.ts';

beforeEach(needsXdp);

const slots = 251;
const vips = [
  vip('10.0.0.1:80/tcp', slots, 0),
  vip('10.0.0.1:443/tcp', slots, 3),
  vip('10.0.0.2:53/udp', slots, 5),
];
const pools = [3, 2, 3];
const backends = 8;
const flows = 65_536;

/** Both datapaths, from the bytes of a frame to those that leave. */
class Both {
  readonly program: TestProgram;
  readonly forwarder: Forwarder;
  readonly samples: XdpSample[] = [];
  #sent: Uint8Array | undefined;

  constructor() {
    this.program = new TestProgram({ vips, backends, cliff: 'damped', flows });
    this.program.program.setListening(true);
    this.forwarder = new Forwarder(
      {
        vips: vips.map(({ endpoint }, i) => ({ endpoint, backends: pools[i]! })),
        slots,
        flows,
        estimators: ['handshake', 'ensemble:damped:backend'],
        timeoutsNs: timeoutsDefault,
        epochNs: epochDefault,
      },
      {
        sendFrame: (length) => {
          this.#sent = this.forwarder.frame.subarray(0, length);
        },
        sendPacket: () => expect.fail('nothing is encapsulated'),
      },
    );
    for (let backend = 0; backend < backends; backend++) this.setReachable(backend, true);
    for (const [i, { firstBackend }] of vips.entries()) {
      this.publish(i, (slot) => firstBackend + (slot % pools[i]!));
    }
    this.forwarder.onSample = (kind, latencyNs, { src0, srcPort }, vip, backend, timeNs) =>
      this.samples.push({ timeNs, latencyNs, kind, clientAddress: src0, clientPort: srcPort, vip, backend });
  }

  publish(vip: number, backendOf: (slot: number) => number): void {
    for (const table of [this.program.program.slots(vip), this.forwarder.slots(vip)]) {
      for (let slot = 0; slot < table.length; slot++) table[slot] = backendOf(slot);
    }
  }

  setReachable(backend: number, isReachable: boolean): void {
    if (isReachable) this.program.route(backend);
    else this.program.program.setBackend(backend, undefined);
    const hop = { encapsulation: 'l2', mac: macOf(backend), sourceMac } as const;
    this.forwarder.setHop(backend, isReachable ? hop : undefined);
  }

  setFate(backend: number, fate: Fate): void {
    this.program.program.setFate(backend, fate);
    this.forwarder.setFate(backend, fate);
  }

  step(frame: Uint8Array, nowNs: number): void {
    this.#sent = undefined;
    this.forwarder.frame.set(frame);
    const backend = this.forwarder.handle(frame.length, false, ns(nowNs));
    const outcome = this.program.run(frame, nowNs);
    if (outcome.backend !== backend) {
      expect.fail(`backend ${backend}, not ${outcome.backend}: ${Buffer.from(frame).toString('hex')}`);
    }
    // What is answered leaves, too.
    if (outcome.verdict === xdp.tx) expect(Buffer.compare(this.#sent!, outcome.frame)).toBe(0);
    else expect(this.#sent).toBeUndefined();
  }
}

describe('captured frames go where XDP sends them', () => {
  for (const clients of [4, 300]) {
    test(`from ${clients} clients, with the same samples`, () => {
      const both = new Both();
      const traffic = new Traffic(clients, clients);
      const samples: XdpSample[] = [];
      for (let i = 0; i < 12_000; i++) {
        both.step(traffic.next(), traffic.nowNs);
        if (i % 2_000 === 1_999) samples.push(...both.program.program.drainSamples());
      }
      expect(both.samples).toEqual(samples);
      expect(samples.length).toBeGreaterThan(500);
      for (let backend = 0; backend < backends; backend++) {
        expect(both.forwarder.traffic(backend)).toEqual(both.program.program.counters.traffic(backend));
      }
    });
  }

  test('with lost backends, resets byte by byte', () => {
    const both = new Both();
    const traffic = new Traffic(9, 60);
    const random = seededRandom(5);
    const below = (limit: number) => Math.floor(random() * limit);
    for (let i = 0; i < 20_000; i++) {
      if (i % 50 === 0) {
        const vip = below(vips.length);
        const { firstBackend } = vips[vip]!;
        const shift = below(8);
        const dice = random();
        if (dice < 0.4) both.setFate(below(backends), (['keep', 'resteer', 'reset'] as const)[below(3)]!);
        else if (dice < 0.5) both.setReachable(below(backends), random() < 0.8);
        else if (dice < 0.6) both.publish(vip, (slot) => (slot % 2 ? firstBackend : noBackend));
        else both.publish(vip, (slot) => firstBackend + ((slot + shift) % pools[vip]!));
      }
      both.step(traffic.next(), traffic.nowNs);
    }
    const { tx, reset, no_backend } = both.program.program.counters.packets();
    const countOf = (reason: Reason) => both.forwarder.counts[reasons.indexOf(reason)];
    expect([countOf('ok'), countOf('reset'), countOf('no_backend')]).toEqual([tx, reset, no_backend]);
    expect(Math.min(tx!, reset!, no_backend!)).toBeGreaterThan(100);
    for (let backend = 0; backend < backends; backend++) {
      expect(both.forwarder.traffic(backend)).toEqual(both.program.program.counters.traffic(backend));
    }
    const { resteered } = both.program.program.counters.flows();
    expect(resteered).toBe(both.forwarder.engine.flows.counters.resteered);
    expect(resteered).toBeGreaterThan(10);
  });

  test('their windows hold the same samples', () => {
    const both = new Both();
    const own = [0, 1].map((kind) => both.forwarder.samples.window(0, kind));
    const other = [0, 1].map((kind) => both.program.program.window(0, kind));
    const traffic = new Traffic(5, 40);
    for (let i = 0; i < 12_000; i++) both.step(traffic.next(), traffic.nowNs);
    for (const kind of [0, 1]) {
      for (const window of [own[kind]!, other[kind]!]) window.update();
      const figures = ({ count, meanNs, lastNs }: (typeof own)[number]) => [count, meanNs, lastNs];
      expect(figures(own[kind]!)).toEqual(figures(other[kind]!));
      expect(own[kind]!.count).toBeGreaterThan(10);
      for (const percent of [1, 50, 99]) {
        expect(own[kind]!.percentileNs(percent)).toBe(other[kind]!.percentileNs(percent));
      }
    }
  });
});
