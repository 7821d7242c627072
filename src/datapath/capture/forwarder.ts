import { randomBytes } from 'node:crypto';
import { FlowTable, flowsMax, flowsMin, flowTimeoutsDefault } from '../../flow/table.ts';
import { tabulationSecretWords } from '../../flow/tabulation.ts';
import { VipTable } from '../../flow/vips.ts';
import { PrefixLimit } from '../../latency/prefix.ts';
import { createEstimators } from '../../latency/registry.ts';
import { backendOf, slotHashIpv4, slotHashIpv6, vipSeedIpv4, vipSeedIpv6 } from '../../maglev/hash.ts';
import type { Endpoint } from '../../net/address.ts';
import { etherTypeIpv4, etherTypeIpv6 } from '../../net/constants.ts';
import { ipipHeaderBytes, writeIpipHeader } from '../../net/ipip.ts';
import { Packet, verdicts } from '../../net/packet.ts';
import type { Ns } from '../../units.ts';
import type { BackendTraffic } from '../datapath.ts';
import { Engine } from '../engine.ts';
import { HopTable, hopIpip, hopL2 } from './hops.ts';
import { SampleMemory } from './memory.ts';

/** Lines of the flow table per flow to be held: sets do not fill evenly. */
const linesPerFlow = 2;
const linkTypeEthernet = 1;
const ethernetHeaderBytes = 14;
const vlanTagBytes = 4;

/** Where a frame captured begins in the memory that it is captured into: room for an outer header before its packet. */
export const headroomBytes = 64;
/** Largest frame that the kernel hands on to a capture. */
export const frameBytesMax = 65_535;

/** How packets leave a forwarder. Both throw when the kernel refuses one. */
export interface Wire {
  /** Sends the first `length` bytes of the frame in hand. */
  sendFrame(length: number): void;
  /** Sends an IPv4 packet of the memory in hand, which the kernel routes. */
  sendPacket(at: number, length: number, destination: string): void;
}

/** What a forwarder is made of. */
export interface ForwarderOptions {
  /** Each with its number of backends, whose numbers run over all vips. */
  readonly vips: readonly { readonly endpoint: Endpoint; readonly backends: number }[];
  readonly slots: number;
  /** Flows to be held at a time. */
  readonly flows: number;
  /** Estimators by name. */
  readonly estimators: readonly string[];
  readonly timeoutsNs: readonly Ns[];
  readonly epochNs: Ns;
  /** What clients of one prefix may add, see `PrefixLimit`; no limit by default. */
  readonly samplesPerPrefix?: number;
  /** Seed of the slot hash, equal on every load balancer of a fleet. */
  readonly fleetSeed?: number;
  readonly secret?: Int32Array;
}

/** Ways in which a packet leaves the forwarder, by number; the verdicts of `Packet` come first, `ok` standing for `tx`. */
export const reasons = [
  ...verdicts,
  'not_vip',
  'no_backend',
  'ipip',
  'too_big',
  'send_failed',
  'shed',
  'arp_answered',
] as const;
export type Reason = (typeof reasons)[number];
const numberOf = (reason: Reason): number => reasons.indexOf(reason);
const sent = numberOf('ok');
const notVip = numberOf('not_vip');
const noBackend = numberOf('no_backend');
const encapsulated = numberOf('ipip');
const tooBig = numberOf('too_big');
const sendFailed = numberOf('send_failed');
const truncated = numberOf('truncated');

/** Called with each sample that was recorded. */
export type OnSample = (
  kind: number,
  latencyNs: number,
  packet: Packet,
  vip: number,
  backend: number,
  now: Ns,
) => void;

/**
 * From the bytes of a captured frame to the backend: decodes it, has the engine find its flow and measure, and sends it
 * on. Reads no clock and allocates nothing per packet.
 */
export class Forwarder {
  /** What frames are captured into. */
  readonly frame: Buffer;
  /** The same with what is before it. */
  readonly memory: Buffer;
  readonly engine: Engine;
  readonly hops: HopTable;
  readonly samples: SampleMemory;
  /** Packets by the number of their reason. */
  readonly counts = new Float64Array(reasons.length);
  /** Largest IP packet that leaves by the interface. */
  mtu = frameBytesMax;
  /** The latest refusal of the kernel to send; undefined before the first. */
  lastFailure: Error | undefined;
  onSample: OnSample | undefined;
  readonly #packet = new Packet();
  readonly #vips = new VipTable();
  readonly #tables: Uint16Array[];
  readonly #seeds: number[];
  /** Number of each vip's first backend. */
  readonly #firsts: number[] = [];
  readonly #traffic: Float64Array;
  readonly #wire: Wire;

