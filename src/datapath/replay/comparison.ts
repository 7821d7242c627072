import type { Packet } from '../../net/packet.ts';
import type { Ns } from '../../units.ts';
import { Accuracy } from './accuracy.ts';
import { Timeline } from './recorder.ts';
import type { EstimatorError, LatencySeries } from './result.ts';
import { ServerTruth } from './server-truth.ts';
import { type TruthFile, type TruthKind, truthKindOf } from './truth.ts';

/** Flow starts remembered per client port, to tell the backend of a row of the truth. */
const startsMax = 10_000;

/** Compares the samples of a replay with the truth: of a file, or of the capture's own server->client packets. */
export class Comparison {
  readonly #kinds: readonly TruthKind[];
  readonly #accuracy: Accuracy;
  readonly #timeline: Timeline | undefined;
  readonly #file: TruthFile | undefined;
  readonly #server: ServerTruth | undefined;
  /** When each client port's flows began, and on which backend. */
  readonly #starts = new Map<number, { ns: number[]; backend: number[] }>();
  #backend = 0;

  /**
   * @param kinds names of the kinds of samples
   * @param file the truth; without it, what both directions of the capture tell
   */
  constructor(kinds: readonly string[], file: TruthFile | undefined, timeline: boolean) {
    this.#kinds = kinds.map(truthKindOf);
    this.#accuracy = new Accuracy(kinds);
    this.#timeline = timeline ? new Timeline() : undefined;
    this.#file = file;
    if (file) return;
    this.#server = new ServerTruth((kind, _flow, sentNs, latencyNs) =>
      this.#truth(kind, this.#backend, sentNs, latencyNs),
    );
  }

  /** Where the truth comes from, and how much of it there is. */
  get truth(): { source: string; records: number } {
    return this.#file
      ? { source: this.#file.source, records: this.#file.records }
      : { source: 'both directions of the capture', records: this.#server!.records };
  }

  /** A client packet was forwarded, as part of this flow. */
  client(packet: Packet, flow: number, backend: number, isFirst: boolean, now: Ns): void {
    if (flow >= 0) this.#server?.client(packet, flow, isFirst, now);
    if (!this.#file || !isFirst) return;
    let starts = this.#starts.get(packet.srcPort);
    if (!starts) {
      starts = { ns: [], backend: [] };
      this.#starts.set(packet.srcPort, starts);
    }
    if (starts.ns.length === startsMax) return;
    starts.ns.push(now);
    starts.backend.push(backend);
  }

  /** A server packet of this flow went by. */
  server(packet: Packet, flow: number, backend: number, now: Ns): void {
    this.#backend = backend;
    this.#server?.server(packet, flow, now);
  }

  /** @param baseS whole seconds since the Unix epoch that `now` counts from */
  sample(
    kind: number,
    latencyNs: number,
    port: number,
    flow: number,
    backend: number,
    now: Ns,
    baseS: number,
  ): void {
    const start = now - latencyNs;
    const of = this.#kinds[kind]!;
    const compare = (truthNs: number) => this.#accuracy.addError(backend, kind, latencyNs, truthNs);
    this.#accuracy.addSample(backend, kind, start, latencyNs);
    if (this.#file) compare(this.#file.find(of, port, start, baseS));
    else this.#server!.find(of, flow, start, compare);
  }

  /** Takes in the rows of the truth file: only now is it known which backend each port had. */
  finish(baseS: number): void {
    for (const [kind, port, sentNs, latencyNs] of this.#file?.rows(baseS) ?? []) {
      const backend = this.#backendAt(port, sentNs + latencyNs);
      if (backend >= 0) this.#truth(kind, backend, sentNs, latencyNs);
    }
  }

  error(backends: readonly number[], kind: number): EstimatorError {
    return this.#accuracy.summary(backends, kind);
  }

  series(names: readonly string[], originNs: number): LatencySeries[] {
    return this.#timeline?.series(names, originNs) ?? [];
  }

  #truth(kind: TruthKind, backend: number, sentNs: number, latencyNs: number): void {
    this.#accuracy.addTruth(backend, kind, sentNs, latencyNs);
    this.#timeline?.add(kind, backend, sentNs, latencyNs);
  }

  /** Backend of the latest flow of the port that began before `timeNs`: a SYN is sent a little before it is seen. */
  #backendAt(port: number, timeNs: number): number {
    const starts = this.#starts.get(port);
    if (!starts) return -1;
    const at = starts.ns.findLastIndex((ns) => ns <= timeNs);
    return at < 0 ? -1 : starts.backend[at]!;
  }
}
