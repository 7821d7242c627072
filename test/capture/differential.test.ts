import { beforeEach, describe, expect, test } from 'vitest';
import { Forwarder } from '../../src/datapath/capture/forwarder.ts';
import type { XdpSample } from '../../src/datapath/xdp/program.ts';
import { epochDefault, timeoutsDefault } from '../../src/latency/ensemble.ts';
import { ns } from '../../src/units.ts';
import { needsXdp } from '../native/support.ts';
import { macOf, sourceMac, TestProgram, vip } from '../xdp/support.ts';
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
    for (let backend = 0; backend < backends; backend++) {
      this.forwarder.hops.set(backend, { encapsulation: 'l2', mac: macOf(backend), sourceMac });
    }
    for (const [i, pool] of pools.entries()) {
      for (const table of [this.program.program.slots(i), this.forwarder.slots(i)]) {
        table.forEach((_, slot) => {
          table[slot] = slot % pool;
        });
      }
    }
    this.forwarder.onSample = (kind, latencyNs, { src0, srcPort }, vip, backend, timeNs) =>
      this.samples.push({ timeNs, latencyNs, kind, clientAddress: src0, clientPort: srcPort, vip, backend });
  }

  step(frame: Uint8Array, nowNs: number): void {
    this.#sent = undefined;
    this.forwarder.frame.set(frame);
    const backend = this.forwarder.handle(frame.length, false, ns(nowNs));
    const outcome = this.program.run(frame, nowNs);
    if (outcome.backend !== backend) {
      expect.fail(`backend ${backend}, not ${outcome.backend}: ${Buffer.from(frame).toString('hex')}`);
    }
    if (backend >= 0) expect(Buffer.compare(this.#sent!, outcome.frame)).toBe(0);
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
