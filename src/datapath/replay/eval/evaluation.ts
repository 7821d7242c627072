import { VipTable } from '../../../flow/vips.ts';
import { createEstimators } from '../../../latency/registry.ts';
import { Packet, tcpAck, tcpSyn } from '../../../net/packet.ts';
import type { PacketBatch } from '../../../pcap/batch.ts';
import { CaptureReader } from '../../../pcap/reader.ts';
import { type Ns, ns } from '../../../units.ts';
import { Engine } from '../../engine.ts';
import { assignByFile, assignByMac, assignByVip, type FrameAssign } from '../assign.ts';
import { BackendNames, backendsMax } from '../backends.ts';
import { Directions, direction } from '../directions.ts';
import { ServerTruth } from '../server-truth.ts';
import { Tally } from '../tally.ts';
import { TruthFile, type TruthKind, truthKindOf } from '../truth.ts';
import type { CaptureFiles } from './captures.ts';
import { Exchanges } from './exchanges.ts';
import { Lane, laneTable } from './lane.ts';
import type { EvalOptions } from './options.ts';
import type { PacketLog } from './packet-log.ts';
import { Latencies, median, type Samples, upsert } from './samples.ts';
import { readSwitches, type Switch } from './switches.ts';

/** Backends without a pool: nobody moves their slots here. */
const noPool = { has: () => true, add: () => {} };

/** Flow starts remembered per client port, to tell the backend of a row of the truth. */
const startsMax = 10_000;

/** A flow's beginning, by client port. */
interface Starts {
  readonly ns: number[];
  readonly backend: number[];
}

/**
 * One capture shown to every estimator at once, each in an engine of its own, together with the truth. Server packets
 * are kept from the estimators: they are there for the truth only.
 */
export class Evaluation {
  readonly files: CaptureFiles;
  readonly lanes: readonly Lane[];
  readonly backends = new BackendNames();
  readonly tally = new Tally();
  readonly truth: Record<TruthKind, Latencies> = { handshake: new Latencies(), response: new Latencies() };
  readonly exchanges: Exchanges | undefined;
  readonly problems: string[] = [];
  switches: readonly Switch[] = [];
  packets = 0;
  readonly #options: EvalOptions;
  readonly #log: PacketLog | undefined;
  readonly #vips = new VipTable();
  readonly #directions: Directions;
  readonly #base: Engine;
  readonly #packet = new Packet();
  readonly #starts = new Map<number, Starts>();
  /** Per flow whose first data is yet to come: when it was opened. */
  readonly #opened = new Map<number, number>();
  /** How much earlier than it passed the load balancer the client says that the first request of each flow was sent. */
  readonly #leads: number[] = [];
  #assign: FrameAssign;
  #file: TruthFile | undefined;
  #server: ServerTruth | undefined;
  #serverBackend = 0;
  #frame: Uint8Array = new Uint8Array(0);
  #baseS: number | undefined;

