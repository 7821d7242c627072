import { vipsMax } from '../../flow/vips.ts';
import type { LiveBins } from '../../latency/bins.ts';
import { samplesPerPrefixDefault } from '../../latency/prefix.ts';
import type { BackendSignals } from '../../latency/signals.ts';
import type { SlotTable } from '../../maglev/shares.ts';
import { type Address, type Endpoint, formatEndpoint } from '../../net/address.ts';
import { type Ns, ns } from '../../units.ts';
import {
  type BackendTraffic,
  type Datapath,
  type DatapathBackend,
  type DatapathCapacity,
  type DatapathOptions,
  type DatapathVip,
  type Fate,
  type FlowRecord,
  type LiveWindow,
  noBackend,
  type PlacedVip,
  type ProbeSource,
  type SampleRecord,
} from '../datapath.ts';
import { answerArp, arpFrameBytes, askedAddress, isArpRequest } from './arp.ts';
import { scanFlows } from './flow-records.ts';
import { Forwarder, reasons } from './forwarder.ts';
import type { Encapsulation } from './hops.ts';
import { LinkCapture, type Wanted } from './link-capture.ts';
import { checkVips, estimatorsOf, interfaceOf } from './options.ts';
import { Placement } from './placement.ts';
import { type CaptureFinding, checkCapture } from './preflight.ts';
import { ProbeSender } from './probe-sender.ts';
import { SampleStream } from './sample-stream.ts';
import { PacketSocket } from './session.ts';
import { Sweeper } from './sweeper.ts';
import { Ways } from './ways.ts';

/**
 * While frames keep coming faster than they are handled, the package never returns to the event loop. Frames in a row
 * after which all are dropped until it has returned, so that control and the local socket go on: far more than the ring
 * holds, so that a process that was stopped for a while drops none.
 */
const runMax = 65_536;
/** How often the event loop says that it goes on. */
const turnMs = 5;
/** How often it is looked whether numbers of what is gone can be given up, and in how many tables of slots: 2 ms at most. */
const releaseNs = 2e8;
const releaseSearches = 8;

/** Reasons by name; Ethernet is the only link type, and `ok` has another name. */
const shown = reasons.filter((name) => name !== 'ok' && name !== 'unsupported_link_type');
const arpAnswered = reasons.indexOf('arp_answered');
const shed = reasons.indexOf('shed');
const tooBig = reasons.indexOf('too_big');
const sendFailed = reasons.indexOf('send_failed');

/** The load balancer in this process: frames captured by libpcap, the TypeScript engine, frames or packets sent on. */
export class CaptureDatapath implements Datapath {
  readonly name = 'capture';
  readonly reason: string;
  readonly adopted = false;
  readonly #options: DatapathOptions;
  readonly #forwarder: Forwarder;
  readonly #placement: Placement;
  readonly #sweeper: Sweeper;
  readonly #stream: SampleStream;
  readonly #probes: ProbeSender;
  readonly #ways: Ways;
  readonly #originNs: number;
  readonly #notices: string[];
  readonly #turns: NodeJS.Timeout;
  readonly #capture: LinkCapture;
  #vips: readonly DatapathVip[] = [];
  #socket: PacketSocket | undefined;
  /** Vips that packets are captured for, and their IPv4 addresses. */
  #endpoints: readonly Endpoint[] = [];
  #asked: ReadonlySet<number> = new Set();
  /** Frames since the event loop went on. */
  #run = 0;
  #releasedNs = 0;
  #said = new Set<string>();

