import { InbandError } from '../../errors.ts';
import {
  addon,
  type GlobalSpec,
  type MapSpec,
  type ObjectHandle,
  type OpenedObject,
  type RingHandle,
} from './addon.ts';
import { attachFailure, flagsOf, type InterfaceName, XdpLink, type XdpMode } from './link.ts';
import { native } from './native-error.ts';
import type { PinnedMap, PinnedProgram } from './pinned.ts';

export type { GlobalSpec, MapSpec } from './addon.ts';
export { nativeDirectory } from './addon.ts';
export { type HookHolder, hookHolder, type InterfaceName, XdpLink, type XdpMode } from './link.ts';

/** BPF_MAP_TYPE_* of linux/bpf.h whose use differs. */
const mapType = { progArray: 3, perCpuHash: 5, perCpuArray: 6, lruPerCpuHash: 10, ring: 27 } as const;
const perCpuTypes: readonly number[] = [mapType.perCpuHash, mapType.perCpuArray, mapType.lruPerCpuHash];
/** BPF_F_MMAPABLE and BPF_F_RDONLY_PROG, which marks `.rodata`: JavaScript cannot be kept from writing to a buffer. */
const mmapable = 1 << 10;
const readOnly = 1 << 7;
const liveFrames = 1 << 1;
/** What a program may add to a packet in a test run: an outer IPv6 header, twice, and some more. */
const growthBytes = 256;
/** The kernel takes packets of one page less headroom and tailroom; with frags, more. */
const packetBytesMax = 1 << 16;

export interface TestRunOptions {
  /** Runs of the program on the packet, 1 by default. The packet is not restored in between. */
  readonly repeat?: number;
  /** Sends what the program lets out, from `ifindex`, in batches of this many frames; then no packet comes back. */
  readonly liveBatch?: number;
  /** The interface, by its index, that the packet seems to come from; the loopback by default. */
  readonly ifindex?: number;
  readonly rxQueue?: number;
  /** Where the packet as the program left it goes, to be used again and again; allocated when not given. */
  readonly out?: Uint8Array;
}

export interface TestRun {
  /** XDP_ABORTED 0, XDP_DROP 1, XDP_PASS 2, XDP_TX 3, XDP_REDIRECT 4. */
  readonly verdict: number;
  /** Mean of all runs, in whole ns. */
  readonly durationNs: number;
  /** The packet as the program left it; empty with live frames. */
  readonly packet: Uint8Array;
}

export interface BpfObjectOptions {
  /** Sizes of maps by name, instead of those in the object. */
  readonly maxEntries?: Readonly<Record<string, number>>;
  /** Maps by name that are taken as they are, with their sizes, instead of being made. */
  readonly reuse?: ReadonlyMap<string, PinnedMap>;
  /** Initial values of global variables by name; numbers are written in the variable's size. */
  readonly globals?: Readonly<Record<string, number | bigint | Uint8Array>>;
}

/** The bytes of a global variable's value. */
function globalBytes({ name, size }: GlobalSpec, value: number | bigint | Uint8Array): Uint8Array {
  const misfit = () =>
    new InbandError('BPF_FAILED', `global ${name}: ${value} does not fit its ${size} bytes`);
  if (value instanceof Uint8Array) {
    if (value.length !== size) throw misfit();
    return value;
  }
  if (typeof value === 'number' && !Number.isSafeInteger(value)) throw misfit();
  const bits = BigInt(8 * size);
  const number = BigInt(value);
  if (size > 8 || number < -(1n << (bits - 1n)) || number >= 1n << bits) throw misfit();
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, number), true);
  return bytes.subarray(0, size);
}

/** What differs of a pinned map from the one that an object describes, but for the number of entries. */
function differenceOf(spec: MapSpec, pinned: PinnedMap['spec']): string | undefined {
  if (spec.type !== pinned.type) return 'type';
  if (spec.keySize !== pinned.keySize) return 'size of keys';
  if (spec.valueSize !== pinned.valueSize) return 'size of values';
  return spec.flags === pinned.flags ? undefined : 'flags';
}

