import { InbandError } from '../../errors.ts';
import { inbandAbi, inbandLimit, inbandProbeSource, inbandSweep } from '../../generated/layout.ts';
import { BinWindow, type LiveBins } from '../../latency/bins.ts';
import type { BackendSignals } from '../../latency/signals.ts';
import type { DatapathCapacity, Fate, FlowRecord, PlacedVip, ProbeSource } from '../datapath.ts';
import { addon } from './addon.ts';
import { BackendMemory, type BackendTarget } from './backend-memory.ts';
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
  checkOptions,
  checkVips,
  encodeConfig,
  kindsOf,
  mapSizes,
  vipsIn,
  type XdpProgramOptions,
  type XdpVip,
} from './setup.ts';
import { slotEntries } from './slot-space.ts';

export { noBackend } from '../datapath.ts';
export type { BackendTarget } from './backend-memory.ts';
export type { Member } from './places.ts';
export type { XdpSample } from './samples.ts';
export type { XdpProgramOptions, XdpVip } from './setup.ts';

export const programName = 'inband';
const sweepName = 'sweep';

/** How the program is attached, and why not in native mode; `reason` is empty when it is. */
export interface Attachment {
  readonly mode: XdpMode;
  readonly reason: string;
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
  readonly #backends: BackendMemory;
  readonly #listening: Uint32Array;
  readonly #probeSource: BigInt64Array;
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
    this.#backends = new BackendMemory((map) => object.memory(map), this.kinds.length, addon().possibleCpus);
    this.#listening = this.global('listening');
    this.#probeSource = this.#global64('probe_source');
    this.#places = new Places(
      { vips: object.memory('vips'), members: object.memory('members'), slots: object.memory('slots') },
      vipsIn(object.maps.get('vips')!.maxEntries),
      options.fleetSeed ?? 0,
    );
    this.#samples = new SampleReader(object.ring('samples'));
    const words = (map: string) => new Uint32Array(object.memory(map));
    this.counters = new XdpCounters(
      words('counters'),
      words('traffic'),
      words('ended'),
      this.#backends.rows,
      this.#backends.count,
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
    const { maps } = this.#object;
    const largest = Math.max(1, ...this.#options.vips.map(({ slots }) => slotEntries(slots)));
    const tables = Math.floor(maps.get('slots')!.maxEntries / largest);
    const vips = Math.min(vipsIn(maps.get('vips')!.maxEntries), tables);
    return { vips, backends: this.#backends.count, flows: this.#options.flows };
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
    for (const number of plan.added) this.#backends.clear(number);
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
    this.#backends.setTarget(backend, target);
  }

  /** Whether a backend can be sent packets. */
  isRouted(backend: number): boolean {
    return this.#backends.isRouted(backend);
  }

  /** Sets what flows of a backend meet. */
  setFate(backend: number, fate: Fate): void {
    this.#backends.setFate(backend, fate);
  }

  /** The samples of a backend and kind since the start. */
  histogram(backend: number, kind: number): LiveBins {
    return this.#backends.histogram(backend, kind);
  }

  /** What packets tell of a backend beside latencies; all zero where no vip is measured by `auto`. */
  signals(backend: number): BackendSignals {
    return this.#backends.signals(backend);
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

  /** Whether a lost backend has flows, which are to end soon. */
  get isClearing(): boolean {
    return this.#backends.lost().some((backend) => this.counters.held(backend) > 0);
  }

  /** Frees numbers of backends that are gone and that nothing holds any more; those that are free now. */
  release(nowMs: number): number[] {
    const freed = this.#places.release((number) => this.counters.held(number), nowMs);
    for (const number of freed) this.#backends.clear(number);
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
    Atomics.store(this.#probeSource, 0, view.getBigInt64(0, true));
  }

  /** Calls for each packet handed on since the last time. */
  drainProbes(listener: (packet: Uint8Array) => void): void {
    this.#probes ??= new ProbeReader(this.#object.ring('probes'));
    this.#probes.drain(listener);
  }

  /** Lets the program hand on samples, which costs it some 30 ns each, or not. */
  setListening(isListening: boolean): void {
    this.#listening[0] = isListening ? 1 : 0;
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
}

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
