import { InbandError } from '../../errors.ts';
import type { LiveBins } from '../../latency/bins.ts';
import { samplesPerPrefixDefault } from '../../latency/prefix.ts';
import type { BackendSignals } from '../../latency/signals.ts';
import { type Address, formatAddress, parseAddress } from '../../net/address.ts';
import type { BackendTraffic, Datapath, DatapathOptions, LiveWindow, SampleRecord } from '../datapath.ts';
import type { InterfaceName } from './native.ts';
import { interfaces } from './neighbours.ts';
import { NextHops } from './next-hops.ts';
import { type Attachment, XdpProgram, type XdpSample, type XdpVip } from './program.ts';

/** How often the ring of samples is emptied while somebody listens. */
const drainMs = 5;

/** The load balancer in the kernel: the XDP program on one interface, and the next hops of its backends. */
export class XdpDatapath implements Datapath {
  readonly name = 'xdp';
  readonly mode: string;
  readonly reason: string;
  readonly #program: XdpProgram;
  readonly #hops: NextHops;
  /** Index of the next hop of each backend. */
  readonly #hopOf: readonly number[];
  readonly #listeners = new Set<(samples: readonly SampleRecord[]) => void>();
  #drain: NodeJS.Timeout | undefined;

  private constructor(program: XdpProgram, hops: NextHops, attachment: Attachment, hopOf: readonly number[]) {
    this.#program = program;
    this.#hops = hops;
    this.mode = attachment.mode;
    this.reason = attachment.reason;
    this.#hopOf = hopOf;
  }

  /**
   * Loads the program and attaches it; packets to the vips are dropped until their slots are written.
   * @throws InbandError `USAGE` for what it cannot do, `ENVIRONMENT` without the interface, and as `XdpProgram` does
   */
  static open(options: DatapathOptions): XdpDatapath {
    const backends = options.vips.flatMap((vip) => vip.backends.map(({ name }) => name));
    const names = [...new Set(backends)];
    const places = new Map(names.map((name, i) => [name, i]));
    const addresses = names.map(ipv4);
    const target = interfaceOf(options.interface);
    const program = XdpProgram.load({
      flows: options.flows,
      vips: placed(options),
      backends: backends.length,
      timeoutsNs: options.timeoutsNs,
      epochNs: options.epochNs,
      cliff: options.cliff,
      samplesPerPrefix: samplesPerPrefixDefault,
    });
    try {
      const attachment = program.attach(target);
      const hopOf = backends.map((name) => places.get(name)!);
      return new XdpDatapath(program, new NextHops(addresses), attachment, hopOf);
    } catch (error) {
      program.close();
      throw error;
    }
  }

  get kinds(): readonly string[] {
    return this.#program.kinds;
  }

  slots(vip: number): Uint16Array {
    return this.#program.slots(vip);
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
    const changed = new Set(this.#hops.poll(performance.now()));
    if (changed.size === 0) return;
    for (const [backend, hop] of this.#hopOf.entries()) {
      if (!changed.has(hop)) continue;
      const way = this.#hops.ways[hop]!;
      this.#program.setBackend(backend, typeof way === 'string' ? undefined : way);
    }
  }

  obstacle(backend: number): string | undefined {
    const way = this.#hops.ways[this.#hopOf[backend]!]!;
    return typeof way === 'string' ? way : undefined;
  }

  /** All that can go wrong is a state of the interface or of a backend. */
  notices(): readonly string[] {
    return [];
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

  close(): void {
    this.#stopListening();
    this.#hops.close();
    this.#program.close();
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

/** The vips with the numbers of their first backends. */
function placed({ vips, slots, estimator = 'auto' }: DatapathOptions): XdpVip[] {
  let firstBackend = 0;
  return vips.map(({ endpoint, backends }) => {
    const vip = { endpoint, slots, firstBackend, estimator };
    firstBackend += backends.length;
    return vip;
  });
}

function interfaceOf(name: string): InterfaceName {
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

function ipv4(name: string): Address {
  const address = parseAddress(name);
  if (address?.family === 4) return address;
  throw new InbandError('USAGE', `--backend: '${name}' is not an IPv4 address`, {
    hint: 'the xdp datapath forwards IPv4',
  });
}