const isCount = (value: number, max: number) => Number.isInteger(value) && value >= 0 && value <= max;

/** Throws when a caller breaks a contract that the addon relies on. */
function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new RangeError(what);
}

/**
 * A BPF object file, loaded into the kernel: its maps and programs by their names. Everything it gave out is invalid
 * after `close`, except links, which hold the program that they attached.
 */
export class BpfObject {
  readonly path: string;
  /** By name, with the sizes in use. Data sections are the maps `.bss`, `.data` and `.rodata`. */
  readonly maps: ReadonlyMap<string, MapSpec>;
  readonly programs: readonly string[];
  readonly globals: ReadonlyMap<string, GlobalSpec>;
  readonly #handle: ObjectHandle;
  readonly #mapIndex: ReadonlyMap<string, number>;
  readonly #memory = new Map<string, ArrayBuffer>();
  readonly #result = new Uint32Array(3);

  private constructor(path: string, opened: OpenedObject, maps: readonly MapSpec[]) {
    this.path = path;
    this.#handle = opened.handle;
    this.maps = new Map(maps.map((map) => [map.name, map]));
    this.#mapIndex = new Map(maps.map((map, index) => [map.name, index]));
    this.programs = opened.programs;
    this.globals = new Map(opened.globals.map((global) => [global.name, global]));
  }

