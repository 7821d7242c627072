import { randomBytes } from 'node:crypto';
import { FlowTable, flowsMax, flowsMin, flowTimeoutsDefault } from '../../flow/table.ts';
import { tabulationSecretWords } from '../../flow/tabulation.ts';
import { VipTable } from '../../flow/vips.ts';
import { PrefixLimit } from '../../latency/prefix.ts';
import { createEstimators } from '../../latency/registry.ts';
import { roomFor } from '../../latency/room.ts';
import {
  backendOf,
  slotHashIpv4,
  slotHashIpv6,
  slotOf,
  vipSeedIpv4,
  vipSeedIpv6,
} from '../../maglev/hash.ts';
import type { Address, Endpoint } from '../../net/address.ts';
import { etherTypeIpv4, etherTypeIpv6 } from '../../net/constants.ts';
import { ipipHeaderBytes, writeIpipHeader } from '../../net/ipip.ts';
import { Packet, verdicts } from '../../net/packet.ts';
import { writeReset } from '../../net/reset.ts';
import type { Ns } from '../../units.ts';
import { BackendConditions, conditionsCount } from '../conditions.ts';
import { type BackendTraffic, type Fate, noBackend } from '../datapath.ts';
import { answered, Engine, refused } from '../engine.ts';
import { type Hop, HopTable, hopL2 } from './hops.ts';
import { SampleMemory } from './memory.ts';
import type { PlacementTarget } from './placement.ts';
import { ProbeReplies, replyBytesMax } from './probes.ts';

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
  /** To begin with, each with its number of backends, whose numbers run over all vips. */
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
  'reset',
  'probe',
] as const;
export type Reason = (typeof reasons)[number];
const numberOf = (reason: Reason): number => reasons.indexOf(reason);
const sent = numberOf('ok');
const notVip = numberOf('not_vip');
const noBackendReason = numberOf('no_backend');
const encapsulated = numberOf('ipip');
const tooBig = numberOf('too_big');
const sendFailed = numberOf('send_failed');
const truncated = numberOf('truncated');
const reset = numberOf('reset');
const probe = numberOf('probe');

/** Numbers of a backend's traffic: packets, bytes, flows begun, flows ended. */
const trafficWords = 4;

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
export class Forwarder implements PlacementTarget {
  /** What frames are captured into. */
  readonly frame: Buffer;
  /** The same with what is before it. */
  readonly memory: Buffer;
  readonly engine: Engine;
  readonly conditions = new BackendConditions();
  readonly hops = new HopTable();
  readonly samples: SampleMemory;
  readonly replies = new ProbeReplies();
  /** Packets by the number of their reason. */
  readonly counts = new Float64Array(reasons.length);
  /** Largest IP packet that leaves by the interface. */
  mtu = frameBytesMax;
  /** The latest refusal of the kernel to send; undefined before the first. */
  lastFailure: Error | undefined;
  onSample: OnSample | undefined;
  readonly #packet = new Packet();
  readonly #vips = new VipTable();
  readonly #slots: number;
  readonly #fleetSeed: number;
  /** By vip: its slots, the seed of their hash, and whether it takes new flows. */
  readonly #tables: Uint16Array[] = [];
  readonly #seeds: number[] = [];
  readonly #isTaking: boolean[] = [];
  #traffic = new Float64Array(0);
  readonly #wire: Wire;

  constructor(options: ForwarderOptions, wire: Wire) {
    const { timeoutsNs, epochNs } = options;
    this.#slots = options.slots;
    this.#fleetSeed = options.fleetSeed ?? 0;
    const buffer = Buffer.alloc(headroomBytes + frameBytesMax);
    this.memory = buffer;
    this.frame = buffer.subarray(headroomBytes);
    this.#wire = wire;
    const lines = Math.min(flowsMax, Math.max(flowsMin, options.flows * linesPerFlow));
    const secret = options.secret ?? randomSecret();
    const table = new FlowTable(lines, secret, flowTimeoutsDefault);
    const size = { flows: table.capacity, backends: 0 };
    this.engine = new Engine(
      table,
      createEstimators(options.estimators, { timeoutsNs, epochNs }, size),
      (packet, vip) => this.#assign(packet, vip),
      (kind, latencyNs, packet, vip, backend, now) => {
        const isRecorded = this.samples.record(backend, kind, latencyNs, now);
        if (isRecorded) this.onSample?.(kind, latencyNs, packet, vip, backend, now);
      },
      new PrefixLimit(options.samplesPerPrefix ?? 0, secret[0]!),
      this.conditions.bits,
    );
    this.#countEnds();
    this.samples = new SampleMemory(this.engine.kinds.length);
    let number = 0;
    for (const { endpoint, backends } of options.vips) {
      this.addVip(endpoint);
      for (let i = 0; i < backends; i++) this.begin(number++);
    }
  }

