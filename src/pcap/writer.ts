import { closeSync, openSync, writeSync } from 'node:fs';
import { InbandError } from '../errors.ts';
import { packetBytesMax } from './batch.ts';

export interface CaptureWriterOptions {
  /** LINKTYPE_* number of all packets; 1, Ethernet, by default. */
  readonly linkType?: number;
  /** Bytes of a packet that are kept, 1 to 256 KiB; 256 KiB by default. */
  readonly snapLength?: number;
  /** Whole seconds since the Unix epoch that times count from; 0 by default. */
  readonly timeBaseS?: number;
}

const magicNanosecond = 0xa1b23c4d;
const fileHeaderBytes = 24;
const recordHeaderBytes = 16;

/** Buffered before a write; larger than any record. */
const bufferBytes = 1024 * 1024;

/**
 * Writes packets as a little-endian pcap with nanosecond times, to a file or into memory.
 *
 * ```ts
 * const writer = CaptureWriter.toFile('out.pcap', { timeBaseS: reader.timeBaseS });
 * writer.write(packet, timeNs);
 * writer.close();
 * ```
 */
export class CaptureWriter {
  readonly #emit: (bytes: Uint8Array) => void;
  readonly #finish: () => Uint8Array;
  readonly #snapLength: number;
  readonly #timeBaseS: number;
  readonly #buffer = new Uint8Array(bufferBytes);
  readonly #view = new DataView(this.#buffer.buffer);
  #used = 0;

  private constructor(
    emit: (bytes: Uint8Array) => void,
    finish: () => Uint8Array,
    options: CaptureWriterOptions,
  ) {
    this.#emit = emit;
    this.#finish = finish;
    this.#timeBaseS = options.timeBaseS ?? 0;
    this.#snapLength = options.snapLength ?? packetBytesMax;
    this.#view.setUint32(0, magicNanosecond, true);
    this.#view.setUint16(4, 2, true);
    this.#view.setUint16(6, 4, true);
    this.#view.setUint32(16, this.#snapLength, true);
    this.#view.setUint32(20, options.linkType ?? 1, true);
    this.#used = fileHeaderBytes;
  }

  /**
   * A writer that creates or replaces the file of this path.
   * @throws InbandError `FILE_UNWRITABLE`; so do `write` and `close` when the disk is full.
   */
  static toFile(path: string, options: CaptureWriterOptions = {}): CaptureWriter {
    checkOptions(options);
    const attempt = <T>(action: () => T): T => {
      try {
        return action();
      } catch (cause) {
        const code = (cause as NodeJS.ErrnoException).code;
        throw new InbandError('FILE_UNWRITABLE', `${path}: cannot be written (${code})`, {
          hint: 'check that the directory exists, that you may write to it and that the disk is not full',
          cause,
        });
      }
    };
    const fd = attempt(() => openSync(path, 'w'));
    const emit = (bytes: Uint8Array) => {
      for (let at = 0; at < bytes.length; ) at += attempt(() => writeSync(fd, bytes, at));
    };
    const finish = () => {
      attempt(() => closeSync(fd));
      return new Uint8Array(0);
    };
    return new CaptureWriter(emit, finish, options);
  }

  /** A writer whose `close` returns the capture. */
  static toMemory(options: CaptureWriterOptions = {}): CaptureWriter {
    checkOptions(options);
    const parts: Uint8Array[] = [];
    return new CaptureWriter(
      (bytes) => parts.push(bytes.slice()),
      () => Uint8Array.from(Buffer.concat(parts)),
      options,
    );
  }

  /**
   * Appends a packet, cut to the snap length.
   * @param timeNs ns after `timeBaseS`, rounded down to whole ns.
   * @param wireLength bytes on the wire, where `data` was cut already.
   * @throws InbandError `LIMIT` when the time is before 1970 or after 2106, which the format cannot hold.
   */
  write(data: Uint8Array, timeNs: number, wireLength: number = data.length): void {
    const seconds = Math.floor(timeNs / 1e9);
    const timeS = this.#timeBaseS + seconds;
    if (!(timeS >= 0 && timeS < 2 ** 32)) {
      throw new InbandError(
        'LIMIT',
        `the time ${timeS} s does not fit a pcap file (0 to 2^32 - 1 s after 1970)`,
      );
    }
    const captured = Math.min(data.length, this.#snapLength);
    if (this.#used + recordHeaderBytes + captured > bufferBytes) this.#flush();
    const at = this.#used;
    this.#view.setUint32(at, timeS, true);
    this.#view.setUint32(at + 4, timeNs - seconds * 1e9, true);
    this.#view.setUint32(at + 8, captured, true);
    this.#view.setUint32(at + 12, wireLength, true);
    this.#buffer.set(captured === data.length ? data : data.subarray(0, captured), at + recordHeaderBytes);
    this.#used = at + recordHeaderBytes + captured;
  }

  /** Writes out what is buffered and ends the capture. Returns it when it was written to memory, else no bytes. */
  close(): Uint8Array {
    this.#flush();
    return this.#finish();
  }

  #flush(): void {
    this.#emit(this.#buffer.subarray(0, this.#used));
    this.#used = 0;
  }
}

function checkOptions({ linkType = 1, snapLength = 1, timeBaseS = 0 }: CaptureWriterOptions): void {
  const check = (name: string, value: number, min: number, max: number) => {
    if (Number.isInteger(value) && value >= min && value <= max) return;
    throw new InbandError('USAGE', `${name}: ${value} is not a whole number from ${min} to ${max}`);
  };
  check('linkType', linkType, 0, 0xffff);
  check('snapLength', snapLength, 1, packetBytesMax);
  check('timeBaseS', timeBaseS, 0, 2 ** 32 - 1);
}
