import { InbandError } from '../../errors.ts';
import type { LiveBins } from '../../latency/bins.ts';
import { samplesPerPrefixDefault } from '../../latency/prefix.ts';
import type { BackendSignals } from '../../latency/signals.ts';
import { slotHashIpv4, slotOf } from '../../maglev/hash.ts';
import { type Address, formatAddress, parseAddress } from '../../net/address.ts';
import type {
  BackendTraffic,
  Datapath,
  DatapathCapacity,
  DatapathOptions,
  DatapathVip,
  Fate,
  FlowRecord,
  LiveWindow,
  PlacedVip,
  ProbeSource,
  SampleRecord,
} from '../datapath.ts';
import { FrameSender } from './frame-sender.ts';
import { LinkKeeper } from './link-keeper.ts';
import type { InterfaceName } from './native.ts';
import { interfaces } from './neighbours.ts';
import { NextHops } from './next-hops.ts';
import { isInBpffs, readPinDirectory, removePins, removeStalePins } from './pins.ts';
import type { XdpProgram, XdpSample, XdpVip } from './program.ts';
import { Sweeper } from './sweeper.ts';
import { type Installed, install } from './take-over.ts';

/** How often the ring of samples is emptied while somebody listens, and that of answers to probes. */
const drainMs = 5;
const probesMs = 10;
/** How long next hops of the process before are gone by where none is found: an address is asked for again meanwhile. */
const believedMs = 3_000;
const endsWithProcess = 'forwarding ends with this process';
/** An Ethernet header, as probes get one. */
const headerBytes = 14;
const typeIpv4 = 0x0800;

/** The load balancer in the kernel: the XDP program on one interface, and the next hops of its backends. */
export class XdpDatapath implements Datapath {
  readonly name = 'xdp';
  readonly adopted: boolean;
  readonly pinned: string | undefined;
  readonly #options: DatapathOptions;
  readonly #program: XdpProgram;
  readonly #hops = new NextHops([]);
  readonly #link: LinkKeeper;
  #sweeper: Sweeper | undefined;
  /** Numbers of the backends at each next hop, and the next hop of each. */
  #numbersAt: number[][] = [];
  #hopOf = new Map<number, number>();
  readonly #listeners = new Set<(samples: readonly SampleRecord[]) => void>();
  #drain: NodeJS.Timeout | undefined;
  #probes: NodeJS.Timeout | undefined;
  /** Made at once, as this process may give up the privilege; undefined where it never had it. */
  readonly #sender: FrameSender | undefined;
  #notices: string[];
  /** Backends that the process before could reach, while this one has not found out; and until when they are believed. */
  readonly #believed = new Set<number>();
  readonly #believedUntilMs = performance.now() + believedMs;

  private constructor(installed: Installed, options: DatapathOptions, notices: readonly string[]) {
    const { program, attachment, adopted } = installed;
    this.#program = program;
    this.#options = options;
    this.adopted = adopted;
    this.pinned = options.pin;
    this.#link = new LinkKeeper(program, attachment, options.interface, options.pin);
    this.#notices = [...notices, ...installed.notices];
    this.#sender = this.#openSender();
    for (const { number } of program.members) if (program.isRouted(number)) this.#believed.add(number);
    this.#sweeper = new Sweeper(program);
    this.#follow();
  }

  /**
   * Loads the program and attaches it; packets to the vips are dropped until their slots are written. With `pin`, it takes
   * the place of the one that runs there, if one does: slots, flows and counters are as they were left.
   * @throws InbandError `USAGE` for what it cannot do, `ENVIRONMENT` without the interface, and as `install` does
   */
  static open(options: DatapathOptions): XdpDatapath {
    const vips = xdpVips(options.vips, options);
    const { pin, ...unpinned } = options;
    const isPinned = pin !== undefined && (options.pinRequired === true || isInBpffs(pin));
    // What runs on an interface that is down goes on with control, and forwards when it comes up.
    const target = interfaceOf(options.interface, isPinned && readPinDirectory(pin)?.hasLink === true);
    if (isPinned) removeStalePins();
    const installed = install(
      {
        flows: options.flows,
        vips,
        timeoutsNs: options.timeoutsNs,
        epochNs: options.epochNs,
        cliff: options.cliff,
        samplesPerPrefix: samplesPerPrefixDefault,
      },
      target,
      isPinned ? pin : undefined,
    );
    try {
      const notices =
        isPinned || pin === undefined ? [] : [`${pin} is in no BPF file system: ${endsWithProcess}`];
      return new XdpDatapath(installed, isPinned ? options : unpinned, notices);
    } catch (error) {
      installed.program.close();
      throw error;
    }
  }

