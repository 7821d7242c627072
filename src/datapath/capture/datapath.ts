import { InbandError } from '../../errors.ts';
import type { LiveBins } from '../../latency/bins.ts';
import { samplesPerPrefixDefault } from '../../latency/prefix.ts';
import type { BackendSignals } from '../../latency/signals.ts';
import type { SlotTable } from '../../maglev/shares.ts';
import { type Endpoint, formatAddress, formatEndpoint, parseAddress } from '../../net/address.ts';
import type { Packet } from '../../net/packet.ts';
import { type Ns, ns } from '../../units.ts';
import type {
  BackendTraffic,
  Datapath,
  DatapathBackend,
  DatapathOptions,
  LiveWindow,
  SampleRecord,
} from '../datapath.ts';
import { interfaces, type NetInterface, NetworkWatch } from '../xdp/neighbours.ts';
import { answerArp, arpFrameBytes, askedAddress, isArpRequest } from './arp.ts';
import { captureFilter } from './filter.ts';
import { Forwarder, reasons } from './forwarder.ts';
import { type CaptureFinding, checkCapture } from './preflight.ts';
import { PacketSocket, Session } from './session.ts';
import { type Destination, Ways } from './ways.ts';

/** Memory of the kernel's ring: some 16,000 frames of an Ethernet MTU, or 500 where offloads make places large. */
const ringBytes = 64 << 20;
/** Samples handed on at once, and how often; what comes beyond is lost to who listens. */
const batchMax = 4_096;
const handOnMs = 5;
/**
 * While frames keep coming faster than they are handled, the package never returns to the event loop. Frames in a row
 * after which all are dropped until it has returned, so that control and the local socket go on: far more than the ring
 * holds, so that a process that was stopped for a while drops none.
 */
const runMax = 65_536;
/** How often the event loop says that it goes on. */
const turnMs = 5;

/** Reasons by name; Ethernet is the only link type, and `ok` has another name. */
const shown = reasons.filter((name) => name !== 'ok' && name !== 'unsupported_link_type');
const arpAnswered = reasons.indexOf('arp_answered');
const shed = reasons.indexOf('shed');
const tooBig = reasons.indexOf('too_big');
const sendFailed = reasons.indexOf('send_failed');

/** The load balancer in this process: frames captured by libpcap, the TypeScript engine, frames or packets sent on. */
export class CaptureDatapath implements Datapath {
  readonly name = 'capture';
  readonly mode: string;
  readonly reason: string;
  readonly #options: DatapathOptions;
  readonly #forwarder: Forwarder;
  readonly #ways: Ways;
  readonly #socket: PacketSocket | undefined;
  readonly #asked: ReadonlySet<number>;
  readonly #originNs: number;
  readonly #listeners = new Set<(samples: readonly SampleRecord[]) => void>();
  readonly #notices: string[];
  readonly #turns: NodeJS.Timeout;
  readonly #watch = new NetworkWatch();
  #session: Session | undefined;
  #link: NetInterface | undefined;
  /** Why nothing is captured; undefined while it is. */
  #outage: string | undefined;
  /** Whether the kernel refused the last try to capture; the next one is when the interface changes, as each costs memory. */
  #isRefused = false;
  /** Frames since the event loop went on. */
  #run = 0;
  #ringFull = 0;
  #batch: SampleRecord[] = [];
  #samplesLost = 0;
  #handOn: NodeJS.Timeout | undefined;
  #said = new Set<string>();