  constructor(options: ForwarderOptions, wire: Wire) {
    const { vips, slots, timeoutsNs, epochNs, fleetSeed = 0 } = options;
    let total = 0;
    for (const { endpoint, backends } of vips) {
      this.#vips.add(endpoint);
      this.#firsts.push(total);
      total += backends;
    }
    const buffer = Buffer.alloc(headroomBytes + frameBytesMax);
    this.memory = buffer;
    this.frame = buffer.subarray(headroomBytes);
    this.#wire = wire;
    this.#tables = vips.map(() => new Uint16Array(slots));
    this.#seeds = vips.map(({ endpoint }) => seedOf(endpoint, fleetSeed));
    this.#traffic = new Float64Array(3 * total);
    this.hops = new HopTable(total);
    const lines = Math.min(flowsMax, Math.max(flowsMin, options.flows * linesPerFlow));
    const secret = options.secret ?? randomSecret();
    const table = new FlowTable(lines, secret, flowTimeoutsDefault);
    const size = { flows: table.capacity, backends: total };
    const estimators = createEstimators(options.estimators, { timeoutsNs, epochNs }, size);
    this.engine = new Engine(
      table,
      estimators,
      (packet, vip) => this.#assign(packet, vip),
      (kind, latencyNs, packet, vip, backend, now) => {
        const isRecorded = this.samples.record(backend, kind, latencyNs, now);
        if (isRecorded) this.onSample?.(kind, latencyNs, packet, vip, backend, now);
      },
      new PrefixLimit(options.samplesPerPrefix ?? 0, secret[0]!),
    );
    this.samples = new SampleMemory(total, this.engine.kinds.length);
  }

  /** Slots of a vip: numbers from its first backend on. */
  slots(vip: number): Uint16Array {
    return this.#tables[vip]!;
  }

  traffic(backend: number): BackendTraffic {
    const at = 3 * backend;
    return {
      packets: this.#traffic[at]!,
      bytes: this.#traffic[at + 1]!,
      flows: this.#traffic[at + 2]!,
    };
  }

  /**
   * Handles the frame in hand.
   * @param length of it that was captured
   * @param isCut whether it was longer
   * @param now time of its arrival on the monotonic clock
   * @returns number of its backend, -1 if it was not sent to one
   */
  handle(length: number, isCut: boolean, now: Ns): number {
    const packet = this.#packet;
    const verdict = packet.decode(this.frame, 0, length, length, linkTypeEthernet);
    if (verdict !== 0) return this.#drop(verdict);
    const { family, dst0, dst1, dst2, dst3, dstPort, proto } = packet;
    const vip = this.#vips.find(family, dst0, dst1, dst2, dst3, dstPort, proto);
    if (vip < 0) return this.#drop(notVip);
    if (isCut) return this.#drop(truncated);
    const { counters } = this.engine.flows;
    const created = counters.created;
    const backend = this.engine.forward(packet, vip, now);
    const at = 3 * backend;
    if (counters.created !== created) this.#traffic[at + 2]!++;
    const how = this.hops.how[backend];
    if (how === hopL2) {
      if (!this.#sendFrame(backend, length)) return -1;
    } else if (how !== hopIpip) {
      return this.#drop(noBackend);
    } else if (!this.#sendPacket(backend)) {
      return -1;
    }
    this.#traffic[at]!++;
    this.#traffic[at + 1]! += packet.ipLength;
    return backend;
  }

  #assign(packet: Packet, vip: number): number {
    const { src0, src1, src2, src3, srcPort } = packet;
    const seed = this.#seeds[vip]!;
    const hash =
      packet.family === 4
        ? slotHashIpv4(seed, src0, srcPort)
        : slotHashIpv6(seed, src0, src1, src2, src3, srcPort);
    return this.#firsts[vip]! + backendOf(this.#tables[vip]!, hash);
  }

  #sendFrame(backend: number, length: number): boolean {
    if (length > this.mtu + ethernetHeaderBytes && length > this.mtu + ipStart(this.frame)) {
      this.counts[tooBig]!++;
      return false;
    }
    this.hops.writeMacs(this.frame, backend);
    try {
      this.#wire.sendFrame(length);
    } catch (error) {
      this.#failed(error);
      return false;
    }
    this.counts[sent]!++;
    return true;
  }

  #sendPacket(backend: number): boolean {
    const { hops } = this;
    const { ipLength } = this.#packet;
    const outerLength = ipLength + ipipHeaderBytes;
    if (outerLength > hops.mtus[backend]!) {
      this.counts[tooBig]!++;
      return false;
    }
    const at = headroomBytes + ipStart(this.frame) - ipipHeaderBytes;
    writeIpipHeader(this.memory, at, ipLength, hops.sources[backend]!, hops.destinations[backend]!);
    try {
      this.#wire.sendPacket(at, outerLength, hops.destinationTexts[backend]!);
    } catch (error) {
      this.#failed(error);
      return false;
    }
    this.counts[encapsulated]!++;
    return true;
  }

  #failed(error: unknown): void {
    this.counts[sendFailed]!++;
    this.lastFailure = error as Error;
  }

  #drop(reason: number): number {
    this.counts[reason]!++;
    return -1;
  }
}

function seedOf({ address: { family, words }, port, proto }: Endpoint, fleetSeed: number): number {
  return family === 4
    ? vipSeedIpv4(fleetSeed, words[0], port, proto)
    : vipSeedIpv6(fleetSeed, ...words, port, proto);
}

/** Where the IP header of a decoded Ethernet frame begins: behind its VLAN tags. */
function ipStart(frame: Uint8Array): number {
  let at = ethernetHeaderBytes;
  for (;;) {
    const type = (frame[at - 2]! << 8) | frame[at - 1]!;
    if (type === etherTypeIpv4 || type === etherTypeIpv6) return at;
    at += vlanTagBytes;
  }
}

const randomSecret = (): Int32Array =>
  new Int32Array(new Uint8Array(randomBytes(4 * tabulationSecretWords)).buffer);
