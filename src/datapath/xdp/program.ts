import { InbandError } from '../../errors.ts';
import { inbandAbi, inbandBackend, inbandHistogram, inbandSignals } from '../../generated/layout.ts';
import { BinWindow, LiveBins } from '../../latency/bins.ts';
import { type BackendSignals, noSignals } from '../../latency/signals.ts';
import { WheelSignals } from '../../latency/wheel-signals.ts';
import { addon } from './addon.ts';
import { XdpCounters } from './counters.ts';
import {
  BpfObject,
  type InterfaceName,
  nativeDirectory,
  type TestRun,
  type TestRunOptions,
  type XdpLink,
  type XdpMode,
} from './native.ts';
import { SampleReader, type XdpSample } from './samples.ts';
import {
  checkOptions,
  encodeConfig,
  hasAuto,
  kindsOf,
  placeVips,
  setCount,
  slotStarts,
  type XdpProgramOptions,
} from './setup.ts';

export type { XdpSample } from './samples.ts';
export type { XdpProgramOptions, XdpVip } from './setup.ts';

const programName = 'inband';

/** In a slot: no backend, and packets of new flows are dropped. */
export const noBackend = 0xffff;

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

/**
 * The XDP program, loaded: typed views over the memory that it shares. Reading and writing them makes no system call;
 * what is written counts from the next packet on. Backends are numbered over all vips.
 */
export class XdpProgram {
  /** Kinds of samples, by number. */
  readonly kinds: readonly string[];
  readonly counters: XdpCounters;
  readonly #object: BpfObject;
  readonly #options: XdpProgramOptions;
  readonly #slotStarts: readonly number[];
  readonly #slots: Uint16Array;
  readonly #backends: Uint8Array;
  readonly #interfaces: Int32Array;
  readonly #histograms: Uint32Array;
  readonly #signals: Uint32Array;
  readonly #listening: Uint32Array;
  readonly #samples: SampleReader;
  #link: XdpLink | undefined;

  private constructor(object: BpfObject, options: XdpProgramOptions) {
    this.#object = object;
    this.#options = options;
    this.kinds = kindsOf(options.vips).map((kind) =>
      kind === 'ensemble' ? `ensemble:${options.cliff}:backend` : kind,
    );
    this.#slotStarts = slotStarts(options.vips);
    this.#slots = new Uint16Array(object.memory('slots'));
    this.#slots.fill(noBackend);
    this.#backends = new Uint8Array(object.memory('backends'));
    this.#interfaces = new Int32Array(object.memory('backends'));
    this.#histograms = new Uint32Array(object.memory('histograms'));
    this.#signals = new Uint32Array(object.memory('signals'));
    this.#listening = this.global('listening');
    this.#samples = new SampleReader(object.ring('samples'));
    this.counters = new XdpCounters(
      new Uint32Array(object.memory('counters')),
      new Uint32Array(object.memory('traffic')),
      addon().possibleCpus,
      options.backends,
    );
  }

  /**
   * Loads the program with all of its memory; no packet reaches it before `attach`.
   * @param build `inband`, or `inband_test`, which takes time and CPU from the globals `test_now_ns` and `test_cpu`
   * @throws InbandError `LIMIT`, `USAGE` or `CONFIG_INVALID` for options, `NATIVE_MISSING`, `PERMISSION`, `BPF_FAILED`.
   */
  static load(options: XdpProgramOptions, build: 'inband' | 'inband_test' = 'inband'): XdpProgram {
    checkOptions(options);
    const { vips, flows, backends, fleetSeed = 0 } = options;
    const places = placeVips(vips, fleetSeed);
    const cpus = addon().possibleCpus;
    const cells = cpus * Math.max(1, backends);
    const object = BpfObject.load(`${nativeDirectory}${build}.bpf.o`, {
      maxEntries: {
        vips: places.mask + 1,
        slots: Math.max(1, slotStarts(vips).at(-1)! / 4),
        backends: Math.max(1, backends),
        flows: setCount(flows),
        counters: cpus,
        traffic: cells,
        gap_counts: hasAuto(vips) ? cells : 1,
        signals: hasAuto(vips) ? cells : 1,
        prefixes: cpus,
        histograms: Math.max(1, cells * kindsOf(vips).length),
      },
      globals: { config: encodeConfig(options, places) },
    });
    try {
      checkAbi(object);
      new Uint8Array(object.memory('vips')).set(places.entries);
      return new XdpProgram(object, options);
    } catch (error) {
      object.close();
      throw error;
    }
  }

  /** Table of a vip: its size is that of its slots. Holds numbers from the vip's first backend on, or `noBackend`. */
  slots(vip: number): Uint16Array {
    const start = this.#slotStarts[vip]!;
    return this.#slots.subarray(start, start + this.#options.vips[vip]!.slots);
  }

  /** Sets where a backend's frames go; undefined makes it unusable: packets to it are dropped. */
  setBackend(backend: number, target: BackendTarget | undefined): void {
    const at = backend * inbandBackend.size;
    const { macAddresses, ifindex } = inbandBackend.fields;
    const interfaceAt = (at + ifindex.offset) / 4;
    // Unusable while it changes, so that no frame leaves with half an address. Atomics keep the order.
    Atomics.store(this.#interfaces, interfaceAt, 0);
    if (!target) return;
    this.#backends.set(target.mac, at + macAddresses.offset);
    this.#backends.set(target.sourceMac, at + macAddresses.offset + target.mac.length);
    Atomics.store(this.#interfaces, interfaceAt, target.ifindex);
  }

  /** The samples of a backend and kind since the start. */
  histogram(backend: number, kind: number): LiveBins {
    const stride = inbandHistogram.size / 4;
    const starts = Array.from({ length: addon().possibleCpus }, (_, cpu) => {
      return ((cpu * this.#options.backends + backend) * this.kinds.length + kind) * stride;
    });
    return new LiveBins(this.#histograms, starts);
  }

  /** What packets tell of a backend beside latencies; all zero where no vip is measured by `auto`. */
  signals(backend: number): BackendSignals {
    if (!hasAuto(this.#options.vips)) return noSignals;
    const { backends } = this.#options;
    const starts = Array.from({ length: addon().possibleCpus }, (_, cpu) => {
      return ((cpu * backends + backend) * inbandSignals.size) / 4;
    });
    return new WheelSignals(this.#signals, starts);
  }

  /** A window over the samples of a backend and kind that begins now. */
  window(backend: number, kind: number): BinWindow {
    return new BinWindow(this.histogram(backend, kind));
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

  detach(): void {
    this.#link?.close();
    this.#link = undefined;
  }

  /** Detaches, and unloads everything: all views become empty. */
  close(): void {
    this.detach();
    this.#samples.close();
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
