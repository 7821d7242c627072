import { type FlowTable, flowClosing, flowEstablished, flowNew } from '../flow/table.ts';
import { type Emit, type Estimator, latencyNsMax, signedKinds } from '../latency/estimator.ts';
import type { PrefixLimit } from '../latency/prefix.ts';
import { type BackendSignals, noSignals } from '../latency/signals.ts';
import { ipProtoTcp } from '../net/constants.ts';
import { type Packet, tcpAck, tcpFin, tcpRst, tcpSyn } from '../net/packet.ts';
import type { Ns } from '../units.ts';
import { conditionReset, conditionResteer, conditionsCount, conditionUnreachable } from './conditions.ts';

/** What `Engine.forward` gives instead of a backend: there is none that the packet can be sent to now. */
export const unroutable = -1;
/** The vip takes no new flows: the packet is that of no vip. */
export const refused = -2;
/** The packet is to be answered by a reset in the name of the vip. */
export const answered = -3;

/**
 * Chooses the backend of a new flow from its first packet: a number of all backends of all vips, `noBackend` or `refused`.
 * Asked again about a later packet of a flow whose backend is lost; must have no effect.
 */
export type Assign = (packet: Packet, vip: number) => number;

/** Receives every sample: `kind` numbers the estimators' kinds in order. */
export type OnSample = (
  kind: number,
  latencyNs: number,
  packet: Packet,
  vip: number,
  backend: number,
  now: Ns,
) => void;

/** What the engine counts beside its flow table's counters. */
export interface EngineCounters {
  /** Packets of flows without a line: routed by their slot, not measured. */
  untracked: number;
  /** Samples dropped because time went backwards, and because they exceed `latencyNsMax`. */
  samplesNegative: number;
  samplesTooLong: number;
  /** Samples dropped because their client's prefix had added its share to the window. */
  samplesLimited: number;
}

const noConditions = new Uint8Array(conditionsCount);

/**
 * The TypeScript engine: what happens to a client->server packet of a vip. A packet of a known flow goes to the flow's
 * backend; a new flow is assigned one and keeps it. Every packet is shown to each estimator. No I/O, no clock.
 */
export class Engine {
  /** Names of the kinds of samples, by number. */
  readonly kinds: readonly string[];
  readonly counters: EngineCounters = {
    untracked: 0,
    samplesNegative: 0,
    samplesTooLong: 0,
    samplesLimited: 0,
  };
  readonly flows: FlowTable;
  /** Number of the flow of the packet last forwarded; -1 if it has no line. */
  flow = -1;
  readonly #estimators: readonly Estimator[];
  readonly #emits: readonly Emit[];
  readonly #assign: Assign;
  readonly #conditions: Uint8Array;
  /** The packet in hand, for samples that it completes. */
  #packet: Packet | undefined;
  #vip = 0;
  #backend = 0;
  #now = 0 as Ns;

  /**
   * @param limit what one client prefix may add; none where whoever sent the packets is trusted
   * @param conditions of backends by number, see `BackendConditions`; all can be sent packets without
   */
  constructor(
    flows: FlowTable,
    estimators: readonly Estimator[],
    assign: Assign,
    onSample: OnSample,
    limit?: PrefixLimit,
    conditions = noConditions,
  ) {
    this.flows = flows;
    this.#estimators = estimators;
    this.#assign = assign;
    this.#conditions = conditions;
    this.kinds = estimators.flatMap((estimator) => estimator.kinds);
    let base = 0;
    this.#emits = estimators.map((estimator) => {
      const first = base;
      base += estimator.kinds.length;
      const leastNs = estimator.kinds.map((kind) => (signedKinds.includes(kind) ? -latencyNsMax : 0));
      return (kind, latencyNs) => {
        if (latencyNs >= leastNs[kind]! && latencyNs <= latencyNsMax) {
          if (limit?.admits(this.#packet!, this.#backend, first + kind, this.#now) === false) {
            this.counters.samplesLimited++;
            return;
          }
          onSample(first + kind, latencyNs, this.#packet!, this.#vip, this.#backend, this.#now);
        } else if (latencyNs < 0) {
          this.counters.samplesNegative++;
        } else {
          this.counters.samplesTooLong++;
        }
      };
    });
    const closing = estimators.filter((estimator) => estimator.close !== undefined);
    if (closing.length > 0) {
      flows.onEnd = (flow, backend) => {
        for (const estimator of closing) estimator.close!(flow, backend);
      };
    }
  }

