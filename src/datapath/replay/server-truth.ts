import { ipProtoTcp } from '../../net/constants.ts';
import { type Packet, tcpAck, tcpSyn } from '../../net/packet.ts';
import type { Ns } from '../../units.ts';
import { type TruthKind, truthAgeNsMax } from './truth.ts';

/** Client segments remembered per flow until the server answers, and answers remembered after. */
const segmentsMax = 64;
/** Questions remembered per segment until the server answers it. */
const waitingMax = 64;
/** Flows remembered at a time, the latest. */
const flowsMax = 65_536;
/** Answers in a row that carry no data, after which a flow counts as an upload: its acknowledgements are the responses. */
const uploadAfter = 3;

/** Estimators count in units of this many ns: a sample may seem to begin so much before its request. */
const resolutionNs = 64;

/** Receives a true latency in ns. */
type Then = (latencyNs: number) => void;

/** A client segment; `latencyNs` is NaN until it is answered, and -1 if it never will be for sure. */
interface Segment {
  readonly sentNs: number;
  /** Sequence number after its last byte. */
  readonly end: number;
  latencyNs: number;
  /** Who wants to know its latency. */
  readonly waiting: Then[];
}

interface FlowTruth {
  readonly segments: Segment[];
  /** The newest sequence number seen, so that a retransmission is not taken for a new segment. */
  newest: number | undefined;
  synNs: number;
  synLatencyNs: number;
  /** Answers without data since the last one with data. */
  silent: number;
}

/** Receives each truth as it becomes known. */
type OnTruth = (kind: TruthKind, flow: number, sentNs: number, latencyNs: number) => void;

/**
 * True latencies of flows from a capture that has both directions: from a client's segment to the first server
 * packet that acknowledges it and carries data. In an upload, where the server has nothing to say, the first
 * acknowledgement counts. A handshake is from the only SYN to the SYN-ACK. Retransmitted segments have no truth.
 * Of UDP, where nothing says what answers what: from the first datagram after an answer to the next answer.
 *
 * The latencies are those seen where the capture was made; near the client they are the client's.
 */
export class ServerTruth {
  records = 0;
  readonly #flows = new Map<number, FlowTruth>();
  readonly #onTruth: OnTruth;

  constructor(onTruth: OnTruth) {
    this.#onTruth = onTruth;
  }

  /**
   * A packet from the client, of the flow with this number.
   * @param isFirst whether it is the flow's first: the number may have been another flow's before
   */
  client(packet: Packet, flow: number, isFirst: boolean, now: Ns): void {
    const truth = (isFirst ? undefined : this.#flows.get(flow)) ?? this.#restart(flow);
    if (packet.proto !== ipProtoTcp) {
      this.#datagram(truth, now);
      return;
    }
    if ((packet.tcpFlags & (tcpSyn | tcpAck)) === tcpSyn) {
      truth.synNs = isFirst ? now : Number.NaN;
      truth.synLatencyNs = -1;
      return;
    }
    if (packet.payloadLength === 0) return;
    const end = (packet.seq + packet.payloadLength) | 0;
    if (truth.newest !== undefined && ((end - truth.newest) | 0) <= 0) {
      for (const segment of truth.segments) {
        if (((segment.end - packet.seq) | 0) > 0 && Number.isNaN(segment.latencyNs)) segment.latencyNs = -1;
      }
      return;
    }
    truth.newest = end;
    truth.segments.push({ sentNs: now, end, latencyNs: Number.NaN, waiting: [] });
    if (truth.segments.length > segmentsMax) truth.segments.shift();
  }

  /** A packet from the server, of the flow with this number. */
  server(packet: Packet, flow: number, now: Ns): void {
    const truth = this.#flows.get(flow);
    if (truth && packet.proto !== ipProtoTcp) this.#answer(truth.segments, flow, now);
    if (!truth || packet.proto !== ipProtoTcp || (packet.tcpFlags & tcpAck) === 0) return;
    if ((packet.tcpFlags & tcpSyn) !== 0) {
      if (truth.synLatencyNs === -1 && !Number.isNaN(truth.synNs)) {
        truth.synLatencyNs = now - truth.synNs;
        this.#known('handshake', flow, truth.synNs, truth.synLatencyNs);
      }
      return;
    }
    truth.silent = packet.payloadLength > 0 ? 0 : truth.silent + 1;
    if (packet.payloadLength === 0 && truth.silent < uploadAfter) return;
    for (const segment of truth.segments) {
      if (((packet.ack - segment.end) | 0) < 0) break;
      if (Number.isNaN(segment.latencyNs)) this.#answer([segment], flow, now);
    }
  }

  /** A datagram of a client: a question, unless one is waiting already. */
  #datagram({ segments }: FlowTruth, now: Ns): void {
    if (segments.length > 0 && Number.isNaN(segments.at(-1)!.latencyNs)) return;
    segments.push({ sentNs: now, end: 0, latencyNs: Number.NaN, waiting: [] });
    if (segments.length > segmentsMax) segments.shift();
  }

  /** Those of the segments that wait are answered now. */
  #answer(segments: readonly Segment[], flow: number, now: Ns): void {
    for (const segment of segments) {
      if (!Number.isNaN(segment.latencyNs)) continue;
      segment.latencyNs = now - segment.sentNs;
      this.#known('response', flow, segment.sentNs, segment.latencyNs);
      for (const then of segment.waiting.splice(0)) then(segment.latencyNs);
    }
  }

  /**
   * Tells `then` the latency of the handshake, or of the latest segment sent at `startNs` or before: at once, or when
   * the server answers, since an estimate that is too short comes before the truth. It is not called if there is none.
   */
  find(kind: TruthKind, flow: number, startNs: number, then: Then): void {
    const truth = this.#flows.get(flow);
    if (!truth) return;
    if (kind === 'handshake') {
      if (truth.synLatencyNs >= 0) then(truth.synLatencyNs);
      return;
    }
    const segment = segmentAt(truth.segments, startNs);
    if (!segment || startNs - segment.sentNs > truthAgeNsMax) return;
    if (segment.latencyNs >= 0) then(segment.latencyNs);
    else if (Number.isNaN(segment.latencyNs) && segment.waiting.length < waitingMax)
      segment.waiting.push(then);
  }

  #restart(flow: number): FlowTruth {
    const truth = { segments: [], newest: undefined, synNs: Number.NaN, synLatencyNs: -1, silent: 0 };
    this.#flows.delete(flow);
    this.#flows.set(flow, truth);
    if (this.#flows.size > flowsMax) this.#flows.delete(this.#flows.keys().next().value!);
    return truth;
  }

  #known(kind: TruthKind, flow: number, sentNs: number, latencyNs: number): void {
    this.records++;
    this.#onTruth(kind, flow, sentNs, latencyNs);
  }
}

/** The latest segment sent at `startNs` or before, unless the next is nearer and within what times are rounded to. */
function segmentAt(segments: readonly Segment[], startNs: number): Segment | undefined {
  const at = segments.findLastIndex(({ sentNs }) => sentNs <= startNs);
  const [before, after] = [segments[at], segments[at + 1]];
  if (!after || after.sentNs - startNs > resolutionNs) return before;
  return before && startNs - before.sentNs <= after.sentNs - startNs ? before : after;
}