  /**
   * Loads an object file.
   * @throws InbandError `BPF_FAILED` when the file is missing or malformed, names an unknown map or variable in
   *   `options`, or the verifier rejects a program (the end of its log is in the hint); `PERMISSION`; `NATIVE_MISSING`.
   */
  static load(path: string, options: BpfObjectOptions = {}): BpfObject {
    const calls = addon();
    const opened = native(path, () => calls.open(path));
    try {
      const maps = opened.maps.map((map) => ({
        ...map,
        maxEntries:
          options.reuse?.get(map.name)?.spec.maxEntries ?? options.maxEntries?.[map.name] ?? map.maxEntries,
      }));
      const object = new BpfObject(path, opened, maps);
      for (const [name, count] of Object.entries(options.maxEntries ?? {})) {
        check(isCount(count, 2 ** 32 - 1) && count > 0, `${name}: ${count} entries`);
        if (options.reuse?.has(name)) continue;
        native(`${path}: map ${name}`, () =>
          calls.setMaxEntries(opened.handle, object.#map(name).index, count),
        );
      }
      for (const [name, value] of Object.entries(options.globals ?? {})) object.#setGlobal(name, value);
      for (const [name, pinned] of options.reuse ?? []) object.#reuse(name, pinned);
      native(path, () => calls.load(opened.handle));
      return object;
    } catch (error) {
      calls.close(opened.handle);
      throw error;
    }
  }

  #setGlobal(name: string, value: number | bigint | Uint8Array): void {
    const global = this.globals.get(name);
    if (!global) throw new InbandError('BPF_FAILED', `${this.path}: no global variable ${name}`);
    const bytes = globalBytes(global, value);
    native(`${this.path}: ${name}`, () =>
      addon().setGlobal(this.#handle, this.#map(global.map).index, global.offset, bytes),
    );
  }

  #reuse(name: string, pinned: PinnedMap): void {
    const { index, spec } = this.#map(name);
    const differs = differenceOf(spec, pinned.spec);
    if (differs !== undefined)
      throw new InbandError(
        'BPF_FAILED',
        `${this.path}: ${pinned.path} is no map ${name}: its ${differs} differs`,
      );
    native(`${this.path}: map ${name}`, () => addon().reuse(this.#handle, index, pinned.handle));
  }

  #map(name: string): { index: number; spec: MapSpec } {
    const spec = this.maps.get(name);
    if (!spec) throw new InbandError('BPF_FAILED', `${this.path}: no map ${name}`);
    return { index: this.#mapIndex.get(name)!, spec };
  }

  #program(name: string): number {
    const index = this.programs.indexOf(name);
    if (index < 0) throw new InbandError('BPF_FAILED', `${this.path}: no program ${name}`);
    return index;
  }

  /** Size of a value of a map as user space sees it: per-CPU maps have one for each possible CPU. */
  valueBytes(mapName: string): number {
    const { type, valueSize } = this.#map(mapName).spec;
    return perCpuTypes.includes(type) ? Math.ceil(valueSize / 8) * 8 * addon().possibleCpus : valueSize;
  }

  /**
   * The values of a BPF_F_MMAPABLE array (each at a multiple of its size rounded up to 8) or of `.bss` or `.data`.
   * The program sees a write at once, and no call is made. Mapped once: every call gives the same buffer.
   */
  memory(mapName: string): ArrayBuffer {
    const { index, spec } = this.#map(mapName);
    if ((spec.flags & mmapable) === 0 || (spec.flags & readOnly) !== 0)
      throw new InbandError('BPF_FAILED', `${this.path}: map ${mapName} cannot be mapped to be written`);
    let buffer = this.#memory.get(mapName);
    if (!buffer) {
      buffer = native(`${this.path}: map ${mapName}`, () => addon().map(this.#handle, index));
      this.#memory.set(mapName, buffer);
    }
    return buffer;
  }

  /** The value of `key`, or undefined when there is none. */
  lookup(mapName: string, key: Uint8Array): Uint8Array | undefined {
    const { index, spec } = this.#map(mapName);
    check(key.length === spec.keySize && spec.keySize > 0, `${mapName}: a key has ${spec.keySize} bytes`);
    const value = new Uint8Array(this.valueBytes(mapName));
    return native(`${this.path}: map ${mapName}`, () => addon().lookup(this.#handle, index, key, value))
      ? value
      : undefined;
  }

  /** Sets the value of `key`, whether there was one or not. */
  update(mapName: string, key: Uint8Array, value: Uint8Array): void {
    const { index, spec } = this.#map(mapName);
    check(key.length === spec.keySize && spec.keySize > 0, `${mapName}: a key has ${spec.keySize} bytes`);
    check(
      value.length === this.valueBytes(mapName),
      `${mapName}: a value has ${this.valueBytes(mapName)} bytes`,
    );
    native(`${this.path}: map ${mapName}`, () => addon().update(this.#handle, index, key, value));
  }

  /** Removes `key`; false when there was none. */
  remove(mapName: string, key: Uint8Array): boolean {
    const { index, spec } = this.#map(mapName);
    check(key.length === spec.keySize && spec.keySize > 0, `${mapName}: a key has ${spec.keySize} bytes`);
    return native(`${this.path}: map ${mapName}`, () => addon().remove(this.#handle, index, key));
  }

  /** Lets a tail call through entry `index` run a program, of this object or of another. */
  setTail(mapName: string, index: number, program: string, from: BpfObject = this): void {
    const map = this.#map(mapName);
    check(map.spec.type === mapType.progArray, `${mapName} is not a program array`);
    check(isCount(index, map.spec.maxEntries - 1), `${mapName}: no entry ${index}`);
    native(`${this.path}: map ${mapName}`, () =>
      addon().setTail(this.#handle, map.index, index, from.#handle, from.#program(program)),
    );
  }

  /** Opens a ring buffer for reading. One reader at a time. */
  ring(mapName: string): RingReader {
    const { index, spec } = this.#map(mapName);
    check(spec.type === mapType.ring, `${mapName} is not a ring buffer`);
    return new RingReader(
      native(`${this.path}: map ${mapName}`, () => addon().ringOpen(this.#handle, index)),
    );
  }

  /** Lets a map outlive the process under a path in bpffs. @throws InbandError `BPF_FAILED`, `PERMISSION` */
  pinMap(mapName: string, path: string): void {
    const { index } = this.#map(mapName);
    native(path, () => addon().mapPin(this.#handle, index, path));
  }

  /** The same of a program. */
  pinProgram(program: string, path: string): void {
    native(path, () => addon().programPin(this.#handle, this.#program(program), path));
  }

  /**
   * Attaches a program to an interface.
   * @throws InbandError `HOOK_TAKEN`, `XDP_UNSUPPORTED` (no native XDP, or the MTU is too large), `ENVIRONMENT` (no such
   *   interface), `PERMISSION`, `BPF_FAILED`.
   */
  attach(program: string, target: InterfaceName, mode: XdpMode): XdpLink {
    const { index, name } = target;
    check(isCount(index, 2 ** 31 - 1) && index > 0, `${index} is not the index of an interface`);
    try {
      const call = () => addon().attach(this.#handle, this.#program(program), index, flagsOf(mode));
      return new XdpLink(native(name, call));
    } catch (error) {
      throw error instanceof InbandError ? attachFailure(target, error) : error;
    }
  }

  /**
   * Puts a program in the place of the one that a link holds: each packet meets one of them.
   * @throws InbandError `HOOK_TAKEN` when the link does not hold `expected`, `BPF_FAILED`
   */
  replaceIn(link: XdpLink, program: string, expected: PinnedProgram): void {
    native(`${this.path}: ${program}`, () =>
      addon().linkUpdate(link.handle, this.#handle, this.#program(program), expected.handle),
    );
  }

  /** Runs a program on a packet (bpf_prog_test_run). */
  testRun(program: string, packet: Uint8Array, options: TestRunOptions = {}): TestRun {
    const { repeat = 1, liveBatch = 0, ifindex = 0, rxQueue = 0 } = options;
    check(packet.length <= packetBytesMax, `a packet of ${packet.length} bytes`);
    check(isCount(repeat, 2 ** 31 - 1) && isCount(liveBatch, 256), `repeat ${repeat}, batch ${liveBatch}`);
    check(
      isCount(ifindex, 2 ** 31 - 1) && isCount(rxQueue, 2 ** 16),
      `interface ${ifindex}, queue ${rxQueue}`,
    );
    const out =
      liveBatch > 0 ? new Uint8Array(0) : (options.out ?? new Uint8Array(packet.length + growthBytes));
    const flags = liveBatch > 0 ? liveFrames : 0;
    const result = this.#result;
    native(`${this.path}: ${program}`, () =>
      addon().testRun(
        this.#handle,
        this.#program(program),
        packet,
        out,
        repeat,
        flags,
        liveBatch,
        ifindex,
        rxQueue,
        result,
      ),
    );
    return {
      verdict: result[0]!,
      durationNs: result[1]!,
      packet: out.subarray(0, liveBatch > 0 ? 0 : result[2]),
    };
  }

  /** Runs a program of type syscall on a context, which it may change; what it returned. */
  call(program: string, context: Uint8Array): number {
    return native(`${this.path}: ${program}`, () =>
      addon().call(this.#handle, this.#program(program), context),
    );
  }

  /** Unloads it. Mapped buffers become empty, so that nothing can read what is gone; links stay attached. */
  close(): void {
    for (const buffer of this.#memory.values()) addon().unmap(buffer);
    this.#memory.clear();
    addon().close(this.#handle);
  }
}

/** Reads records of a BPF ring buffer in bulk, in the order of their reservation. */
export class RingReader {
  readonly #handle: RingHandle;

  constructor(handle: RingHandle) {
    this.#handle = handle;
  }

  /**
   * Moves as many whole records as fit to `out`: each is its size as u32, 4 zero bytes, and the data, padded to 8 bytes.
   * Returns the bytes used, 0 when nothing is there. Does not wait.
   * @throws InbandError `BPF_FAILED` (ENOSPC) when `out` is too small for the next record.
   */
  drain(out: Uint8Array): number {
    return native('ring buffer', () => addon().ringDrain(this.#handle, out));
  }

  close(): void {
    addon().close(this.#handle);
  }
}
