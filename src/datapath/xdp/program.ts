import { InbandError } from '../../errors.ts';
import {
  inbandAbi,
  inbandBackend,
  inbandFate,
  inbandGaps,
  inbandHistogram,
  inbandHop,
  inbandLimit,
  inbandProbeSource,
  inbandSignals,
  inbandSweep,
  inbandTraffic,
} from '../../generated/layout.ts';
import { BinWindow, LiveBins } from '../../latency/bins.ts';
import { type BackendSignals, noSignals } from '../../latency/signals.ts';
import { WheelSignals } from '../../latency/wheel-signals.ts';
import type { DatapathCapacity, Fate, FlowRecord, PlacedVip, ProbeSource } from '../datapath.ts';
import { addon } from './addon.ts';
import { XdpCounters } from './counters.ts';
import { FlowScan } from './flow-scan.ts';
import type { Inheritance } from './inherit.ts';
import {
  BpfObject,
  type InterfaceName,
  nativeDirectory,
  type TestRun,
  type TestRunOptions,
  type XdpLink,
  type XdpMode,
} from './native.ts';
import type { PinnedProgram } from './pinned.ts';
import { type Member, Places } from './places.ts';
import { ProbeReader } from './probes.ts';
import { SampleReader, type XdpSample } from './samples.ts';
import {
  capacityFor,
  checkOptions,
  checkVips,
  encodeConfig,
  kindsOf,
  mapSizes,
  type XdpProgramOptions,
  type XdpVip,
} from './setup.ts';

export { noBackend } from '../datapath.ts';
export type { Member } from './places.ts';
export type { XdpSample } from './samples.ts';
export type { XdpProgramOptions, XdpVip } from './setup.ts';

export const programName = 'inband';
const sweepName = 'sweep';

const interfaceMask = 2 ** inbandHop.interfaceBits - 1;

/** Where to send a backend's frames. */
export interface BackendTarget {
  /** Its own MAC, or that of the router to it. */
  readonly mac: Uint8Array;
  /** The MAC of the interface that the frames leave by. */
  readonly sourceMac: Uint8Array;
  readonly ifindex: number;
}

/** How the program is attached, and why not in native mode; `reason` is empty when it is. */
export interface Attachment {
  readonly mode: XdpMode;
  readonly reason: string;
}

/** Views of what the program keeps per CPU and backend, or in one place. */
interface Memory {
  readonly backends: Uint8Array;
  readonly hops: Int32Array;
  readonly histograms: Uint32Array;
  readonly signals: Uint32Array;
  readonly traffic: Uint32Array;
  readonly ended: Uint32Array;
  readonly gaps: Uint32Array;
  readonly listening: Uint32Array;
  readonly probeSource: BigInt64Array;
}

/**
 * The XDP program, loaded: typed views over the memory that it shares. Reading and writing them makes no system call;
 * what is written counts from the next packet on.
 */
export class XdpProgram {
  /** Kinds of samples, by number. */
  readonly kinds: readonly string[];
  readonly counters: XdpCounters;
  readonly #object: BpfObject;
  readonly #options: XdpProgramOptions;
  readonly #memory: Memory;
  /** Numbers that backends may have, CPUs, and rows of what is kept per CPU where the sweep writes as well. */
  readonly #backends: number;
  readonly #cpus: number;
  readonly #rows: number;
  readonly #places: Places;
  readonly #samples: SampleReader;
  readonly #sweep = new Uint8Array(inbandSweep.size);
  #scan: FlowScan | undefined;
  #probes: ProbeReader | undefined;
  #link: XdpLink | undefined;