  private constructor(options: DatapathOptions, reason: string, findings: readonly CaptureFinding[]) {
    const destinations = options.vips.flatMap(({ backends }) => backends.map(destinationOf));
    const used = new Set(destinations.map(({ encapsulation }) => encapsulation));
    const endpoints = endpointsOf(options);
    this.mode = [...used].sort().reverse().join('+');
    this.reason = reason;
    this.#options = options;
    this.#notices = findings.map(({ found, why, fix }) => `${found}: ${why}; ${fix}`);
    this.#asked = new Set(endpoints.map(({ address }) => address.words[0]));
    this.#socket = used.has('ipip') ? new PacketSocket() : undefined;
    this.#forwarder = new Forwarder(
      {
        ...options,
        vips: options.vips.map(({ endpoint, backends }) => ({ endpoint, backends: backends.length })),
        estimators: estimatorsOf(options),
        samplesPerPrefix: samplesPerPrefixDefault,
      },
      {
        sendFrame: (length) => this.#session!.send(length),
        sendPacket: (at, length, to) => this.#socket!.send(this.#forwarder.memory, at, length, to),
      },
    );
    this.#ways = new Ways(destinations, options.interface);
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
    checkOptions(options);
    const link = interfaceOf(options.interface);
    const findings = checkCapture(options.interface, endpointsOf(options));
    const datapath = new CaptureDatapath(options, reason, findings);
    try {
      datapath.#capture(link);
      return datapath;
    } catch (error) {
      datapath.close();
      throw error;
    }
  }

  get kinds(): readonly string[] {
    return this.#forwarder.engine.kinds;
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
      ring_full: this.#ringFull,
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
      samples_lost: this.#samplesLost,
      active: flows.active,
    };
  }

  traffic(backend: number): BackendTraffic {
    return this.#forwarder.traffic(backend);
  }

  poll(): void {
    this.#countRing();
    this.#follow();
    if (this.#ways.poll(performance.now(), this.#link?.index ?? 0)) {
      for (const [backend, way] of this.#ways.ways.entries()) {
        this.#forwarder.hops.set(backend, typeof way === 'string' ? undefined : way);
      }
    }
    this.#remark();
  }

  obstacle(backend: number): string | undefined {
    const way = this.#ways.ways[backend]!;
    return this.#outage ?? (typeof way === 'string' ? way : undefined);
  }

  notices(): readonly string[] {
    return this.#notices.splice(0);
  }

  listen(listener: (samples: readonly SampleRecord[]) => void): () => void {
    this.#listeners.add(listener);
    this.#forwarder.onSample = (...sample) => this.#collect(...sample);
    this.#handOn ??= setInterval(() => this.#handOnSamples(), handOnMs);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#stopListening();
    };
  }

  close(): void {
    clearInterval(this.#turns);
    this.#stopListening();
    this.#session?.close();
    this.#session = undefined;
    this.#socket?.close();
    this.#ways.close();
    this.#watch.close();
  }

  /** Time on CLOCK_MONOTONIC, by a clock that allocates nothing. */
  #now(): Ns {
    return ns(Math.floor(this.#originNs + performance.now() * 1e6));
  }

  #capture(link: NetInterface): void {
    const filter = captureFilter(endpointsOf(this.#options), link.mac, this.#options.answerArp ?? false);
    const { frame } = this.#forwarder;
    this.#forwarder.mtu = link.mtu;
    this.#link = link;
    this.#session = new Session(link, filter, ringBytes, frame, (length, isCut) =>
      this.#frame(length, isCut),
    );
    this.#outage = undefined;
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
    answerArp(frame, this.#link!.mac);
    try {
      this.#session!.send(arpFrameBytes);
      counts[arpAnswered]!++;
    } catch (error) {
      counts[sendFailed]!++;
      this.#forwarder.lastFailure = error as Error;
    }
  }

  /** Takes note of what the ring had no room for. */
  #countRing(): void {
    if (this.#session) this.#ringFull += this.#session.statistics().dropped;
  }

  /** Captures anew when the interface is another one, or was down: a capture does not survive that. */
  #follow(): void {
    const name = this.#options.interface;
    const link = interfaces().find((one) => one.name === name);
    const wasDown = this.#wasDown();
    const isSame = link && this.#link && link.index === this.#link.index && same(link.mac, this.#link.mac);
    if (link?.up && isSame && !wasDown && (this.#session || this.#isRefused)) {
      this.#forwarder.mtu = link.mtu;
      return;
    }
    this.#session?.close();
    this.#session = undefined;
    this.#outage = link ? `interface ${name} is down` : `interface ${name} is gone`;
    this.#link = link;
    this.#isRefused = false;
    if (!link?.up) return;
    try {
      this.#capture(link);
    } catch (error) {
      this.#isRefused = true;
      this.#outage = (error as Error).message;
    }
  }

  /** Whether the interface was down, or may have been, since the last call. */
  #wasDown(): boolean {
    return this.#watch
      .read()
      .some(
        (change) =>
          change.kind === 'lost' ||
          (change.kind === 'interface' &&
            change.interface.index === this.#link?.index &&
            (change.gone || !change.interface.up)),
      );
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
    if (this.#ringFull > 0) say('ring', 'packets came faster than they were taken, and the ring was full');
    if (counts[shed]! > 0) say('shed', 'packets came faster than they were forwarded, and some were dropped');
  }

  #collect(kind: number, latencyNs: number, packet: Packet, vip: number, backend: number, timeNs: Ns): void {
    if (this.#batch.length === batchMax) {
      this.#samplesLost++;
      return;
    }
    const { family, src0, src1, src2, src3, srcPort } = packet;
    this.#batch.push({
      timeNs,
      latencyNs,
      kind: this.kinds[kind]!,
      clientAddress: formatAddress(family, src0, src1, src2, src3),
      clientPort: srcPort,
      vip,
      backend,
    });
  }

  #handOnSamples(): void {
    if (this.#batch.length === 0) return;
    const samples = this.#batch;
    this.#batch = [];
    for (const listener of this.#listeners) listener(samples);
  }

  #stopListening(): void {
    clearInterval(this.#handOn);
    this.#handOn = undefined;
    this.#forwarder.onSample = undefined;
    this.#batch = [];
  }
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** Names of the estimators that options ask for. */
function estimatorsOf({ estimator = 'auto', cliff }: DatapathOptions): string[] {
  return estimator === 'auto' ? ['auto'] : ['handshake', `ensemble:${cliff}:backend`];
}

const endpointsOf = ({ vips }: DatapathOptions): Endpoint[] => vips.map(({ endpoint }) => endpoint);

function destinationOf({ name, encapsulation = 'l2' }: DatapathBackend): Destination {
  return { address: parseAddress(name)!, encapsulation };
}

/** @throws InbandError `USAGE` for a backend that is no address, or that cannot be reached as it is to be */
function checkOptions({ vips }: DatapathOptions): void {
  for (const { endpoint, backends } of vips) {
    for (const { name, encapsulation } of backends) {
      const address = parseAddress(name);
      if (!address) throw new InbandError('USAGE', `--backend: '${name}' is not an address`);
      if (encapsulation !== 'ipip' || (address.family === 4 && endpoint.address.family === 4)) continue;
      const what = address.family === 6 ? `the backend ${name}` : `the vip ${formatEndpoint(endpoint)}`;
      throw new InbandError('USAGE', `encap=ipip: ${what} is not IPv4`, {
        hint: 'IP-in-IP carries IPv4 in IPv4; leave encap=ipip out',
      });
    }
  }
}

function interfaceOf(name: string): NetInterface {
  const all = interfaces();
  const found = all.find((one) => one.name === name);
  if (!found) {
    throw new InbandError('ENVIRONMENT', `--interface: there is no interface '${name}'`, {
      hint: `there is ${all.map((one) => one.name).join(', ')}`,
    });
  }
  if (found.up) return found;
  throw new InbandError('ENVIRONMENT', `--interface: ${name} is down`, { hint: `ip link set ${name} up` });
}
