import { InbandError } from '../errors.ts';
import { BatchBuffer, type PacketBatch } from './batch.ts';
import { ClassicParser, fileHeaderBytes, isClassicMagic } from './classic.ts';
import { GunzipSource } from './gunzip.ts';
import { NgParser, sectionHeader } from './ng.ts';
import { ended, type Parser, type TimeBase } from './parser.ts';
import { type CaptureProblem, ProblemLog } from './problems.ts';
import { IterableSource, openSource } from './source.ts';
import { ByteWindow } from './window.ts';

export interface CaptureReaderOptions {
  /** What messages call the capture; the path by default. */
  readonly name?: string;
  /** Whole seconds since the Unix epoch that times count from; the first packet's second by default. */
  readonly timeBaseS?: number;
}

/**
 * Reads the packets of a pcap or pcapng capture, gzipped or not, in memory that does not grow with the capture.
 *
 * ```ts
 * const reader = await CaptureReader.open('lb.pcap.gz');
 * for await (const batch of reader.batches()) {
 *   for (let i = 0; i < batch.count; i++) {
 *     const packet = batch.data.subarray(batch.offset[i], batch.offset[i] + batch.capturedLength[i]);
 *   }
 * }
 * for (const problem of reader.problems) console.error(problem.message);
 * ```
 */
export class CaptureReader {
  readonly name: string;
  /** Packets delivered so far, counted when their batch is handed out. */
  packets = 0;
  readonly #window: ByteWindow;
  readonly #parser: Parser | undefined;
  readonly #timeBase: TimeBase;
  readonly #log: ProblemLog;
  readonly #batch = new BatchBuffer();
  #closed = false;

  private constructor(
    name: string,
    window: ByteWindow,
    parser: Parser | undefined,
    timeBase: TimeBase,
    log: ProblemLog,
  ) {
    this.name = name;
    this.#window = window;
    this.#parser = parser;
    this.#timeBase = timeBase;
    this.#log = log;
  }

  /**
   * Opens a capture and recognises its format by its first bytes, never by its name.
   * @param source path of a file or named pipe, `-` for standard input, or a stream of bytes, which the reader closes.
   * @throws InbandError `FILE_UNREADABLE` when the source cannot be read, `CAPTURE_UNSUPPORTED` when it is empty or is
   * neither pcap nor pcapng. Damage further on is no error: see {@link problems}.
   */
  static async open(
    source: string | AsyncIterable<Uint8Array>,
    options: CaptureReaderOptions = {},
  ): Promise<CaptureReader> {
    const name =
      options.name ?? (typeof source !== 'string' ? 'stream' : source === '-' ? 'standard input' : source);
    if (options.timeBaseS !== undefined && !Number.isInteger(options.timeBaseS)) {
      throw new InbandError('USAGE', `timeBaseS: ${options.timeBaseS} is not a whole number of seconds`);
    }
    const timeBase: TimeBase = { seconds: options.timeBaseS };
    const log = new ProblemLog(name);
    let window = new ByteWindow(
      typeof source === 'string' ? await openSource(source, name) : new IterableSource(source, name),
    );
    try {
      if (await isGzip(window)) {
        log.compressed = true;
        window = new ByteWindow(new GunzipSource(window, log));
      }
      const parser = await recognise(window, name, timeBase, log);
      return new CaptureReader(name, window, parser, timeBase, log);
    } catch (error) {
      await window.source.close();
      throw error;
    }
  }

  /** Whole seconds since the Unix epoch that `timeNs` counts from; undefined before the first packet with a time. */
  get timeBaseS(): number | undefined {
    return this.#timeBase.seconds;
  }

  /** Bytes read of the source, before decompression: of `sizeBytes`, for a progress bar. */
  get bytesRead(): number {
    return this.#window.source.bytesRead;
  }

  /** Bytes of the file, before decompression; undefined for streams and pipes. */
  get sizeBytes(): number | undefined {
    return this.#window.source.sizeBytes;
  }

  /** What was wrong with the capture so far, at most one entry per kind. */
  get problems(): readonly CaptureProblem[] {
    return this.#log.list;
  }

  /**
   * The packets, in the order of the capture; no batch is empty. Can be iterated once. Closes the reader at the end
   * and when the iteration is left early.
   * @throws InbandError `FILE_UNREADABLE` when the source fails; never because of its content.
   */
  async *batches(): AsyncGenerator<PacketBatch, void> {
    if (this.#parser === undefined || this.#closed) return this.close();
    const batch = this.#batch;
    try {
      for (;;) {
        const needed = this.#parser.parse(this.#window, batch);
        this.packets += batch.count;
        if (batch.count > 0) yield batch;
        if (needed === ended) break;
        if (!(await this.#window.fill(needed))) break;
      }
      if (this.#window.available > 0)
        this.#log.add('truncated', this.#window.origin + this.#window.end, 'truncated');
    } finally {
      await this.close();
    }
  }

  /** Closes the source. Needed only when {@link batches} is never iterated. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#window.source.close();
  }
}

async function isGzip(window: ByteWindow): Promise<boolean> {
  return (await window.fill(2)) && window.view.getUint16(0) === 0x1f8b;
}

/** The parser for what the window begins with; none when the header is cut short, which is recorded. */
async function recognise(
  window: ByteWindow,
  name: string,
  timeBase: TimeBase,
  log: ProblemLog,
): Promise<Parser | undefined> {
  const { view } = window;
  if (!(await window.fill(4))) throw unsupported(log.list[0]?.message ?? tooShort(name, window.available));
  if (view.getUint32(0) === sectionHeader) return new NgParser(timeBase, log);
  if (!isClassicMagic(view, true) && !isClassicMagic(view, false)) {
    const start = Buffer.from(window.bytes.subarray(0, 4)).toString('hex');
    throw unsupported(`${name}: not a capture (begins with the bytes ${start})`);
  }
  if (await window.fill(fileHeaderBytes)) return new ClassicParser(window, name, timeBase, log);
  log.add('truncated', window.available, 'truncated');
  return undefined;
}

function tooShort(name: string, sizeBytes: number): string {
  return sizeBytes === 0 ? `${name}: empty` : `${name}: not a capture (${sizeBytes} bytes)`;
}

function unsupported(message: string): InbandError {
  return new InbandError('CAPTURE_UNSUPPORTED', message, {
    hint: 'supported are pcap and pcapng, optionally compressed with gzip',
  });
}
