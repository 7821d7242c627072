import { FlowTable, flowTimeoutsDefault } from '../../flow/table.ts';
import { seededSecret } from '../../flow/tabulation.ts';
import { VipTable } from '../../flow/vips.ts';
import type { Estimator } from '../../latency/estimator.ts';
import { PrefixLimit } from '../../latency/prefix.ts';
import { createEstimators } from '../../latency/registry.ts';
import { Packet } from '../../net/packet.ts';
import type { PacketBatch } from '../../pcap/batch.ts';
import { CaptureReader } from '../../pcap/reader.ts';
import { ns } from '../../units.ts';
import { Engine } from '../engine.ts';
import { assignByFile, assignByMac, assignByTable, assignByVip, type FrameAssign } from './assign.ts';
import { BackendNames, backendsMax } from './backends.ts';
import { Comparison } from './comparison.ts';
import { Directions, direction } from './directions.ts';
import type { ReplayOptions } from './options.ts';
import { ReplayPool } from './pool.ts';
import { Recorder, Timeline } from './recorder.ts';
import type { ReplayFile, ReplayResult, ReplayTimeline } from './result.ts';
import { SamplesCsv } from './samples-csv.ts';
import { summarise } from './summary.ts';
import { Tally } from './tally.ts';
import { TruthFile } from './truth.ts';

/** Flows are hashed with this seed, so that the same capture gives the same result; nobody attacks a replay. */
const hashSeed = 1;

/**
 * Replays captures through the TypeScript engine, as if their client->server packets arrived at a load balancer now,
 * and tells what it would have measured and done.
 * @throws InbandError for options and files that cannot be used; what is wrong inside a capture is a warning
 */
export async function replay(
  options: ReplayOptions,
): Promise<{ result: ReplayResult; timeline: ReplayTimeline }> {
  const run = new Replay(options);
  try {
    await run.prepare();
    for (const path of options.files) await run.file(path);
    return run.finish();
  } finally {
    await run.close();
  }
}

/** The parts of one replay, and what summarises them afterwards. */
export class Replay {
  readonly options: ReplayOptions;
  readonly vips = new VipTable();
  readonly backends = new BackendNames();
  readonly tally = new Tally();
  readonly files: ReplayFile[] = [];
  readonly engine: Engine;
  readonly recorder: Recorder;
  readonly pool: ReplayPool;
  /** What results call each kind of sample: `handshake`, or `auto:request` of an estimator with several. */
  readonly labels: readonly string[];
  /** The estimator whose samples the policy acts on: `auto`, else the first of an ensemble, else the first there is. */
  readonly policyEstimator: string;
  comparison: Comparison | undefined;
  readonly #directions: Directions;
  readonly #latencies: Timeline | undefined;
  readonly #packet = new Packet();
  #assign: FrameAssign;
  #csv: SamplesCsv | undefined;
  #frame: Uint8Array = new Uint8Array(0);
  /** Whole seconds since the Unix epoch that times count from; undefined before the first packet with a time. */
  #baseS: number | undefined;

  constructor(options: ReplayOptions) {
    this.options = options;
    for (const vip of options.vips) this.vips.add(vip);
    this.#directions = new Directions(this.vips, options.vips.length === 0);
    const flows = new FlowTable(options.flows, seededSecret(hashSeed), {
      ...flowTimeoutsDefault,
      establishedNs: options.flowIdleNs,
    });
    const estimators = createEstimators(
      options.estimators,
      { timeoutsNs: options.timeoutsNs, epochNs: options.epochNs },
      { flows: flows.capacity, backends: backendsMax },
    );
    const feed = policyFeed(estimators);
    this.engine = new Engine(
      flows,
      estimators,
      (packet, vip) => this.#assign(packet, vip, this.#frame),
      (kind, latencyNs, packet, vip, backend, now) => {
        this.recorder.window(backend, kind).record(latencyNs);
        this.#latencies?.add(this.labels[kind]!, backend, now, latencyNs);
        this.comparison?.sample(
          kind,
          latencyNs,
          packet.srcPort,
          this.engine.flow,
          backend,
          now,
          this.#baseS ?? 0,
        );
        const own = kind - feed.from;
        if (own >= 0 && own < feed.kinds.length)
          this.pool.sampled(backend, own, latencyNs, ns(now - this.tally.firstNs));
        this.#csv?.add(kind, latencyNs, packet, vip, this.backends.names[backend]!, now, this.#baseS ?? 0);
      },
      new PrefixLimit(options.samplesPerPrefix ?? 0, hashSeed),
    );
    this.labels = estimators.flatMap(({ name, kinds }) =>
      kinds.map((kind) => (kinds.length === 1 ? kind : `${name}:${kind}`)),
    );
    this.recorder = new Recorder(this.labels);
    this.policyEstimator = feed.name;
    this.pool = new ReplayPool(options.policy, feed.kinds);
    this.#latencies = options.timeline ? new Timeline() : undefined;
    this.#assign = assignByVip(this.vips, this.backends);
  }