  private constructor(object: BpfObject, options: XdpProgramOptions) {
    this.#object = object;
    this.#options = options;
    this.kinds = kindsOf(options).map((kind) =>
      kind === 'ensemble' ? `ensemble:${options.cliff}:backend` : kind,
    );
    const words = (map: string) => new Uint32Array(object.memory(map));
    this.#memory = {
      backends: new Uint8Array(object.memory('backends')),
      hops: new Int32Array(object.memory('backends')),
      histograms: words('histograms'),
      signals: words('signals'),
      traffic: words('traffic'),
      ended: words('ended'),
      gaps: words('gap_counts'),
      listening: this.global('listening'),
      probeSource: this.#global64('probe_source'),
    };
    this.#backends = this.#memory.backends.length / inbandBackend.size;
    this.#cpus = addon().possibleCpus;
    this.#rows = this.#cpus + 1;
    this.#places = new Places(
      { vips: object.memory('vips'), members: object.memory('members'), slots: object.memory('slots') },
      (options.capacity ?? capacityFor(options.vips)).vips,
      options.fleetSeed ?? 0,
    );
    this.#samples = new SampleReader(object.ring('samples'));
    this.counters = new XdpCounters(
      words('counters'),
      this.#memory.traffic,
      this.#memory.ended,
      this.#rows,
      this.#backends,
    );
  }

  /**
   * Loads the program with all of its memory; no packet reaches it before `attach`, or `succeed`.
   * @param build `inband`, or `inband_test`, which takes time and CPU from the globals `test_now_ns` and `test_cpu`
   * @param inheritance what it takes over from the program that runs, with the vips of that one until `configure`
   * @throws InbandError `LIMIT`, `USAGE` or `CONFIG_INVALID` for options, `NATIVE_MISSING`, `PERMISSION`, `BPF_FAILED`.
   */
  static load(
    options: XdpProgramOptions,
    build: 'inband' | 'inband_test' = 'inband',
    inheritance?: Inheritance,
  ): XdpProgram {
    checkOptions(options);
    const cpus = addon().possibleCpus;
    const sizes = inheritance?.sizes ?? mapSizes(options, cpus);
    const object = BpfObject.load(`${nativeDirectory}${build}.bpf.o`, {
      maxEntries: sizes,
      globals: { config: encodeConfig(options, sizes, cpus) },
      ...(inheritance && { reuse: inheritance.reuse }),
    });
    try {
      checkAbi(object);
      inheritance?.fill(object);
      const program = new XdpProgram(object, options);
      if (!inheritance) program.configure(options.vips);
      return program;
    } catch (error) {
      object.close();
      throw error;
    }
  }

  get capacity(): DatapathCapacity {
    const { vips } = this.#options.capacity ?? capacityFor(this.#options.vips);
    return { vips, backends: this.#backends, flows: this.#options.flows };
  }

  /** Where the vips last configured are. */
  get placed(): readonly PlacedVip[] {
    return this.#places.placed;
  }

  /** All backends that have a number. */
  get members(): readonly Member[] {
    return [...this.#places.members()];
  }

  /**
   * Takes other vips and backends in place of those before, see `Datapath`.
   * @throws InbandError `LIMIT` or `CONFIG_INVALID`; everything is as it was then
   */
  configure(vips: readonly XdpVip[]): readonly PlacedVip[] {
    checkVips(vips);
    const known = new Set<string>(kindsOf(this.#options));
    const unknown = kindsOf({ vips }).find((kind) => !known.has(kind));
    if (unknown) throw new InbandError('LIMIT', `the program was not made for samples of kind ${unknown}`);
    const plan = this.#places.plan(vips);
    for (const number of plan.added) this.#clear(number);
    for (const number of plan.returned) this.setFate(number, 'keep');
    for (const { number, fate } of this.#places.apply(plan)) this.setFate(number, fate);
    return this.placed;
  }

  /** Table of a vip: its size is that of its slots. Holds numbers of backends, or `noBackend`. */
  slots(vip: number): Uint16Array {
    return this.#places.slots(vip);
  }

  /** Seed of a vip's slot hash. */
  seed(vip: number): number {
    return this.#places.seed(vip);
  }

  /** Sets where a backend's frames go; undefined makes it unusable: packets to it are dropped. */
  setBackend(backend: number, target: BackendTarget | undefined): void {
    const { backends, hops } = this.#memory;
    const at = backend * inbandBackend.size;
    const { macAddresses } = inbandBackend.fields;
    const hopAt = this.#hopAt(backend);
    const fate = hops[hopAt]! & ~interfaceMask;
    if (!target) {
      Atomics.store(hops, hopAt, fate);
      return;
    }
    const next = fate | (target.ifindex & interfaceMask);
    const macs = Buffer.concat([target.mac, target.sourceMac]);
    const macsAt = at + macAddresses.offset;
    // Not for a moment unusable when nothing changes, as after a restart of the daemon.
    if (hops[hopAt] === next && macs.equals(backends.subarray(macsAt, macsAt + macs.length))) return;
    // Unusable while it changes, so that no frame leaves with half an address. Atomics keep the order.
    Atomics.store(hops, hopAt, fate);
    backends.set(macs, macsAt);
    Atomics.store(hops, hopAt, next);
  }

  /** Whether a backend can be sent packets. */
  isRouted(backend: number): boolean {
    return (this.#memory.hops[this.#hopAt(backend)]! & interfaceMask) !== 0;
  }

  /** Sets what flows of a backend meet. */
  setFate(backend: number, fate: Fate): void {
    const { hops } = this.#memory;
    const hopAt = this.#hopAt(backend);
    Atomics.store(hops, hopAt, (hops[hopAt]! & interfaceMask) | fateBits[inbandFate[fate]]!);
  }

  /** The samples of a backend and kind since the start. */
  histogram(backend: number, kind: number): LiveBins {
    const stride = inbandHistogram.size / 4;
    const starts = this.#cells(backend, this.#rows).map((cell) => (cell * this.kinds.length + kind) * stride);
    return new LiveBins(this.#memory.histograms, starts);
  }

  /** What packets tell of a backend beside latencies; all zero where no vip is measured by `auto`. */
  signals(backend: number): BackendSignals {
    if (!this.#hasAuto) return noSignals;
    const starts = this.#cells(backend, this.#rows).map((cell) => (cell * inbandSignals.size) / 4);
    return new WheelSignals(this.#memory.signals, starts);
  }

  /** A window over the samples of a backend and kind that begins now. */
  window(backend: number, kind: number): BinWindow {
    return new BinWindow(this.histogram(backend, kind));
  }

  /** Sets of the flow table. */
  get sets(): number {
    return this.#object.maps.get('flows')!.maxEntries;
  }

  /** Ends flows whose time is over in so many sets of the flow table; how many that were. About 0.1 us a set. */
  sweep(setFirst: number, sets: number): number {
    const view = new DataView(this.#sweep.buffer);
    view.setUint32(inbandSweep.fields.setFirst.offset, setFirst, true);
    view.setUint32(inbandSweep.fields.setCount.offset, Math.min(sets, inbandLimit.sweepSetsMax), true);
    return this.#object.call(sweepName, this.#sweep);
  }

  /** Whether flows are to end soon: their backends are lost, or their numbers wait to be free. */
  get isClearing(): boolean {
    if (this.#places.isWaiting) return true;
    const { hops } = this.#memory;
    const stride = inbandBackend.size / 4;
    for (let at = inbandBackend.fields.hop.offset / 4; at < hops.length; at += stride)
      if (hops[at]! < 0) return true;
    return false;
  }

  /** Frees numbers of backends that are gone and that nothing holds any more; those that are free now. */
  release(nowMs: number): number[] {
    const freed = this.#places.release((number) => this.counters.held(number), nowMs);
    for (const number of freed) this.#clear(number);
    return freed;
  }

  /** See `Datapath.scanFlows`. */
  scanFlows(cursor: number, nowNs: number, visit: (flow: FlowRecord) => void): number | undefined {
    this.#scan ??= new FlowScan(this.#object.memory('flows'), (place) => this.#places.indexAt(place));
    return this.#scan.next(cursor, nowNs, visit);
  }

  /** Hands on packets from vips to these ports, instead of leaving them to the kernel; to nobody if undefined. */
  setProbeSource(source: ProbeSource | undefined): void {
    const { addrBe, portFirst, portLast } = inbandProbeSource.fields;
    const view = new DataView(new ArrayBuffer(inbandProbeSource.size));
    if (source) {
      view.setInt32(addrBe.offset, source.address.words[0]);
      view.setUint16(portFirst.offset, source.portFirst, true);
      view.setUint16(portLast.offset, source.portLast, true);
    }
    Atomics.store(this.#memory.probeSource, 0, view.getBigInt64(0, true));
  }

  /** Calls for each packet handed on since the last time. */
  drainProbes(listener: (packet: Uint8Array) => void): void {
    this.#probes ??= new ProbeReader(this.#object.ring('probes'));
    this.#probes.drain(listener);
  }

  /** Lets the program hand on samples, which costs it some 30 ns each, or not. */
  setListening(isListening: boolean): void {
    this.#memory.listening[0] = isListening ? 1 : 0;
  }

  /** The samples handed on since the last call, at most 4096 of them. */
  drainSamples(): XdpSample[] {
    return this.#samples.drain();
  }

  /**
   * Attaches to an interface in native mode or, where its driver cannot, in generic mode.
   * @throws InbandError as `BpfObject.attach` does
   */
  attach(target: InterfaceName): Attachment {
    try {
      this.#link = this.#object.attach(programName, target, 'native');
      return { mode: 'native', reason: '' };
    } catch (error) {
      if (!(error instanceof InbandError) || error.code !== 'XDP_UNSUPPORTED') throw error;
      this.#link = this.#object.attach(programName, target, 'generic');
      return { mode: 'generic', reason: error.message };
    }
  }

  /**
   * Takes the place of the program that a link holds, between two packets.
   * @throws InbandError `HOOK_TAKEN` when that is another one than `expected`
   */
  succeed(link: XdpLink, expected: PinnedProgram): void {
    this.#object.replaceIn(link, programName, expected);
    this.#link = link;
  }

  /** What holds it on its interface; undefined while it is on none. */
  get link(): XdpLink | undefined {
    return this.#link;
  }

  /** Lets go of the link: unless that is pinned, the program leaves its interface. */
  detach(): void {
    this.#link?.close();
    this.#link = undefined;
  }

  /** Detaches, and unloads everything that is not pinned: all views become empty. */
  close(): void {
    this.detach();
    this.#samples.close();
    this.#probes?.close();
    this.#object.close();
  }

  /** Runs the program on a frame (bpf_prog_test_run). */
  testRun(frame: Uint8Array, options?: TestRunOptions): TestRun {
    return this.#object.testRun(programName, frame, options);
  }

  /** The loaded object, for benches and tests that look at what nobody else needs: lines of the flow table, tail calls. */
  get object(): BpfObject {
    return this.#object;
  }

  /** A global variable of the program, as 32-bit words. */
  global(name: string): Uint32Array {
    const global = this.#object.globals.get(name);
    if (!global) throw new InbandError('BPF_FAILED', `${this.#object.path}: no global variable ${name}`);
    return new Uint32Array(this.#object.memory(global.map), global.offset, global.size / 4);
  }

  /** One of 64 bits. */
  #global64(name: string): BigInt64Array {
    const { buffer, byteOffset } = this.global(name);
    return new BigInt64Array(buffer, byteOffset, 1);
  }

  #hopAt(backend: number): number {
    return (backend * inbandBackend.size + inbandBackend.fields.hop.offset) / 4;
  }

  get #hasAuto(): boolean {
    return this.#memory.signals.length * 4 > inbandSignals.size;
  }

  /** Where what is kept of a backend is, by row. */
  #cells(backend: number, rows: number): number[] {
    return Array.from({ length: rows }, (_, row) => row * this.#backends + backend);
  }

  /** Nothing is known of a backend, and it cannot be used. Nothing may hold its number. */
  #clear(backend: number): void {
    const { backends, histograms, signals, traffic, ended, gaps } = this.#memory;
    backends.fill(0, backend * inbandBackend.size, (backend + 1) * inbandBackend.size);
    for (const [words, size, rows] of [
      [histograms, inbandHistogram.size * this.kinds.length, this.#rows],
      [traffic, inbandTraffic.size, this.#rows],
      [ended, 8, this.#rows],
      [signals, this.#hasAuto ? inbandSignals.size : 0, this.#rows],
      [gaps, this.#hasAuto ? inbandGaps.size : 0, this.#cpus],
    ] as const) {
      for (const cell of this.#cells(backend, rows))
        words.fill(0, (cell * size) / 4, ((cell + 1) * size) / 4);
    }
  }
}

/** Bits of a hop by enum inband_fate. */
const fateBits: readonly number[] = [
  0,
  1 << inbandHop.lostBit,
  (1 << inbandHop.lostBit) | (1 << inbandHop.resetBit),
];

/** @throws InbandError `NATIVE_MISSING` when the program was built from another version of inband.h. */
function checkAbi(object: BpfObject): void {
  const key = new Uint8Array(4);
  const abi = object.globals.get('inband_abi');
  const section = abi && object.lookup(abi.map, key);
  const found = section && new DataView(section.buffer).getUint32(abi.offset, true);
  if (found === inbandAbi.abi) return;
  throw new InbandError('NATIVE_MISSING', `${object.path}: ABI ${found}, not ${inbandAbi.abi}`, {
    hint: 'build it again: node native/build.mjs',
  });
}
