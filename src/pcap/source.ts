import { type FileHandle, open } from 'node:fs/promises';
import { InbandError } from '../errors.ts';

/** Bytes that are read from the beginning to the end, once. */
export interface ByteSource {
  /** Bytes read so far. */
  readonly bytesRead: number;
  /** Bytes there are in total, where that is known beforehand. */
  readonly sizeBytes: number | undefined;
  /**
   * Copies the next bytes to the front of `into`, which must not be empty; resolves to their number, 0 at the end.
   * @throws InbandError `FILE_UNREADABLE`
   */
  read(into: Uint8Array): Promise<number>;
  close(): Promise<void>;
}

const hints: Record<string, string> = {
  ENOENT: 'no such file: check the path',
  EACCES: 'permission denied: check who may read the file',
  EISDIR: 'this is a directory: name the capture files in it',
};

function unreadable(name: string, cause: unknown): InbandError {
  if (cause instanceof InbandError) return cause;
  const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? String(cause);
  return new InbandError('FILE_UNREADABLE', `${name}: cannot be read (${code})`, {
    hint: hints[code] ?? 'check that the file or stream can be read',
    cause,
  });
}

/** A file, or anything else that has a path: named pipes and devices are read as they deliver. */
class FileSource implements ByteSource {
  bytesRead = 0;
  readonly sizeBytes: number | undefined;
  readonly #file: FileHandle;
  readonly #name: string;

  constructor(file: FileHandle, name: string, sizeBytes: number | undefined) {
    this.#file = file;
    this.#name = name;
    this.sizeBytes = sizeBytes;
  }

  async read(into: Uint8Array): Promise<number> {
    try {
      const { bytesRead } = await this.#file.read(into, 0, into.length, null);
      this.bytesRead += bytesRead;
      return bytesRead;
    } catch (cause) {
      throw unreadable(this.#name, cause);
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** Anything that yields chunks of bytes: a Readable, an async generator. */
export class IterableSource implements ByteSource {
  bytesRead = 0;
  readonly sizeBytes = undefined;
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #name: string;
  #chunk: Uint8Array = new Uint8Array(0);

  constructor(chunks: AsyncIterable<Uint8Array>, name: string) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.#name = name;
  }

  async read(into: Uint8Array): Promise<number> {
    while (this.#chunk.length === 0) {
      const next = await this.#next();
      if (next.done) return 0;
      if (!(next.value instanceof Uint8Array)) throw unreadable(this.#name, 'not a stream of bytes');
      this.#chunk = next.value;
    }
    const part = this.#chunk.subarray(0, into.length);
    into.set(part);
    this.#chunk = this.#chunk.subarray(part.length);
    this.bytesRead += part.length;
    return part.length;
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    try {
      return await this.#chunks.next();
    } catch (cause) {
      throw unreadable(this.#name, cause);
    }
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}

/**
 * Opens the file of this path, or standard input for `-`.
 * @throws InbandError `FILE_UNREADABLE` when there is no such file, it may not be read, or it is a directory.
 */
export async function openSource(path: string, name: string): Promise<ByteSource> {
  if (path === '-') return new IterableSource(process.stdin, name);
  const file = await open(path).catch((cause) => {
    throw unreadable(name, cause);
  });
  const stat = await file.stat();
  if (stat.isDirectory()) {
    await file.close();
    throw unreadable(name, 'EISDIR');
  }
  return new FileSource(file, name, stat.isFile() ? stat.size : undefined);
}
