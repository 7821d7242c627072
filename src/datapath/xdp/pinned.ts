import { addon, type PinnedMapHandle, type PinnedMapSpec, type PinnedProgramHandle } from './addon.ts';
import { native } from './native-error.ts';

/** A map of the kernel's that was pinned, opened from its path. */
export class PinnedMap {
  readonly path: string;
  readonly spec: PinnedMapSpec;
  /** For `BpfObject` alone. */
  readonly handle: PinnedMapHandle;
  #memory: ArrayBuffer | undefined;

  private constructor(path: string, handle: PinnedMapHandle, spec: PinnedMapSpec) {
    this.path = path;
    this.handle = handle;
    this.spec = spec;
  }

  /** @throws InbandError `BPF_FAILED` when there is none, or something else; `PERMISSION` */
  static open(path: string): PinnedMap {
    const { handle, ...spec } = native(path, () => addon().mapOpen(path));
    return new PinnedMap(path, handle, spec);
  }

  /** The values of a BPF_F_MMAPABLE array, as `BpfObject.memory` gives them. Mapped once. */
  memory(): ArrayBuffer {
    this.#memory ??= native(this.path, () => addon().pinnedMemory(this.handle));
    return this.#memory;
  }

  /** The value of `key`, or undefined when there is none. Not for maps per CPU. */
  lookup(key: Uint8Array): Uint8Array | undefined {
    if (key.length !== this.spec.keySize || key.length === 0)
      throw new RangeError(`${this.path}: a key has ${this.spec.keySize} bytes`);
    const value = new Uint8Array(this.spec.valueSize);
    return native(this.path, () => addon().pinnedLookup(this.handle, key, value)) ? value : undefined;
  }

  /** Mapped memory becomes empty. */
  close(): void {
    if (this.#memory) addon().unmap(this.#memory);
    this.#memory = undefined;
    addon().close(this.handle);
  }
}

/** A program that was pinned, opened from its path. */
export class PinnedProgram {
  readonly id: number;
  /** For `BpfObject` alone. */
  readonly handle: PinnedProgramHandle;

  private constructor(handle: PinnedProgramHandle, id: number) {
    this.handle = handle;
    this.id = id;
  }

  /** @throws InbandError `BPF_FAILED` when there is none, or something else; `PERMISSION` */
  static open(path: string): PinnedProgram {
    const { handle, id } = native(path, () => addon().programOpen(path));
    return new PinnedProgram(handle, id);
  }

  close(): void {
    addon().close(this.handle);
  }
}
