import { expect } from 'vitest';
import { Engine } from '../../src/datapath/engine.ts';
import type { XdpSample, XdpVip } from '../../src/datapath/xdp/program.ts';
import { FlowTable } from '../../src/flow/table.ts';
import { seededSecret } from '../../src/flow/tabulation.ts';
import { VipTable } from '../../src/flow/vips.ts';
import { inbandLimit } from '../../src/generated/layout.ts';
import { type Cliff, epochDefault, timeoutsDefault } from '../../src/latency/ensemble.ts';
import { createEstimators } from '../../src/latency/registry.ts';
import { backendOf, slotHashIpv4, vipSeedIpv4 } from '../../src/maglev/hash.ts';
import { Packet, verdicts } from '../../src/net/packet.ts';
import { type Ns, ns } from '../../src/units.ts';
import { TestProgram } from './support.ts';

export interface TwinsOptions {
  readonly vips: readonly XdpVip[];
  readonly backends: number;
  readonly cliff: Cliff;
  readonly timeoutsNs?: readonly Ns[];
  readonly flows?: number;
}

const latencyNsMax = 2 ** inbandLimit.latencyBits;

/** The TypeScript engine and the XDP program side by side, shown the same frames at the same times. */
export class Twins {
  readonly program: TestProgram;
  readonly engine: Engine;
  packets = 0;
  samples = 0;
  forwarded = 0;
  readonly #packet = new Packet();
  readonly #vips = new VipTable();
  readonly #expected: Record<string, number> = {};
  #engineSamples: XdpSample[] = [];
  /** Samples of the engine that are too long for the program. */
  #tooLong = 0;

  constructor({ vips, backends, cliff, timeoutsNs = timeoutsDefault, flows = 65_536 }: TwinsOptions) {
    this.program = new TestProgram({ vips, backends, cliff, timeoutsNs, flows });
    this.program.program.setListening(true);
    for (const { endpoint } of vips) this.#vips.add(endpoint);
    const seeds = vips.map(({ endpoint: { address, port, proto } }) =>
      vipSeedIpv4(0, address.words[0], port, proto),
    );
    const tables = vips.map((_, index) => this.program.program.slots(index));
    const settings = { timeoutsNs, epochNs: epochDefault };
    const size = { flows: 2 * flows, backends };
    this.engine = new Engine(
      new FlowTable(2 * flows, seededSecret(1)),
      createEstimators(['handshake', `ensemble:${cliff}:backend`], settings, size),
      ({ src0, srcPort }, vip) => {
        return (
          vips[vip]!.firstBackend + backendOf(tables[vip]!, slotHashIpv4(seeds[vip]!, src0 >>> 0, srcPort))
        );
      },
      (kind, latencyNs, { src0, srcPort }, vip, backend, now) => {
        if (latencyNs >= latencyNsMax) this.#tooLong++;
        else
          this.#engineSamples.push({
            timeNs: now,
            latencyNs,
            kind,
            clientAddress: src0,
            clientPort: srcPort,
            vip,
            backend,
          });
      },
    );
  }

  /** Shows both a frame; fails unless they do the same with it. */
  step(frame: Uint8Array, nowNs: number): void {
    const [reason, backend] = this.#reference(frame, nowNs);
    this.#expected[reason] = (this.#expected[reason] ?? 0) + 1;
    const outcome = this.program.run(frame, nowNs);
    if (outcome.backend !== backend) {
      expect.fail(
        `packet ${this.packets}: backend ${outcome.backend}, not ${backend} (${reason}): ${Buffer.from(frame).toString('hex')}`,
      );
    }
    if (backend >= 0) this.forwarded++;
    if (++this.packets % 4096 === 0) this.compare();
  }

  /** Fails unless samples and counters are the same up to now. */
  compare(): void {
    expect(this.program.program.drainSamples()).toEqual(this.#engineSamples);
    this.samples += this.#engineSamples.length;
    this.#engineSamples = [];
    const counters = this.program.program.counters;
    const packets = Object.entries(counters.packets()).filter(([, count]) => count > 0);
    expect(Object.fromEntries(packets)).toEqual(this.#expected);
    const flows = counters.flows();
    const { created, closed, reopened, idle, evictedUnestablished, evictedIdle, refused } =
      this.engine.flows.counters;
    const { untracked, samplesNegative, samplesTooLong } = this.engine.counters;
    expect(flows).toMatchObject({
      ...{ created, closed, reopened, idle, untracked, refused },
      ...{ evicted_unestablished: evictedUnestablished, evicted_idle: evictedIdle },
      ...{ samples_lost: 0, samples_dropped: samplesNegative + samplesTooLong + this.#tooLong },
      active: this.engine.flows.active,
    });
  }

  /** What the TypeScript engine does with the frame. */
  #reference(frame: Uint8Array, nowNs: number): [reason: string, backend: number] {
    const packet = this.#packet;
    if (innermostType(frame) === 0x86dd) return ['ipv6', -1];
    const verdict = packet.decode(frame, 0, frame.length, frame.length, 1);
    if (verdict !== 0) return [verdicts[verdict]!, -1];
    const vip = this.#vips.find(4, packet.dst0, 0, 0, 0, packet.dstPort, packet.proto);
    if (vip < 0) return ['not_vip', -1];
    return ['tx', this.engine.forward(packet, vip, ns(nowNs))];
  }
}

/** The EtherType behind at most four VLAN tags; 0 where the frame ends before. */
function innermostType(frame: Uint8Array): number {
  for (let at = 12; at <= 28 && at + 2 <= frame.length; at += 4) {
    const type = (frame[at]! << 8) | frame[at + 1]!;
    if (type !== 0x8100 && type !== 0x88a8 && type !== 0x9100) return type;
  }
  return 0;
}
