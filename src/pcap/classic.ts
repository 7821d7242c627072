import { InbandError } from '../errors.ts';
import { type BatchBuffer, packetBytesMax, packetsPerBatch, wireLengthMax } from './batch.ts';
import { ended, type Parser, type TimeBase } from './parser.ts';
import type { ProblemLog } from './problems.ts';
import type { ByteWindow } from './window.ts';

/** Bytes of a pcap file before its first record. */
export const fileHeaderBytes = 24;

/** Nanoseconds per unit of the fraction of a second, and bytes before the data of a record, by magic number. */
const variants = new Map([
  [0xa1b2c3d4, { nsPerUnit: 1000, recordHeaderBytes: 16 }],
  [0xa1b23c4d, { nsPerUnit: 1, recordHeaderBytes: 16 }],
  // Kuznetzov's patched libpcap: each record also has the interface, protocol and direction.
  [0xa1b2cd34, { nsPerUnit: 1000, recordHeaderBytes: 24 }],
]);

/** Whether these four bytes begin a pcap file, in the byte order `littleEndian`. */
export function isClassicMagic(view: DataView, littleEndian: boolean): boolean {
  return variants.has(view.getUint32(0, littleEndian));
}

/** Packets of a pcap file, after draft-ietf-opsawg-pcap: microseconds, nanoseconds or Kuznetzov's, any byte order. */
export class ClassicParser implements Parser {
  readonly #littleEndian: boolean;
  readonly #recordHeaderBytes: number;
  readonly #nsPerUnit: number;
  readonly #linkType: number;
  readonly #timeBase: TimeBase;
  readonly #log: ProblemLog;

  /**
   * Consumes the file header, of which all {@link fileHeaderBytes} bytes must be available.
   * @throws InbandError `CAPTURE_UNSUPPORTED` when the version is not 2.4, the only one still written.
   */
  constructor(window: ByteWindow, name: string, timeBase: TimeBase, log: ProblemLog) {
    const { view, start } = window;
    this.#littleEndian = isClassicMagic(view, true);
    const variant = variants.get(view.getUint32(start, this.#littleEndian))!;
    this.#recordHeaderBytes = variant.recordHeaderBytes;
    this.#nsPerUnit = variant.nsPerUnit;
    const version = `${view.getUint16(start + 4, this.#littleEndian)}.${view.getUint16(start + 6, this.#littleEndian)}`;
    if (version !== '2.4') {
      throw new InbandError('CAPTURE_UNSUPPORTED', `${name}: pcap version ${version} is not supported`, {
        hint: 'convert it with a current libpcap: tcpdump -r FILE -w NEW',
      });
    }
    // The upper half holds the length of the frame check sequence.
    this.#linkType = view.getUint32(start + 20, this.#littleEndian) & 0xffff;
    this.#timeBase = timeBase;
    this.#log = log;
    window.start += fileHeaderBytes;
  }

  parse(window: ByteWindow, batch: BatchBuffer): number {
    const { view, end } = window;
    const { offset, capturedLength, wireLength, timeNs } = batch;
    const littleEndian = this.#littleEndian;
    const headerBytes = this.#recordHeaderBytes;
    const nsPerUnit = this.#nsPerUnit;
    let baseS = 0;
    let at = window.start;
    let count = 0;
    let needed = 0;
    while (count < packetsPerBatch) {
      needed = headerBytes;
      if (end - at < needed) break;
      const captured = view.getUint32(at + 8, littleEndian);
      if (captured > packetBytesMax) {
        this.#log.add('corrupt', window.origin + at, `packet of ${captured} bytes (limit ${packetBytesMax})`);
        needed = ended;
        break;
      }
      needed += captured;
      if (end - at < needed) break;
      const seconds = view.getUint32(at, littleEndian);
      const fractionNs = view.getUint32(at + 4, littleEndian) * nsPerUnit;
      if (fractionNs >= 1e9) {
        this.#log.add('bad_timestamp', window.origin + at, 'fraction of a second out of range');
      }
      if (count === 0) baseS = this.#timeBase.seconds ??= seconds;
      timeNs[count] = (seconds - baseS) * 1e9 + fractionNs;
      offset[count] = at + headerBytes;
      capturedLength[count] = captured;
      wireLength[count] = Math.min(view.getUint32(at + 12, littleEndian), wireLengthMax);
      count++;
      at += needed;
      needed = 0;
    }
    batch.linkType.fill(this.#linkType, 0, count);
    batch.data = window.bytes;
    batch.count = count;
    window.start = at;
    return needed;
  }
}
