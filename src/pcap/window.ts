import type { ByteSource } from './source.ts';

/** Large against the cost of a read, small against the cache that the processor shares. */
const windowBytes = 1024 * 1024;

/**
 * The part of a byte stream that is in memory: `bytes` from `start` to `end`. Parsers consume it by moving `start`.
 * Memory stays at `windowBytes` unless one record needs more; parsers limit what they ask for.
 */
export class ByteWindow {
  bytes: Uint8Array = new Uint8Array(windowBytes);
  /** Over the same memory as `bytes`. */
  view = new DataView(this.bytes.buffer);
  start = 0;
  end = 0;
  /** Offset in the stream of `bytes[0]`. */
  origin = 0;
  readonly source: ByteSource;

  constructor(source: ByteSource) {
    this.source = source;
  }

  get available(): number {
    return this.end - this.start;
  }

  /**
   * Waits until at least `needed` bytes are available from `start`; resolves to false when the stream ends before.
   * Moves the bytes to the front of `bytes`, so that what pointed into it is no longer valid.
   */
  async fill(needed: number): Promise<boolean> {
    if (this.available >= needed) return true;
    this.#makeRoom(needed);
    while (this.available < needed) {
      const count = await this.source.read(this.bytes.subarray(this.end));
      if (count === 0) return false;
      this.end += count;
    }
    return true;
  }

  #makeRoom(needed: number): void {
    if (needed > this.bytes.length) {
      const larger = new Uint8Array(needed);
      larger.set(this.bytes.subarray(this.start, this.end));
      this.bytes = larger;
      this.view = new DataView(larger.buffer);
    } else {
      this.bytes.copyWithin(0, this.start, this.end);
    }
    this.origin += this.start;
    this.end -= this.start;
    this.start = 0;
  }
}