  private constructor(options: DatapathOptions, reason: string, findings: readonly CaptureFinding[]) {
    this.reason = reason;
    this.#options = options;
    this.#notices = findings.map(({ found, why, fix }) => `${found}: ${why}; ${fix}`);
    this.#forwarder = new Forwarder(
      { ...options, vips: [], estimators: estimatorsOf(options), samplesPerPrefix: samplesPerPrefixDefault },
      {
        sendFrame: (length) => this.#capture.session!.send(length),
        sendPacket: (at, length, to) => this.#socket!.send(this.#forwarder.memory, at, length, to),
      },
    );
    this.#placement = new Placement(this.#forwarder);
    this.#sweeper = new Sweeper(this.#forwarder.engine.flows, this.#forwarder.conditions);
    this.#stream = new SampleStream(this.#forwarder);
    this.#probes = new ProbeSender(this.#forwarder.hops, {
      sendFrame: (frame, length) => this.#capture.session!.send(length, frame),
      sendPacket: (memory, at, length, to) => this.#socket!.send(memory, at, length, to),
    });
    this.#ways = new Ways(options.interface);
    this.#capture = new LinkCapture(options.interface, {
      buffer: this.#forwarder.frame,
      wanted: () => this.#wanted(),
      onFrame: (length, isCut) => this.#frame(length, isCut),
    });
    this.#originNs = Number(process.hrtime.bigint()) - performance.now() * 1e6;
    this.#turns = setInterval(() => {
      this.#run = 0;
    }, turnMs).unref();
  }

  /**
   * Begins to capture on the interface and to forward.
   * @param reason why not a better datapath
   * @throws InbandError `USAGE` for what it cannot do, `ENVIRONMENT` for what is missing or in the way, `PERMISSION`
   */
  static open(options: DatapathOptions, reason = ''): CaptureDatapath {
    checkVips(options.vips);
    const link = interfaceOf(options.interface);
    const findings = checkCapture(options.interface, endpointsOf(options.vips));
    const datapath = new CaptureDatapath(options, reason, findings);
    try {
      datapath.#take(options.vips);
      datapath.#want();
      datapath.#capture.start(link);
      datapath.#forwarder.mtu = link.mtu;
      return datapath;
    } catch (error) {
      datapath.close();
      throw error;
    }
  }

  get mode(): string {
    const used = new Set(this.#vips.flatMap(({ backends }) => backends.map(encapsulationOf)));
    return [...used].sort().reverse().join('+');
  }

  get placed(): readonly PlacedVip[] {
    return this.#placement.placed;
  }

  get capacity(): DatapathCapacity {
    return { vips: vipsMax, backends: noBackend, flows: this.#options.flows };
  }

  get kinds(): readonly string[] {
    return this.#forwarder.engine.kinds;
  }

  /** Also throws `ENVIRONMENT` or `PERMISSION` for what the machine has in the way of new vips, or does not allow. */
  configure(vips: readonly DatapathVip[]): readonly PlacedVip[] {
    checkVips(vips);
    const known = new Set(endpointsOf(this.#vips).map(formatEndpoint));
    const added = endpointsOf(vips).filter((endpoint) => !known.has(formatEndpoint(endpoint)));
    if (added.length > 0) checkCapture(this.#options.interface, added);
    // Before the vips are there, so that a refusal changes nothing, and no packet is missed once they are.
    this.#want(added);
    this.#capture.filter();
    try {
      return this.#take(vips);
    } finally {
      this.#narrow();
    }
  }

  setFate(backend: number, fate: Fate): void {
    this.#forwarder.setFate(backend, fate);
  }

  slotOf(vip: number, address: Address, port: number): number {
    return this.#forwarder.slotOf(vip, address, port);
  }

  scanFlows(cursor: number, visit: (flow: FlowRecord) => void): number | undefined {
    const { estimator = 'auto' } = this.#options;
    const endpointOf = (vip: number) => this.#placement.endpointOf(vip);
    return scanFlows(this.#forwarder.engine.flows, cursor, this.#now(), estimator, endpointOf, visit);
  }

  slots(vip: number): SlotTable {
    return this.#forwarder.slots(vip);
  }

  window(backend: number, kind: number): LiveWindow {
    return this.#forwarder.samples.window(backend, kind);
  }

  histogram(backend: number, kind: number): LiveBins {
    return this.#forwarder.samples.histogram(backend, kind);
  }

  signals(backend: number): BackendSignals {
    return this.#forwarder.engine.signals(backend);
  }

  packets(): Record<string, number> {
    const { counts } = this.#forwarder;
    return {
      tx: counts[0]!,
      ...Object.fromEntries(shown.map((name) => [name, counts[reasons.indexOf(name)]!])),
      ring_full: this.#capture.dropped,
    };
  }

  flows(): Record<string, number> {
    const { flows, counters } = this.#forwarder.engine;
    const { evictedUnestablished, evictedIdle, ...rest } = flows.counters;
    return {
      ...rest,
      evicted_unestablished: evictedUnestablished,
      evicted_idle: evictedIdle,
      untracked: counters.untracked,
      samples_limited: counters.samplesLimited,
      samples_dropped:
        counters.samplesNegative +
        counters.samplesTooLong +
        counters.samplesLimited +
        this.#forwarder.samples.dropped,
      samples_lost: this.#stream.lost,
      active: flows.active,
    };
  }

  traffic(backend: number): BackendTraffic {
    return this.#forwarder.traffic(backend);
  }

  poll(): void {
    this.#capture.follow();
    const { link } = this.#capture;
    if (link) this.#forwarder.mtu = link.mtu;
    if (this.#ways.poll(performance.now(), link?.index ?? 0)) this.#setHops();
    this.#sweep();
    this.#remark();
  }

  obstacle(backend: number): string | undefined {
    const way = this.#ways.ways[backend];
    return this.#capture.outage ?? (typeof way === 'string' ? way : undefined);
  }

  notices(): readonly string[] {
    return this.#notices.splice(0);
  }

  listen(listener: (samples: readonly SampleRecord[]) => void): () => void {
    return this.#stream.listen(listener);
  }

  sendProbe(backend: number, packet: Uint8Array): boolean {
    return this.#capture.session !== undefined && this.#probes.send(backend, packet, this.#forwarder.mtu);
  }

  /** In place of the listener before of the same family. The kernel gets the packets, too, which are of no connection of its. */
  listenProbes(source: ProbeSource, listener: (packet: Uint8Array) => void): void {
    this.#forwarder.replies.listen(source, listener);
    this.#capture.filter();
  }

  close(): void {
    clearInterval(this.#turns);
    this.#stream.close();
    this.#capture.close();
    this.#socket?.close();
    this.#ways.close();
  }

  detach(): void {
    this.close();
  }

  /** Time on CLOCK_MONOTONIC, by a clock that allocates nothing. */
  #now(): Ns {
    return ns(Math.floor(this.#originNs + performance.now() * 1e6));
  }

  /** Places other vips. @throws InbandError, and everything is as it was */
  #take(vips: readonly DatapathVip[]): readonly PlacedVip[] {
    const isRouted = vips.some(({ backends }) => backends.some((one) => encapsulationOf(one) === 'ipip'));
    if (isRouted) this.#socket ??= new PacketSocket();
    const placed = this.#placement.configure(vips);
    this.#vips = vips;
    this.#ways.follow(this.#placement.destinations);
    this.#setHops();
    return placed;
  }

  #setHops(): void {
    for (const [backend, way] of this.#ways.ways.entries()) {
      this.#forwarder.setHop(backend, typeof way === 'string' ? undefined : way);
    }
  }

  /** Ends flows whose time is over, and gives up what is gone and has none. */
  #sweep(): void {
    const now = this.#now();
    const isWaiting = this.#placement.goneCount > 0;
    this.#sweeper.sweep(now, isWaiting || this.#forwarder.conditions.lostCount > 0);
    if (!isWaiting || now - this.#releasedNs < releaseNs) return;
    this.#releasedNs = now;
    const before = this.#placement.goneCount;
    if (this.#placement.release(releaseSearches)) this.#narrow();
    if (this.#placement.goneCount !== before) this.#ways.follow(this.#placement.destinations);
  }

  /** Captures no more than is wanted; where the kernel refuses, more is captured, and is that of no vip. */
  #narrow(): void {
    this.#want();
    try {
      this.#capture.filter();
    } catch (error) {
      this.#notices.push(`more is captured than needed: ${(error as Error).message}`);
    }
  }

  /** Packets are wanted to all vips, and to those that are to be `added`. */
  #want(added: readonly Endpoint[] = []): void {
    this.#endpoints = [...this.#placement.endpoints, ...added];
    const ipv4 = this.#endpoints.filter(({ address }) => address.family === 4);
    this.#asked = new Set(ipv4.map(({ address }) => address.words[0]));
  }

  #wanted(): Wanted {
    return {
      addresses: this.#endpoints.map(({ address }) => address),
      answerArp: this.#options.answerArp ?? false,
      probes: this.#forwarder.replies.sources,
    };
  }

  #frame(length: number, isCut: boolean): void {
    const { frame, counts } = this.#forwarder;
    if (++this.#run > runMax) {
      counts[shed]!++;
    } else if (frame[12] === 0x08 && frame[13] === 0x06 && isArpRequest(frame, length)) {
      this.#answerArp();
    } else {
      this.#forwarder.handle(length, isCut, this.#now());
    }
  }

  #answerArp(): void {
    const { frame, counts } = this.#forwarder;
    if (!this.#asked.has(askedAddress(frame))) {
      counts[reasons.indexOf('not_ip')]!++;
      return;
    }
    answerArp(frame, this.#capture.link!.mac);
    try {
      this.#capture.session!.send(arpFrameBytes);
      counts[arpAnswered]!++;
    } catch (error) {
      counts[sendFailed]!++;
      this.#forwarder.lastFailure = error as Error;
    }
  }

  /** Says once what goes wrong packet by packet. */
  #remark(): void {
    const { counts, lastFailure, mtu } = this.#forwarder;
    const say = (what: string, text: string) => {
      if (this.#said.has(what)) return;
      this.#said.add(what);
      this.#notices.push(text);
    };
    if (counts[sendFailed]! > 0) say('send', `a packet could not be sent: ${lastFailure?.message}`);
    if (counts[tooBig]! > 0) {
      say(
        'big',
        `a packet was larger than the MTU of ${mtu}: an offload merges packets before they get here`,
      );
    }
    if (this.#capture.dropped > 0)
      say('ring', 'packets came faster than they were taken, and the ring was full');
    if (counts[shed]! > 0) say('shed', 'packets came faster than they were forwarded, and some were dropped');
  }
}

const encapsulationOf = ({ encapsulation = 'l2' }: DatapathBackend): Encapsulation => encapsulation;

const endpointsOf = (vips: readonly DatapathVip[]): Endpoint[] => vips.map(({ endpoint }) => endpoint);
