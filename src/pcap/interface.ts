import type { TimeBase } from './parser.ts';

const optionEnd = 0;
const optionTimeResolution = 9;
const optionTimeOffset = 14;

/** An interface of a pcapng section: what its packets are, and how their timestamps become times. */
export class CaptureInterface {
  readonly linkType: number;
  /** Longest packet that was captured, in bytes; 0 means no limit. */
  readonly snapLength: number;
  /** Number of the interface through all sections of the file. */
  readonly index: number;
  #ticksPerSecond = 1_000_000n;
  #offsetSeconds = 0n;
  /** ns = ticks / #divisor * #multiplier: two steps, to be exact for every resolution down to the nanosecond. */
  #divisor = 1;
  #multiplier = 1000;
  /** The ticks at the time base, in two halves; NaN until it is known. */
  #baseHigh = Number.NaN;
  #baseLow = Number.NaN;

  /** Reads the body of an interface description block: `view` from `at` to `end`, at least 8 bytes. */
  constructor(view: DataView, at: number, end: number, littleEndian: boolean, index: number) {
    this.linkType = view.getUint16(at, littleEndian);
    this.snapLength = view.getUint32(at + 4, littleEndian);
    this.index = index;
    for (let option = at + 8; option + 4 <= end; ) {
      const code = view.getUint16(option, littleEndian);
      const length = view.getUint16(option + 2, littleEndian);
      const value = option + 4;
      if (code === optionEnd || value + length > end) break;
      if (code === optionTimeResolution && length === 1) this.#setResolution(view.getUint8(value));
      if (code === optionTimeOffset && length === 8)
        this.#offsetSeconds = readOffset(view, value, littleEndian);
      option = value + Math.ceil(length / 4) * 4;
    }
  }

  /** `if_tsresol`: the highest bit chooses powers of 2 over powers of 10, the rest is the negated exponent. */
  #setResolution(value: number): void {
    const exponent = value & 0x7f;
    const isBinary = value >= 0x80;
    this.#ticksPerSecond = (isBinary ? 2n : 10n) ** BigInt(exponent);
    this.#divisor = isBinary ? 2 ** exponent : 10 ** Math.max(0, exponent - 9);
    this.#multiplier = isBinary ? 1e9 : 10 ** Math.max(0, 9 - exponent);
  }

  /**
   * Time in whole ns after the time base, rounded down, of a timestamp given as its upper and lower 32 bits.
   * The first call for a capture without a time base sets it to this timestamp's second.
   */
  timeNs(high: number, low: number, timeBase: TimeBase): number {
    if (Number.isNaN(this.#baseHigh)) this.#setBase(high, low, timeBase);
    // Subtracting before joining the halves: absolute nanoseconds do not fit a double, differences do.
    const ticks = (high - this.#baseHigh) * 2 ** 32 + (low - this.#baseLow);
    return Math.floor((ticks / this.#divisor) * this.#multiplier);
  }

  #setBase(high: number, low: number, timeBase: TimeBase): void {
    const ticks = (BigInt(high) << 32n) + BigInt(low);
    timeBase.seconds ??= Number(ticks / this.#ticksPerSecond + this.#offsetSeconds);
    const base = (BigInt(timeBase.seconds) - this.#offsetSeconds) * this.#ticksPerSecond;
    this.#baseHigh = Number(base >> 32n);
    this.#baseLow = Number(base & 0xffff_ffffn);
  }
}

/** `if_tsoffset`: whole seconds to add to every timestamp, signed. */
function readOffset(view: DataView, at: number, littleEndian: boolean): bigint {
  return view.getBigInt64(at, littleEndian);
}