  get mode(): string {
    return this.#link.attachment.mode;
  }

  get reason(): string {
    return this.#link.attachment.reason;
  }

  get placed(): readonly PlacedVip[] {
    return this.#program.placed;
  }

  get capacity(): DatapathCapacity {
    return this.#program.capacity;
  }

  configure(vips: readonly DatapathVip[]): readonly PlacedVip[] {
    const placed = this.#program.configure(xdpVips(vips, this.#options));
    this.#follow();
    return placed;
  }

  setFate(backend: number, fate: Fate): void {
    this.#program.setFate(backend, fate);
  }

  get kinds(): readonly string[] {
    return this.#program.kinds;
  }

  slots(vip: number): Uint16Array {
    return this.#program.slots(vip);
  }

  slotOf(vip: number, { words }: Address, port: number): number {
    const hash = slotHashIpv4(this.#program.seed(vip), words[0] >>> 0, port);
    return slotOf(hash, this.slots(vip).length);
  }

  scanFlows(cursor: number, visit: (flow: FlowRecord) => void): number | undefined {
    return this.#program.scanFlows(cursor, Number(process.hrtime.bigint()), visit);
  }

  window(backend: number, kind: number): LiveWindow {
    return this.#program.window(backend, kind);
  }

  histogram(backend: number, kind: number): LiveBins {
    return this.#program.histogram(backend, kind);
  }

  signals(backend: number): BackendSignals {
    return this.#program.signals(backend);
  }

  packets(): Record<string, number> {
    return this.#program.counters.packets();
  }

  flows(): Record<string, number> {
    return this.#program.counters.flows();
  }

  traffic(backend: number): BackendTraffic {
    return this.#program.counters.traffic(backend);
  }

  poll(): void {
    const nowMs = performance.now();
    const news = this.#link.poll(nowMs);
    if (news !== undefined) this.#notices.push(news);
    for (const hop of this.#hops.poll(nowMs)) {
      for (const backend of this.#numbersAt[hop]!) this.#route(backend, hop);
    }
    if (this.#believed.size > 0 && nowMs >= this.#believedUntilMs) this.#stopBelieving();
    this.#sweep(nowMs);
    if (this.#program.release(nowMs).length > 0) this.#follow();
  }

  obstacle(backend: number): string | undefined {
    const way = this.#hops.ways[this.#hopOf.get(backend)!]!;
    return typeof way === 'string' && !this.#believed.has(backend) ? way : undefined;
  }

  notices(): readonly string[] {
    const notices = this.#notices;
    this.#notices = [];
    return notices;
  }

  listen(listener: (samples: readonly SampleRecord[]) => void): () => void {
    this.#listeners.add(listener);
    this.#program.setListening(true);
    this.#drain ??= setInterval(() => this.#handOn(), drainMs);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#stopListening();
    };
  }

  sendProbe(backend: number, packet: Uint8Array): boolean {
    const way = this.#hops.ways[this.#hopOf.get(backend) ?? -1];
    if (!this.#sender || !way || typeof way === 'string') return false;
    const frame = new Uint8Array(headerBytes + packet.length);
    frame.set(way.mac);
    frame.set(way.sourceMac, 6);
    frame.set([typeIpv4 >> 8, typeIpv4 & 255], 12);
    frame.set(packet, headerBytes);
    return this.#sender.send(way.ifindex, frame);
  }

  listenProbes(source: ProbeSource, listener: (packet: Uint8Array) => void): void {
    clearInterval(this.#probes);
    this.#program.setProbeSource(source);
    this.#probes = setInterval(() => this.#program.drainProbes(listener), probesMs);
  }

  close(): void {
    this.#stopListening();
    clearInterval(this.#probes);
    this.#sender?.close();
    this.#hops.close();
    this.#program.close();
  }

  detach(): void {
    // By the link and not by its pin, as this process may have become a user that may not remove pins.
    this.#program.link?.detach();
    this.close();
    if (this.pinned === undefined) return;
    try {
      removePins(this.pinned);
    } catch (error) {
      // What is left is of no interface, and whoever may remove it does so when a load balancer starts there.
      if (!(error instanceof InbandError)) throw error;
    }
  }

  #sweep(nowMs: number): void {
    try {
      this.#sweeper?.poll(nowMs);
    } catch (error) {
      if (!(error instanceof InbandError) || error.code !== 'PERMISSION') throw error;
      // Kernels before 6.5 want CAP_BPF for it, which a daemon that runs as another user has no more.
      this.#sweeper = undefined;
      this.#notices.push(
        'flows end with later packets only: this user may not run the sweep of the flow table',
      );
    }
  }

  /** Looks after the next hops of all backends that have a number; those that are known count at once. */
  #follow(): void {
    const hops = new Map<number, number>();
    this.#numbersAt = [];
    this.#hopOf = new Map();
    for (const { number, address } of this.#program.members) {
      let hop = hops.get(address);
      if (hop === undefined) {
        hop = hops.size;
        hops.set(address, hop);
        this.#numbersAt.push([]);
      }
      this.#numbersAt[hop]!.push(number);
      this.#hopOf.set(number, hop);
    }
    this.#hops.follow([...hops.keys()].map((word) => ({ family: 4, words: [word, 0, 0, 0] })));
    for (const [backend, hop] of this.#hopOf) {
      if (!this.#program.isRouted(backend)) this.#route(backend, hop);
    }
  }

  #openSender(): FrameSender | undefined {
    try {
      return FrameSender.open();
    } catch (error) {
      if (!(error instanceof InbandError) || error.code !== 'PERMISSION') throw error;
      this.#notices.push(`backends cannot be checked: ${error.message}; give node CAP_NET_RAW`);
      return undefined;
    }
  }

  #route(backend: number, hop: number): void {
    const way = this.#hops.ways[hop]!;
    if (typeof way !== 'string') this.#believed.delete(backend);
    else if (this.#believed.has(backend)) return;
    this.#program.setBackend(backend, typeof way === 'string' ? undefined : way);
  }

  #stopBelieving(): void {
    const believed = [...this.#believed];
    this.#believed.clear();
    for (const backend of believed) {
      const hop = this.#hopOf.get(backend);
      if (hop !== undefined) this.#route(backend, hop);
    }
  }

  #handOn(): void {
    const samples = this.#program.drainSamples().map((sample) => this.#record(sample));
    if (samples.length === 0) return;
    for (const listener of this.#listeners) listener(samples);
  }

  #record({ kind, clientAddress, ...sample }: XdpSample): SampleRecord {
    return {
      ...sample,
      kind: this.kinds[kind]!,
      clientAddress: formatAddress(4, clientAddress, 0, 0, 0),
    };
  }

  #stopListening(): void {
    clearInterval(this.#drain);
    this.#drain = undefined;
    this.#program.setListening(false);
  }
}

const xdpVips = (vips: readonly DatapathVip[], { slots, estimator = 'auto' }: DatapathOptions): XdpVip[] =>
  vips.map(({ endpoint, backends, lostFlows = 'keep' }) => {
    const addresses = backends.map(({ name }) => ipv4(name).words[0]);
    return { endpoint, slots, backends: addresses, estimator, lostFlows };
  });

function interfaceOf(name: string, mayBeDown: boolean): InterfaceName {
  const all = interfaces();
  const found = all.find((one) => one.name === name);
  if (!found) {
    throw new InbandError('ENVIRONMENT', `--interface: there is no interface '${name}'`, {
      hint: `there is ${all.map((one) => one.name).join(', ')}`,
    });
  }
  if (found.up || mayBeDown) return found;
  throw new InbandError('ENVIRONMENT', `--interface: ${name} is down`, { hint: `ip link set ${name} up` });
}

function ipv4(name: string): Address {
  const address = parseAddress(name);
  if (address?.family === 4) return address;
  throw new InbandError('USAGE', `--backend: '${name}' is not an IPv4 address`, {
    hint: 'the xdp datapath forwards IPv4',
  });
}
