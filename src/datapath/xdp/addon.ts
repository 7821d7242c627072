import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { InbandError } from '../../errors.ts';

/** Where `native/build.mjs` puts BPF objects and the addon; the same in the repository and in the installed package. */
export const nativeDirectory = fileURLToPath(new URL('../../../build/native/', import.meta.url));

declare const kind: unique symbol;
/** Something of the kernel's that the addon holds: freed by `close`, or when nothing refers to it any more. */
export type Handle<Kind extends string> = object & { readonly [kind]: Kind };
export type ObjectHandle = Handle<'object'>;
export type LinkHandle = Handle<'link'>;
export type RingHandle = Handle<'ring'>;
export type NetlinkHandle = Handle<'netlink'>;
export type PacketSocketHandle = Handle<'packetSocket'>;
export type SenderHandle = Handle<'sender'>;
export type LockHandle = Handle<'lock'>;
export type PinnedMapHandle = Handle<'pinnedMap'>;
export type PinnedProgramHandle = Handle<'pinnedProgram'>;

/** A map as the object file describes it. `type` is BPF_MAP_TYPE_*, `flags` BPF_F_*, sizes are in bytes. */
export interface MapSpec {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
}

/** A global variable of the program: `map` is its section, `offset` and `size` are in bytes. */
export interface GlobalSpec {
  readonly name: string;
  readonly map: string;
  readonly offset: number;
  readonly size: number;
}

/** What an object file holds; `handle` addresses maps and programs by their index here. */
export interface OpenedObject {
  readonly handle: ObjectHandle;
  readonly maps: readonly MapSpec[];
  readonly programs: readonly string[];
  readonly globals: readonly GlobalSpec[];
}

/** A map as the kernel has it; fields as in `MapSpec`. */
export interface PinnedMapSpec extends Omit<MapSpec, 'name'> {
  /** The kernel's number for it. */
  readonly id: number;
}

/** Who holds the XDP hook of an interface. `mode` is XDP_ATTACHED_*, 0 when nobody does; `linkId` is 0 when unknown. */
export interface HookQuery {
  readonly mode: number;
  readonly programId: number;
  readonly programName: string;
  readonly linkId: number;
}

/**
 * The addon's functions. They trust their arguments: only native.ts, netlink.ts and notify.ts call them, after checking
 * types, ranges and sizes. Failures are thrown as {@link NativeError}.
 */
export interface Addon {
  readonly possibleCpus: number;
  close(handle: Handle<string>): void;
  open(path: string): OpenedObject;
  setMaxEntries(object: ObjectHandle, map: number, count: number): void;
  setGlobal(object: ObjectHandle, map: number, offset: number, bytes: Uint8Array): void;
  load(object: ObjectHandle): void;
  map(object: ObjectHandle, map: number): ArrayBuffer;
  unmap(buffer: ArrayBuffer): void;
  lookup(object: ObjectHandle, map: number, key: Uint8Array, value: Uint8Array): boolean;
  update(object: ObjectHandle, map: number, key: Uint8Array, value: Uint8Array): void;
  remove(object: ObjectHandle, map: number, key: Uint8Array): boolean;
  setTail(object: ObjectHandle, map: number, index: number, target: ObjectHandle, program: number): void;
  mapPin(object: ObjectHandle, map: number, path: string): void;
  programPin(object: ObjectHandle, program: number, path: string): void;
  mapOpen(path: string): PinnedMapSpec & { readonly handle: PinnedMapHandle };
  programOpen(path: string): { readonly handle: PinnedProgramHandle; readonly id: number };
  pinnedMemory(map: PinnedMapHandle): ArrayBuffer;
  pinnedLookup(map: PinnedMapHandle, key: Uint8Array, value: Uint8Array): boolean;
  reuse(object: ObjectHandle, map: number, pinned: PinnedMapHandle): void;
  attach(object: ObjectHandle, program: number, ifindex: number, flags: number): LinkHandle;
  linkOpen(path: string): LinkHandle;
  linkPin(link: LinkHandle, path: string): void;
  linkInfo(link: LinkHandle): { readonly id: number; readonly programId: number; readonly ifindex: number };
  linkUpdate(link: LinkHandle, object: ObjectHandle, program: number, expected: PinnedProgramHandle): void;
  linkDetach(link: LinkHandle): void;
  gracePeriod(): void;
  query(ifindex: number): HookQuery;
  call(object: ObjectHandle, program: number, context: Uint8Array): number;
  testRun(
    object: ObjectHandle,
    program: number,
    packet: Uint8Array,
    out: Uint8Array,
    repeat: number,
    flags: number,
    batchSize: number,
    ifindex: number,
    rxQueue: number,
    result: Uint32Array,
  ): void;
  probe(): void;
  ringOpen(object: ObjectHandle, map: number): RingHandle;
  ringDrain(ring: RingHandle, out: Uint8Array): number;
  netlinkOpen(groups: number): NetlinkHandle;
  netlinkSend(socket: NetlinkHandle, message: Uint8Array): void;
  netlinkReceive(socket: NetlinkHandle, out: Uint8Array, waitMs: number): number;
  /** The newest packet socket of this process on an interface. */
  packetSocket(ifindex: number): PacketSocketHandle;
  /** Frames that it accepted since the last call, and how many of them had no room; zeros once it is closed. */
  packetStatistics(socket: PacketSocketHandle, out: Uint32Array): void;
  /** Replaces its filter by a classic BPF program at once, see `filterProgram`. */
  packetFilter(socket: PacketSocketHandle, program: Uint8Array): void;
  packetOpen(): SenderHandle;
  packetSend(socket: SenderHandle, ifindex: number, frame: Uint8Array): boolean;
  lockTake(name: string): LockHandle;
  lockHolder(name: string): number;
  /** A bit for each of GRO, LRO, TSO and GSO that is on. */
  offloads(name: string): number;
  /** Sends a datagram to a Unix socket, whose name is given as `sun_path` holds it, without waiting. */
  datagramSend(address: Uint8Array, message: Uint8Array): void;
}

/** What the addon throws: the step that failed, the positive error number, and the end of libbpf's log (at most 4 KiB). */
export interface NativeError extends Error {
  readonly errno: number;
  readonly step: string;
  readonly log: string;
}

export const isNativeError = (error: unknown): error is NativeError =>
  error instanceof Error && 'errno' in error && 'step' in error && 'log' in error;

let loaded: Addon | undefined;

/**
 * The addon, loaded once.
 * @throws InbandError `NATIVE_MISSING` when it was not built or does not load here.
 */
export function addon(): Addon {
  if (loaded) return loaded;
  const path = `${nativeDirectory}inband.node`;
  if (!existsSync(path)) {
    throw new InbandError('NATIVE_MISSING', 'the native part of inband is not built', {
      hint: '`inband doctor` names the command that builds it, and what that needs',
    });
  }
  try {
    loaded = createRequire(import.meta.url)(path) as Addon;
  } catch (cause) {
    throw new InbandError(
      'NATIVE_MISSING',
      `the native part of inband does not load: ${(cause as Error).message}`,
      {
        hint: 'install the libbpf library it was built with, or build it again by the command that `inband doctor` names',
        cause,
      },
    );
  }
  return loaded;
}
