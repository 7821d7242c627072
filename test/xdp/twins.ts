import { expect } from 'vitest';
import { BackendConditions } from '../../src/datapath/conditions.ts';
import { type Fate, noBackend } from '../../src/datapath/datapath.ts';
import { answered, Engine, refused } from '../../src/datapath/engine.ts';
import type { XdpVip } from '../../src/datapath/xdp/program.ts';
import { FlowTable, flowNone } from '../../src/flow/table.ts';
import { seededSecret } from '../../src/flow/tabulation.ts';
import { VipTable } from '../../src/flow/vips.ts';
import { inbandLimit } from '../../src/generated/layout.ts';
import { type Cliff, epochDefault, timeoutsDefault } from '../../src/latency/ensemble.ts';
import { createEstimators } from '../../src/latency/registry.ts';
import type { BackendSignals } from '../../src/latency/signals.ts';
import { backendOf, slotHashIpv4, vipSeedIpv4 } from '../../src/maglev/hash.ts';
import { formatEndpoint } from '../../src/net/address.ts';
import { Packet, verdicts } from '../../src/net/packet.ts';
import { writeReset } from '../../src/net/reset.ts';
import { type Ns, ns } from '../../src/units.ts';
import { TestProgram, type TestVip, withBackends, xdp } from './support.ts';

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
  /** Numbers that backends may come to have; as many as there are unless it says. */
  readonly numbers?: number;
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
  readonly #conditions = new BackendConditions();
  /** Numbers of each vip's backends, as last configured. */
  #configured = new Map<string, { vip: number; numbers: readonly number[]; lostFlows: Fate }>();
  readonly #gone = new Set<number>();
  readonly #capacity: number;
  readonly #expected: Record<string, number> = {};
  #engineSamples: TwinSample[] = [];
  /** Both sides' signals of each backend, read at the same times. */
  readonly #signals: readonly (readonly [program: BackendSignals, engine: BackendSignals])[];
  #nowNs = ns(0);
  /** Samples of the engine that are too long for the program. */
  #tooLong = 0;

  constructor(options: TwinsOptions) {
    const { vips, backends, cliff, timeoutsNs = timeoutsDefault, flows = 65_536 } = options;
    this.#capacity = options.numbers ?? backends;
    this.program = new TestProgram({ vips, backends, cliff, timeoutsNs, flows });
    this.program.program.setListening(true);
    for (const { endpoint } of vips) this.#vips.add(endpoint);
    for (let number = 0; number < this.#capacity; number++) this.#conditions.setReachable(number, true);
    const seeds = vips.map(({ endpoint: { address, port, proto } }) =>
      vipSeedIpv4(0, address.words[0], port, proto),
    );
    const tables = vips.map((_, index) => this.program.program.slots(index));
    const settings = { timeoutsNs, epochNs: epochDefault };
    const size = { flows: 2 * flows, backends: this.#capacity };
    const estimators =
      vips[0]?.estimator === 'ensemble'
        ? createEstimators(['handshake', `ensemble:${cliff}:backend`], settings, size)
        : createEstimators(['auto'], settings, size);
    this.engine = new Engine(
      new FlowTable(2 * flows, seededSecret(1)),
      estimators,
      ({ src0, srcPort }, vip) => {
        if (this.#gone.has(vip)) return refused;
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
      undefined,
      this.#conditions.bits,
    );
    this.#remember(withBackends(vips, backends));
    this.#signals = Array.from({ length: this.#capacity }, (_, backend) => [
      this.program.program.signals(backend),
      this.engine.signals(backend),
    ]);
  }

  /** Signals of the program of a backend as last compared. */
  signals(backend: number): BackendSignals {
    return this.#signals[backend]![0];
  }

  /** Sets what flows of a backend meet. */
  setFate(backend: number, fate: Fate): void {
    this.program.program.setFate(backend, fate);
    this.#conditions.setFate(backend, fate);
  }

  /** Lets a backend be reached, or not. */
  setReachable(backend: number, isReachable: boolean): void {
    if (isReachable) this.program.route(backend);
    else this.program.program.setBackend(backend, undefined);
    this.#conditions.setReachable(backend, isReachable);
  }

  /** Gives both other vips and backends: of those vips that there were at first, and of no more numbers than said. */
  configure(vips: readonly XdpVip[]): void {
    const before = this.#configured;
    this.program.program.configure(vips);
    this.#remember(vips);
    for (const [name, { vip, numbers, lostFlows }] of before) {
      const after = this.#configured.get(name);
      for (const number of numbers)
        if (!after?.numbers.includes(number)) this.#conditions.setFate(number, after?.lostFlows ?? lostFlows);
      if (!after) this.#gone.add(vip);
    }
    for (const [name, { vip, numbers }] of this.#configured) {
      this.#gone.delete(vip);
      for (const number of numbers) {
        if (before.get(name)?.numbers.includes(number)) continue;
        this.#conditions.setFate(number, 'keep');
        this.setReachable(number, true);
      }
    }
  }

  #remember(vips: readonly XdpVip[]): void {
    const { placed } = this.program.program;
    this.#configured = new Map(
      vips.map(({ endpoint, lostFlows = 'keep' }, i) => {
        return [formatEndpoint(endpoint), { vip: placed[i]!.vip, numbers: placed[i]!.backends, lostFlows }];
      }),
    );
  }

  /** Ends flows whose time is over on both sides. */
  sweep(nowNs: number): void {
    this.program.sweep(nowNs);
    this.engine.flows.sweep(0, this.engine.flows.capacity, ns(nowNs), this.#conditions.lost);
  }

  /** Shows both a frame; fails unless they do the same with it. */
  step(frame: Uint8Array, nowNs: number): void {
    const [reason, backend, reset] = this.#reference(frame, nowNs);
    this.#expected[reason] = (this.#expected[reason] ?? 0) + 1;
    const outcome = this.program.run(frame, nowNs);
    if (reset) {
      expect(outcome.verdict).toBe(xdp.tx);
      expect(Buffer.from(outcome.frame).toString('hex')).toBe(Buffer.from(reset).toString('hex'));
    } else if (outcome.backend !== backend) {
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
    const { created, closed, reopened, idle, resteered, evictedUnestablished, evictedIdle } =
      this.engine.flows.counters;
    const { untracked, samplesNegative, samplesTooLong } = this.engine.counters;
    expect(flows).toMatchObject({
      ...{ created, closed, reopened, idle, resteered, untracked },
      refused: this.engine.flows.counters.refused,
      ...{ evicted_unestablished: evictedUnestablished, evicted_idle: evictedIdle },
      ...{ samples_lost: 0, samples_dropped: samplesNegative + samplesTooLong + this.#tooLong },
      active: this.engine.flows.active,
    });
    const held = Array.from({ length: this.#capacity }, (_, number) => counters.held(number));
    expect(held).toEqual(this.#held());
  }

  /** Flows that each backend has in the engine's table. */
  #held(): number[] {
    const held = new Array(this.#capacity).fill(0);
    const { flows } = this.engine;
    for (let flow = 0; flow < flows.capacity; flow++)
      if (flows.state(flow) !== flowNone) held[flows.backend(flow)]++;
    return held;
  }

  /** What the TypeScript engine does with the frame, and the answer to it if there is one. */
  #reference(frame: Uint8Array, nowNs: number): [reason: string, backend: number, answer?: Uint8Array] {
    const packet = this.#packet;
    const ipAt = networkAt(frame);
    if (ipAt > 0 && ((frame[ipAt - 2]! << 8) | frame[ipAt - 1]!) === 0x86dd) return ['ipv6', -1];
    const verdict = packet.decode(frame, 0, frame.length, frame.length, 1);
    if (verdict !== 0) return [verdicts[verdict]!, -1];
    const vip = this.#vips.find(4, packet.dst0, 0, 0, 0, packet.dstPort, packet.proto);
    if (vip < 0) return ['not_vip', -1];
    const backend = this.engine.forward(packet, vip, ns(nowNs));
    if (backend >= 0 && backend < noBackend) return ['tx', backend];
    if (backend === refused) return ['not_vip', -1];
    if (backend !== answered) return ['no_backend', -1];
    const answer = Uint8Array.from(frame);
    return ['reset', -1, answer.subarray(0, writeReset(answer, ipAt, packet))];
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

/** Where what is behind at most four VLAN tags begins; 0 where the frame ends before. */
function networkAt(frame: Uint8Array): number {
  for (let at = 12; at <= 28 && at + 2 <= frame.length; at += 4) {
    const type = (frame[at]! << 8) | frame[at + 1]!;
    if (type !== 0x8100 && type !== 0x88a8 && type !== 0x9100) return at + 2;
  }
  return 0;
}