  #countEnds(): void {
    const { flows } = this.engine;
    const close = flows.onEnd;
    flows.onEnd = (flow, backend) => {
      this.#traffic[trafficWords * backend + 3]!++;
      close?.(flow, backend);
    };
  }

  addVip(endpoint: Endpoint): number {
    const vip = this.#vips.add(endpoint);
    this.#tables[vip] = new Uint16Array(this.#slots).fill(noBackend);
    this.#seeds[vip] = seedOf(endpoint, this.#fleetSeed);
    this.#isTaking[vip] = true;
    return vip;
  }

  setTaking(vip: number, isTaking: boolean): void {
    if (isTaking && !this.#isTaking[vip]) this.#tables[vip]!.fill(noBackend);
    this.#isTaking[vip] = isTaking;
  }

  removeVip(vip: number): void {
    this.#vips.remove(vip);
    this.#tables[vip] = new Uint16Array(0);
  }

  begin(backend: number): void {
    const from = trafficWords * backend;
    this.#traffic = roomFor(this.#traffic, from + trafficWords).fill(0, from, from + trafficWords);
    this.hops.begin(backend);
    this.conditions.setReachable(backend, false);
    this.conditions.setFate(backend, 'keep');
    this.samples.begin(backend);
    this.engine.begin(backend);
  }

  setFate(backend: number, fate: Fate): void {
    this.conditions.setFate(backend, fate);
  }

  /** Where packets to a backend go; nowhere while that is undefined. */
  setHop(backend: number, hop: Hop | undefined): void {
    this.hops.set(backend, hop);
    this.conditions.setReachable(backend, hop !== undefined);
  }

  isHeld(backend: number): boolean {
    return this.traffic(backend).held > 0;
  }

  inSlots(vip: number, backends: readonly number[]): ReadonlySet<number> {
    const isAsked = new Uint8Array(conditionsCount);
    for (const backend of backends) isAsked[backend] = 1;
    const found = new Set<number>();
    const table = this.#tables[vip]!;
    for (let slot = 0; slot < table.length && found.size < backends.length; slot++) {
      const backend = table[slot]!;
      if (isAsked[backend] === 1) found.add(backend);
    }
    return found;
  }

  /** Slots of a vip. */
  slots(vip: number): Uint16Array {
    return this.#tables[vip]!;
  }

  /** The slot of a client's new flow; addresses are of the vip's family. */
  slotOf(vip: number, { words }: Address, port: number): number {
    const { family } = this.#vips.vips[vip]!.address;
    return slotOf(this.#hash(vip, family, ...words, port), this.#slots);
  }

  traffic(backend: number): BackendTraffic {
    const at = trafficWords * backend;
    const begun = this.#traffic[at + 2]!;
    return {
      packets: this.#traffic[at]!,
      bytes: this.#traffic[at + 1]!,
      flows: begun,
      held: begun - this.#traffic[at + 3]!,
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
    if (vip < 0) return this.#takeReply(isCut);
    if (isCut) return this.#drop(truncated);
    // The kernel knows nothing of our probes and resets them, which may come back to us.
    if (this.replies.isFrom(packet)) return this.#drop(probe);
    const { counters } = this.engine.flows;
    const created = counters.created;
    const backend = this.engine.forward(packet, vip, now);
    if (backend < 0) return this.#refuse(backend);
    const at = trafficWords * backend;
    if (counters.created !== created) this.#traffic[at + 2]!++;
    const isFramed = this.hops.how[backend] === hopL2;
    if (!(isFramed ? this.#sendFrame(backend, length) : this.#sendPacket(backend))) return -1;
    this.#traffic[at]!++;
    this.#traffic[at + 1]! += packet.ipLength;
    return backend;
  }

  /** The packet in hand is to no vip: it may be the reply to a probe. */
  #takeReply(isCut: boolean): number {
    const packet = this.#packet;
    const { family, src0, src1, src2, src3, srcPort, proto, ipLength } = packet;
    const listener = this.replies.listenerTo(packet);
    if (!listener || this.#vips.find(family, src0, src1, src2, src3, srcPort, proto) < 0) {
      return this.#drop(notVip);
    }
    if (!isCut && ipLength <= replyBytesMax) {
      const start = ipStart(this.frame);
      listener(this.frame.subarray(start, start + ipLength));
    }
    return this.#drop(probe);
  }

  /** @param outcome what the engine gave instead of a backend */
  #refuse(outcome: number): number {
    if (outcome === refused) return this.#drop(notVip);
    if (outcome !== answered) return this.#drop(noBackendReason);
    const length = writeReset(this.frame, ipStart(this.frame), this.#packet);
    try {
      this.#wire.sendFrame(length);
      return this.#drop(reset);
    } catch (error) {
      this.#failed(error);
      return -1;
    }
  }

  #assign({ family, src0, src1, src2, src3, srcPort }: Packet, vip: number): number {
    if (!this.#isTaking[vip]) return refused;
    return backendOf(this.#tables[vip]!, this.#hash(vip, family, src0, src1, src2, src3, srcPort));
  }

  /** Slot hash of a flow by its client's address and port. */
  #hash(vip: number, family: number, w0: number, w1: number, w2: number, w3: number, port: number): number {
    const seed = this.#seeds[vip]!;
    return family === 4 ? slotHashIpv4(seed, w0, port) : slotHashIpv6(seed, w0, w1, w2, w3, port);
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