  /** Reads the files that say what to compare with, and opens those to write. */
  async prepare(): Promise<void> {
    const { options, backends, pool, vips } = this;
    for (const backend of options.backends) pool.add(backends.number(backend.name), backend);
    if (options.assign === 'table') this.#assign = assignByTable(vips, pool);
    else if (options.assign === 'dst-mac') this.#assign = assignByMac(backends, pool);
    else if (options.assign !== 'vip') this.#assign = await assignByFile(options.assign.file, backends, pool);
    const { kinds } = this.engine;
    const truth = options.truth === undefined ? undefined : await TruthFile.load(options.truth);
    if (truth || options.useServer) this.comparison = new Comparison(kinds, truth, options.timeline);
    if (options.samples !== undefined)
      this.#csv = await SamplesCsv.create(options.samples, this.labels, vips);
  }

  async file(path: string): Promise<void> {
    const base = this.#baseS;
    const reader = await CaptureReader.open(path, base === undefined ? {} : { timeBaseS: base });
    const { onProgress } = this.options;
    for await (const batch of reader.batches()) {
      this.#baseS ??= reader.timeBaseS;
      this.#batch(batch);
      onProgress?.(reader.name, reader.bytesRead, reader.sizeBytes, reader.packets);
      await this.#csv?.flush();
    }
    this.files.push({
      name: reader.name,
      packets: reader.packets,
      bytes: reader.bytesRead,
      problems: reader.problems.map(({ message, count }) =>
        count === 1 ? message : `${message} and ${count - 1} more`,
      ),
    });
  }

  finish(): { result: ReplayResult; timeline: ReplayTimeline } {
    this.comparison?.finish(this.#baseS ?? 0);
    const { firstNs, lastNs } = this.tally;
    this.pool.finish(ns(lastNs - firstNs || 0));
    const { names } = this.backends;
    return {
      result: summarise(this),
      timeline: {
        latency: this.#latencies?.series(names, firstNs) ?? [],
        truth: this.comparison?.series(names, firstNs) ?? [],
      },
    };
  }

  async close(): Promise<void> {
    await this.#csv?.flush();
    await this.#csv?.close();
  }

  #batch(batch: PacketBatch): void {
    const { data, count, offset, capturedLength, wireLength, timeNs, linkType } = batch;
    const { tally } = this;
    const packet = this.#packet;
    this.#frame = data;
    for (let i = 0; i < count; i++) {
      const now = timeNs[i]!;
      tally.seen(now);
      const verdict = packet.decode(data, offset[i]!, capturedLength[i]!, wireLength[i]!, linkType[i]!);
      if (verdict !== 0) {
        tally.verdicts[verdict]!++;
        continue;
      }
      const way = this.#directions.classify(packet);
      if (way === direction.client) this.#client(packet, now);
      else if (way === direction.server) this.#server(packet, now);
      else if (way === direction.notVip) tally.notVip++;
      else tally.vipLimit++;
    }
  }

  #client(packet: Packet, nowNs: number): void {
    const { engine } = this;
    const { vip } = this.#directions;
    const now = ns(nowNs);
    const { created } = engine.flows.counters;
    const backend = engine.forward(packet, vip, now);
    const isFirst = engine.flows.counters.created !== created;
    this.tally.forwarded(vip, backend, isFirst);
    this.comparison?.client(packet, engine.flow, backend, isFirst, now);
  }

  #server(packet: Packet, nowNs: number): void {
    this.tally.server++;
    if (!this.options.useServer || !this.comparison) return;
    const { flows } = this.engine;
    const portAndVip = (packet.dstPort << 16) | this.#directions.vip;
    const flow = flows.find(packet.dst0, packet.dst1, packet.dst2, packet.dst3, portAndVip, ns(nowNs));
    if (flow >= 0) this.comparison.server(packet, flow, flows.backend(flow), ns(nowNs));
  }
}

/** The estimator that feeds the policy, with the number of its first kind among all. */
function policyFeed(estimators: readonly Estimator[]): {
  name: string;
  kinds: readonly string[];
  from: number;
} {
  const wanted = [/^auto$/, /^ensemble/].map((name) => estimators.findIndex((one) => name.test(one.name)));
  const at = wanted.find((index) => index >= 0) ?? 0;
  const from = estimators.slice(0, at).reduce((sum, { kinds }) => sum + kinds.length, 0);
  return { name: estimators[at]!.name, kinds: estimators[at]!.kinds, from };
}