  /** What packets tell of a backend beside latencies; all zero without an estimator that counts it. */
  signals(backend: number): BackendSignals {
    for (const { signals } of this.#estimators) if (signals) return signals.of(backend);
    return noSignals;
  }

  /** A backend begins under this number, with no flows: what is known of another that had it before is forgotten. */
  begin(backend: number): void {
    for (const estimator of this.#estimators) estimator.begin?.(backend);
  }

  /** Bytes that one flow takes, in the table and in all estimators. */
  get bytesPerFlow(): number {
    return this.#estimators.reduce((sum, { bytesPerFlow }) => sum + bytesPerFlow, this.flows.bytesPerFlow);
  }

  /**
   * Handles one packet from a client to vip number `vip`.
   * @returns its backend; `unroutable`, `refused` or `answered` if it goes to none
   * @param now time of the packet in ns on any clock that this engine is given throughout
   */
  forward(packet: Packet, vip: number, now: Ns): number {
    const { flows } = this;
    const { src0, src1, src2, src3 } = packet;
    const portAndVip = (packet.srcPort << 16) | vip;
    // UDP packets have none.
    const flags = packet.tcpFlags;
    const isSyn = (flags & (tcpSyn | tcpAck)) === tcpSyn;

    let flow = flows.find(src0, src1, src2, src3, portAndVip, now);
    if (flow >= 0 && isSyn && flows.isn(flow) !== packet.seq) {
      flows.remove(flow, 'reopened');
      flow = -1;
    }
    if (flow < 0) return this.#open(packet, vip, now, portAndVip, isSyn, flags);

    const backend = flows.backend(flow);
    const condition = this.#conditions[backend]!;
    if (condition !== 0) {
      const outcome = this.#meet(condition, flow, packet, vip, now, portAndVip, isSyn);
      if (outcome !== backend) return outcome;
    }
    this.flow = flow;
    flows.lastNs[flow] = now;
    if (flows.state(flow) === flowNew && !isSyn) flows.setState(flow, flowEstablished);
    if ((flags & tcpFin) !== 0) flows.setState(flow, flowClosing);
    this.#packet = packet;
    this.#vip = vip;
    this.#backend = backend;
    this.#now = now;
    for (let i = 0; i < this.#estimators.length; i++) {
      this.#estimators[i]!.observe(flow, backend, packet, now, this.#emits[i]!);
    }
    if ((flags & tcpRst) !== 0) flows.remove(flow, 'closed');
    return backend;
  }

  /**
   * What a later packet of a flow meets whose backend is lost or cannot be reached. A reset of the client's goes where the
   * flow's other packets went. What is not there yet, a handshake in its first step, is not reset but begun elsewhere.
   * @returns the flow's own backend if the packet goes on to it as ever
   */
  #meet(
    condition: number,
    flow: number,
    packet: Packet,
    vip: number,
    now: Ns,
    portAndVip: number,
    isSyn: boolean,
  ): number {
    const { flows } = this;
    const backend = flows.backend(flow);
    const flags = packet.tcpFlags;
    const isLost = (condition & (conditionResteer | conditionReset)) !== 0 && (flags & tcpRst) === 0;
    if (!isLost || this.#assign(packet, vip) === backend) {
      if ((condition & conditionUnreachable) === 0) return backend;
      this.flow = -1;
      return unroutable;
    }
    if ((condition & conditionReset) !== 0 && packet.proto === ipProtoTcp && !isSyn) {
      // The flow stays for a while, so that its next segments are answered likewise and reach no other server.
      flows.setState(flow, flowClosing);
      flows.lastNs[flow] = now;
      for (const estimator of this.#estimators) estimator.skip?.(flow, now);
      this.flow = flow;
      return answered;
    }
    flows.remove(flow, 'resteered');
    return this.#open(packet, vip, now, portAndVip, isSyn, flags);
  }

  #open(packet: Packet, vip: number, now: Ns, portAndVip: number, isSyn: boolean, flags: number): number {
    const backend = this.#assign(packet, vip);
    this.flow = -1;
    if (backend < 0) return backend;
    if ((this.#conditions[backend]! & conditionUnreachable) !== 0) return unroutable;
    // A reset ends what we do not know: there is nothing to remember.
    if ((flags & tcpRst) !== 0) return backend;
    const flow = this.flows.insert(
      packet.src0,
      packet.src1,
      packet.src2,
      packet.src3,
      portAndVip,
      now,
      backend,
      isSyn ? packet.seq : 0,
    );
    this.flow = flow;
    if (flow < 0) {
      this.counters.untracked++;
      return backend;
    }
    for (const estimator of this.#estimators) estimator.open(flow, backend, packet, now);
    return backend;
  }
}
