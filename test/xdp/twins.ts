import { expect } from 'vitest';
import { Engine } from '../../src/datapath/engine.ts';
import { FlowTable } from '../../src/flow/table.ts';
import { seededSecret } from '../../src/flow/tabulation.ts';
import { VipTable } from '../../src/flow/vips.ts';
import { inbandLimit } from '../../src/generated/layout.ts';
import { type Cliff, epochDefault, timeoutsDefault } from '../../src/latency/ensemble.ts';
import { createEstimators } from '../../src/latency/registry.ts';
import type { BackendSignals } from '../../src/latency/signals.ts';
import { backendOf, slotHashIpv4, vipSeedIpv4 } from '../../src/maglev/hash.ts';
import { Packet, verdicts } from '../../src/net/packet.ts';
import { type Ns, ns } from '../../src/units.ts';
import { TestProgram, type TestVip } from './support.ts';

/** A sample, and whose it is. */
interface TwinSample {
  readonly timeNs: number;
  readonly latencyNs: number;
  readonly kind: string;
  readonly clientAddress: number;
  readonly clientPort: number;
  readonly vip: number;
  readonly backend: number;
}

export interface TwinsOptions {
  readonly vips: readonly TestVip[];
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
  /** Samples by kind. */
  readonly counts: Record<string, number> = {};
  forwarded = 0;
  readonly #packet = new Packet();
  readonly #vips = new VipTable();
  readonly #expected: Record<string, number> = {};
  #engineSamples: TwinSample[] = [];
  /** Both sides' signals of each backend, read at the same times. */
  readonly #signals: readonly (readonly [program: BackendSignals, engine: BackendSignals])[];
  #nowNs = ns(0);
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
    const estimators =
      vips[0]?.estimator === 'ensemble'
        ? createEstimators(['handshake', `ensemble:${cliff}:backend`], settings, size)
        : createEstimators(['auto'], settings, size);
    this.engine = new Engine(
      new FlowTable(2 * flows, seededSecret(1)),
      estimators,
      ({ src0, srcPort }, vip) => {
        return backendOf(tables[vip]!, slotHashIpv4(seeds[vip]!, src0 >>> 0, srcPort));
      },
      (kind, latencyNs, { src0, srcPort }, vip, backend, now) => {
        if (Math.abs(latencyNs) >= latencyNsMax) this.#tooLong++;
        else
          this.#engineSamples.push({
            timeNs: now,
            latencyNs,
            kind: this.engine.kinds[kind]!,
            clientAddress: src0,
            clientPort: srcPort,
            vip,
            backend,
          });
      },
    );
    this.#signals = Array.from({ length: backends }, (_, backend) => [
      this.program.program.signals(backend),
      this.engine.signals(backend),
    ]);
  }

  /** Signals of the program of a backend as last compared. */
  signals(backend: number): BackendSignals {
    return this.#signals[backend]![0];
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
    this.#nowNs = ns(nowNs);
    if (++this.packets % 4096 === 0) this.compare();
  }

  /** Fails unless samples and counters are the same up to now. */
  compare(): void {
    const { kinds } = this.program.program;
    const samples: TwinSample[] = [];
    for (let before = -1; samples.length > before; ) {
      before = samples.length;
      samples.push(...this.program.program.drainSamples().map((one) => ({ ...one, kind: kinds[one.kind]! })));
    }
    expect(samples).toEqual(this.#engineSamples);
    for (const { kind } of samples) this.counts[kind] = (this.counts[kind] ?? 0) + 1;
    this.samples += this.#engineSamples.length;
    this.#engineSamples = [];
    for (const pair of this.#signals)
      expect(readSignals(pair[0], this.#nowNs)).toEqual(readSignals(pair[1], this.#nowNs));
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

/** All that signals say at a time. */
function readSignals(signals: BackendSignals, now: Ns): Record<string, number> {
  signals.update(now);
  const { flows, synRetransmits, handshakes, requests, responses } = signals;
  const { segments, retransmits, resets, inFlight, oldestNs } = signals;
  const counts = { flows, synRetransmits, handshakes, requests, responses, segments, retransmits, resets };
  return { ...counts, inFlight, oldestNs, waiting1: signals.waiting(1e6), waiting100: signals.waiting(1e8) };
}

/** The EtherType behind at most four VLAN tags; 0 where the frame ends before. */
function innermostType(frame: Uint8Array): number {
  for (let at = 12; at <= 28 && at + 2 <= frame.length; at += 4) {
    const type = (frame[at]! << 8) | frame[at + 1]!;
    if (type !== 0x8100 && type !== 0x88a8 && type !== 0x9100) return type;
  }
  return 0;
}