  /** @param log takes packets for measuring what estimators cost, as long as it has room */
  constructor(files: CaptureFiles, options: EvalOptions, log?: PacketLog) {
    this.files = files;
    this.#options = options;
    this.#log = log;
    for (const vip of options.vips) this.#vips.add(vip);
    this.#directions = new Directions(this.#vips, options.vips.length === 0);
    this.#assign = assignByVip(this.#vips, this.backends);
    const assign = (packet: Packet, vip: number) => this.#assign(packet, vip, this.#frame);
    this.#base = new Engine(laneTable(options.flows), [], assign, () => {});
    this.lanes = createEstimators(options.estimators, options, {
      flows: this.#base.flows.capacity,
      backends: backendsMax,
    }).map((estimator) => new Lane(estimator, laneTable(options.flows), assign, this.#sample));
    if (files.truth !== undefined) return;
    this.exchanges = new Exchanges();
    this.#server = new ServerTruth((kind, _flow, sentNs, latencyNs) => {
      this.truth[kind].add(sentNs, latencyNs, this.#serverBackend);
    });
  }

  get source(): string {
    return this.#file?.source ?? 'both directions of the capture';
  }

  get flows(): number {
    return this.#base.flows.counters.created;
  }

  /** New flows that found the table full. */
  get refused(): number {
    return this.#base.flows.counters.refused;
  }

  /** @throws InbandError for files that cannot be read; what is wrong inside the capture goes to `problems` */
  async run(): Promise<void> {
    const { files, backends } = this;
    if (files.truth !== undefined) this.#file = await TruthFile.load(files.truth);
    if (this.#options.assign === 'dst-mac') this.#assign = assignByMac(backends, noPool);
    else if (files.flows !== undefined) this.#assign = await assignByFile(files.flows, backends, noPool);
    const reader = await CaptureReader.open(files.path);
    for await (const batch of reader.batches()) {
      this.#baseS ??= reader.timeBaseS;
      this.#batch(batch);
      this.#options.onProgress?.(this.files.name, reader.bytesRead, reader.sizeBytes, reader.packets);
    }
    this.packets = reader.packets;
    this.problems.push(...reader.problems.map(({ message }) => message));
    const baseS = this.#baseS ?? 0;
    if (files.switches !== undefined) this.switches = await readSwitches(files.switches, baseS);
    if (this.#file) this.#compare(this.#file, baseS);
  }

  #batch({ data, count, offset, capturedLength, wireLength, timeNs, linkType }: PacketBatch): void {
    const packet = this.#packet;
    this.#frame = data;
    for (let i = 0; i < count; i++) {
      const now = ns(timeNs[i]!);
      this.tally.seen(now);
      const [at, captured, wire, link] = [offset[i]!, capturedLength[i]!, wireLength[i]!, linkType[i]!];
      if (packet.decode(data, at, captured, wire, link) !== 0) continue;
      const way = this.#directions.classify(packet);
      if (way === direction.server) this.#fromServer(packet, now);
      if (way !== direction.client) continue;
      this.#fromClient(packet, now);
      this.#log?.add(data.subarray(at, at + captured), wire, link, now, this.#directions.vip);
    }
  }

  #fromClient(packet: Packet, now: Ns): void {
    const base = this.#base;
    const { vip } = this.#directions;
    const { created } = base.flows.counters;
    const backend = base.forward(packet, vip, now);
    const isFirst = base.flows.counters.created !== created;
    const { flow } = base;
    this.tally.forwarded(vip, backend, isFirst);
    if (flow >= 0) this.#server?.client(packet, flow, isFirst, now);
    if (this.#file) this.#noteStart(this.#file, packet, flow, backend, isFirst, now);
    const turns = flow >= 0 ? (this.exchanges?.client(packet, flow, isFirst) ?? 0) : 0;
    const place = { flow, backend, turns };
    for (const lane of this.lanes) lane.forward(packet, vip, now, place);
  }

  #fromServer(packet: Packet, now: Ns): void {
    this.tally.server++;
    if (!this.#server) return;
    const { flows } = this.#base;
    const portAndVip = (packet.dstPort << 16) | this.#directions.vip;
    const flow = flows.find(packet.dst0, packet.dst1, packet.dst2, packet.dst3, portAndVip, now);
    if (flow < 0) return;
    this.#serverBackend = flows.backend(flow);
    this.#server.server(packet, flow, now);
    this.exchanges?.server(packet, flow);
  }

  #sample = (samples: Samples, index: number, flow: number, startNs: number): void => {
    if (index < 0 || !this.#server) return;
    this.#server.find(truthKindOf(samples.kind), flow, startNs, (latencyNs) => {
      samples.truthNs[index] = latencyNs;
    });
  };

  /** Remembers which backend a client port had when, and how long its first request was on its way. */
  #noteStart(
    file: TruthFile,
    packet: Packet,
    flow: number,
    backend: number,
    isFirst: boolean,
    now: Ns,
  ): void {
    if (isFirst) {
      const starts = upsert(this.#starts, packet.srcPort, (): Starts => ({ ns: [], backend: [] }));
      if (starts.ns.length < startsMax) {
        starts.ns.push(now);
        starts.backend.push(backend);
      }
      const isSyn = (packet.tcpFlags & (tcpSyn | tcpAck)) === tcpSyn;
      if (isSyn && flow >= 0) this.#opened.set(flow, now);
      return;
    }
    const opened = packet.payloadLength > 0 ? this.#opened.get(flow) : undefined;
    if (opened === undefined) return;
    this.#opened.delete(flow);
    const sent = file.firstAfter('response', packet.srcPort, opened, this.#baseS ?? 0);
    if (sent <= now) this.#leads.push(now - sent);
  }

  /** Takes in the rows of the truth file, and finds the one that each sample is compared with. */
  #compare(file: TruthFile, baseS: number): void {
    const { firstNs, lastNs } = this.tally;
    for (const [kind, port, sentNs, latencyNs] of file.rows(baseS)) {
      const endNs = sentNs + latencyNs;
      const backend = endNs >= firstNs && endNs <= lastNs ? this.#backendAt(port, endNs) : -1;
      if (backend >= 0) this.truth[kind].add(sentNs, latencyNs, backend);
    }
    const lead = median(this.#leads);
    for (const { samples } of this.lanes) {
      for (const { kind, startNs, port, truthNs } of samples) {
        const of = truthKindOf(kind);
        for (let i = 0; i < startNs.length; i++) {
          truthNs[i] =
            lead === null
              ? file.find(of, port[i]!, startNs[i]!, baseS)
              : file.nearest(of, port[i]!, startNs[i]! - lead, baseS);
        }
      }
    }
  }

  /** Backend of the latest flow of the port that began before `timeNs`: a SYN is sent a little before it is seen. */
  #backendAt(port: number, timeNs: number): number {
    const starts = this.#starts.get(port);
    const at = starts?.ns.findLastIndex((start) => start <= timeNs) ?? -1;
    return at < 0 ? -1 : starts!.backend[at]!;
  }
}
