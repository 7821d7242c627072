import { type BatchBuffer, packetBytesMax, packetsPerBatch, wireLengthMax } from './batch.ts';
import { CaptureInterface } from './interface.ts';
import { ended, type Parser, type TimeBase } from './parser.ts';
import type { ProblemLog } from './problems.ts';
import type { ByteWindow } from './window.ts';

/** Longest block in bytes, libpcap's own limit. It holds any packet and bounds the reader's memory. */
const blockBytesMax = 16 * 1024 * 1024;
/** Most interfaces in one section; packets of later ones are left out. */
const interfacesMax = 65_536;

/** Type of a section header block, equal in both byte orders. */
export const sectionHeader = 0x0a0d0d0a;
const interfaceDescription = 1;
const obsoletePacket = 2;
const simplePacket = 3;
const enhancedPacket = 6;

const byteOrderMagic = 0x1a2b3c4d;

/** Bytes around the body of a block (type and two lengths), and around the data of a packet block. */
const framingBytes = 12;
const enhancedPacketBytes = 32;
const simplePacketBytes = 16;
const sectionHeaderBytes = 28;
const interfaceDescriptionBytes = 20;

/**
 * Packets of a pcapng file, after draft-ietf-opsawg-pcapng: any sections, interfaces, byte orders and resolutions;
 * enhanced, simple and obsolete packet blocks. Other blocks are skipped.
 */
export class NgParser implements Parser {
  readonly #timeBase: TimeBase;
  readonly #log: ProblemLog;
  /** Of the current section. */
  #littleEndian = true;
  #interfaces: CaptureInterface[] = [];
  #interfaceCount = 0;
  #lastTimeNs = 0;

  constructor(timeBase: TimeBase, log: ProblemLog) {
    this.#timeBase = timeBase;
    this.#log = log;
  }

  parse(window: ByteWindow, batch: BatchBuffer): number {
    const { view, end } = window;
    batch.data = window.bytes;
    batch.count = 0;
    while (batch.count < packetsPerBatch) {
      const at = window.start;
      if (end - at < framingBytes) return framingBytes;
      const type = view.getUint32(at, this.#littleEndian);
      if (type === sectionHeader && !this.#readByteOrder(view, at)) {
        return this.#end(window, 'section without a byte order');
      }
      const length = view.getUint32(at + 4, this.#littleEndian);
      if (length < framingBytes || length % 4 !== 0 || length > blockBytesMax) {
        return this.#end(window, `invalid block length ${length}`);
      }
      if (end - at < length) return length;
      if (view.getUint32(at + length - 4, this.#littleEndian) !== length) {
        return this.#end(window, 'block whose two lengths differ');
      }
      if (!this.#readBlock(window, type, length, batch)) return ended;
      window.start = at + length;
    }
    return 0;
  }

  /** Sets the byte order to that of the section header at `at`; false if it has none. */
  #readByteOrder(view: DataView, at: number): boolean {
    this.#littleEndian = view.getUint32(at + 8, true) === byteOrderMagic;
    return this.#littleEndian || view.getUint32(at + 8, false) === byteOrderMagic;
  }

  /** Takes in the block of `length` bytes at the window's start; false when nothing after it can be read. */
  #readBlock(window: ByteWindow, type: number, length: number, batch: BatchBuffer): boolean {
    switch (type) {
      case enhancedPacket:
      case obsoletePacket:
        if (length >= enhancedPacketBytes) this.#readPacket(window, type, length, batch);
        else this.#leaveOut(window, 'packet block too short');
        return true;
      case simplePacket:
        if (length >= simplePacketBytes) this.#readSimplePacket(window, length, batch);
        else this.#leaveOut(window, 'packet block too short');
        return true;
      case interfaceDescription:
        return this.#readInterface(window, length);
      case sectionHeader:
        return this.#readSection(window, length);
      default:
        return true;
    }
  }

  /** Enhanced and obsolete packet blocks differ only in the width of the interface number. */
  #readPacket(window: ByteWindow, type: number, length: number, batch: BatchBuffer): void {
    const { view, start } = window;
    const littleEndian = this.#littleEndian;
    const interfaceId =
      type === enhancedPacket
        ? view.getUint32(start + 8, littleEndian)
        : view.getUint16(start + 8, littleEndian);
    const captured = view.getUint32(start + 20, littleEndian);
    const origin = this.#interfaces[interfaceId];
    if (!this.#isSound(window, origin, captured, length - enhancedPacketBytes)) return;
    const high = view.getUint32(start + 12, littleEndian);
    const low = view.getUint32(start + 16, littleEndian);
    this.#lastTimeNs = origin.timeNs(high, low, this.#timeBase);
    this.#append(batch, start + 28, captured, view.getUint32(start + 24, littleEndian), origin);
  }

  /** A simple packet block belongs to the section's first interface and has neither time nor captured length. */
  #readSimplePacket(window: ByteWindow, length: number, batch: BatchBuffer): void {
    const wire = window.view.getUint32(window.start + 8, this.#littleEndian);
    const origin = this.#interfaces[0];
    const captured = Math.min(wire, origin?.snapLength || wire);
    if (!this.#isSound(window, origin, captured, length - simplePacketBytes)) return;
    this.#log.add('no_timestamp', window.origin + window.start, 'packet without a time');
    this.#append(batch, window.start + 12, captured, wire, origin);
  }

  /** Whether the packet is of a known interface and within its block of `room` bytes; if not, records that. */
  #isSound(
    window: ByteWindow,
    origin: CaptureInterface | undefined,
    captured: number,
    room: number,
  ): origin is CaptureInterface {
    if (origin === undefined) this.#leaveOut(window, 'packet of an unknown interface');
    else if (captured > room) this.#leaveOut(window, 'packet longer than its block');
    else if (captured > packetBytesMax) this.#leaveOut(window, 'packet longer than 256 KiB');
    else return true;
    return false;
  }

  #append(
    batch: BatchBuffer,
    offset: number,
    captured: number,
    wire: number,
    origin: CaptureInterface,
  ): void {
    const at = batch.count++;
    batch.offset[at] = offset;
    batch.capturedLength[at] = captured;
    batch.wireLength[at] = Math.min(wire, wireLengthMax);
    batch.timeNs[at] = this.#lastTimeNs;
    batch.linkType[at] = origin.linkType;
    batch.interfaceIndex[at] = origin.index;
  }

  #readInterface(window: ByteWindow, length: number): boolean {
    const { view, start } = window;
    if (length < interfaceDescriptionBytes)
      return this.#end(window, 'interface description too short') !== ended;
    if (this.#interfaces.length < interfacesMax) {
      const index = this.#interfaceCount++;
      this.#interfaces.push(
        new CaptureInterface(view, start + 8, start + length - 4, this.#littleEndian, index),
      );
    }
    return true;
  }

  #readSection(window: ByteWindow, length: number): boolean {
    if (length < sectionHeaderBytes) return this.#end(window, 'section header too short') !== ended;
    const version = window.view.getUint16(window.start + 12, this.#littleEndian);
    if (version !== 1) return this.#end(window, `pcapng version ${version}, not 1,`) !== ended;
    this.#interfaces = [];
    return true;
  }

  #leaveOut(window: ByteWindow, what: string): void {
    this.#log.add('bad_packet', window.origin + window.start, what);
  }

  #end(window: ByteWindow, what: string): typeof ended {
    this.#log.add('corrupt', window.origin + window.start, what);
    return ended;
  }
}
