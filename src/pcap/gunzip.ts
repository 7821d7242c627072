import { createGunzip } from 'node:zlib';
import type { ProblemLog } from './problems.ts';
import type { ByteSource } from './source.ts';
import type { ByteWindow } from './window.ts';

/**
 * Compressed bytes per step, and size of zlib's output buffer: each costs a round trip to another thread.
 * Deflate expands at most 1032 times, so that a step holds at most 68 MB, and 1 MB for a usual capture.
 */
const stepBytes = 64 * 1024;

/**
 * The uncompressed bytes of gzip data of one or more members. Truncated or corrupt data is recorded and ends them:
 * all that precedes a truncation is delivered, but up to 64 KiB (zlib's output buffer) before a corrupt byte may be
 * missing. `bytesRead` and `sizeBytes` are of the compressed data.
 */
export class GunzipSource implements ByteSource {
  readonly #compressed: ByteWindow;
  readonly #log: ProblemLog;
  readonly #inflate = createGunzip({ chunkSize: stepBytes });
  #inflated: Uint8Array[] = [];
  #inflatedBytes = 0;
  #fault: NodeJS.ErrnoException | undefined;
  #ended = false;
  #wake = () => {};

  constructor(compressed: ByteWindow, log: ProblemLog) {
    this.#compressed = compressed;
    this.#log = log;
    // Listening for data rather than iterating: a stream that fails drops what it has not handed out yet.
    this.#inflate.on('data', (chunk: Uint8Array) => {
      this.#inflated.push(chunk);
      this.#inflatedBytes += chunk.length;
    });
    this.#inflate.on('end', () => {
      this.#ended = true;
      this.#wake();
    });
    this.#inflate.on('error', (error) => {
      this.#fault = error;
      this.#ended = true;
      this.#wake();
    });
  }

  get bytesRead(): number {
    return this.#compressed.source.bytesRead;
  }

  get sizeBytes(): number | undefined {
    return this.#compressed.source.sizeBytes;
  }

  async read(into: Uint8Array): Promise<number> {
    while (this.#inflated.length === 0) {
      if (this.#ended) return this.#finish();
      await this.#step();
    }
    const chunk = this.#inflated[0]!;
    const part = chunk.subarray(0, into.length);
    into.set(part);
    if (part.length === chunk.length) this.#inflated.shift();
    else this.#inflated[0] = chunk.subarray(part.length);
    return part.length;
  }

  async close(): Promise<void> {
    this.#inflate.destroy();
    await this.#compressed.source.close();
  }

  /** Inflates the next compressed bytes, or ends the stream after the last ones. */
  async #step(): Promise<void> {
    const more = await this.#compressed.fill(1);
    const { bytes, start, end } = this.#compressed;
    this.#compressed.start = Math.min(start + stepBytes, end);
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (more) this.#inflate.write(bytes.subarray(start, this.#compressed.start), () => resolve());
      else this.#inflate.end();
    });
  }

  #finish(): number {
    if (this.#fault?.code === 'Z_BUF_ERROR') this.#log.add('truncated', this.#inflatedBytes, 'truncated');
    else if (this.#fault) {
      this.#log.add('corrupt', this.#inflatedBytes, `corrupt gzip data (${this.#fault.message})`);
    }
    return 0;
  }
}
