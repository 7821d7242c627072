import { inbandHistogram, inbandLimit } from '../../generated/layout.ts';
import { BinWindow, binOf, LiveBins } from '../../latency/bins.ts';

const stride = inbandHistogram.size / 4;
const wordOf = (field: keyof typeof inbandHistogram.fields) => inbandHistogram.fields[field].offset / 4;
const countWord = wordOf('count');
const sumWord = wordOf('sumNs');
const lastWord = wordOf('lastNs');
const lastTimeWord = wordOf('lastTimeNs');
const binsWord = wordOf('bins');

const u32Count = 0x1_0000_0000;
/** Latencies from here on have no bin. */
const latencyNsEnd = 2 ** inbandLimit.latencyBits;

/** Adds a value, which may be negative, to a 64-bit word in two halves. */
function add64(words: Uint32Array, at: number, value: number): void {
  const sum = words[at]! + value;
  if (sum >= 0 && sum < u32Count) {
    words[at] = sum;
    return;
  }
  const high = Math.floor(value / u32Count);
  const low = words[at]! + (value - high * u32Count);
  words[at] = low;
  words[at + 1]! += high + (low >= u32Count ? 1 : 0);
}

function set64(words: Uint32Array, at: number, value: number): void {
  const high = Math.floor(value / u32Count);
  words[at] = value - high * u32Count;
  words[at + 1] = high;
}

/** Samples by backend and kind, laid out as the XDP program lays out its own: windows and policies see no difference. */
export class SampleMemory {
  /** Samples that no bin has room for. */
  dropped = 0;
  /** Of each backend its own, so that windows keep what they read when there are more. */
  readonly #words: Uint32Array[] = [];
  readonly #kinds: number;

  constructor(kinds: number) {
    this.#kinds = kinds;
  }

  /** Begins to count anew for a backend; those who read what was before go on to. */
  begin(backend: number): void {
    while (this.#words.length < backend) this.#words.push(new Uint32Array(0));
    this.#words[backend] = new Uint32Array(this.#kinds * stride);
  }

  /** Counts a sample, in whole ns, taken at `now` on the monotonic clock. Allocates nothing. */
  record(backend: number, kind: number, latencyNs: number, now: number): boolean {
    if (latencyNs >= latencyNsEnd) {
      this.dropped++;
      return false;
    }
    const words = this.#words[backend]!;
    const at = kind * stride;
    add64(words, at + countWord, 1);
    add64(words, at + sumWord, latencyNs);
    set64(words, at + lastWord, latencyNs);
    set64(words, at + lastTimeWord, now);
    words[at + binsWord + (latencyNs > 0 ? binOf(latencyNs) : 0)]!++;
    return true;
  }

  /** A window over the samples of a backend and kind that begins now. */
  window(backend: number, kind: number): BinWindow {
    return new BinWindow(this.histogram(backend, kind));
  }

  /** All samples of a backend and kind since the start. */
  histogram(backend: number, kind: number): LiveBins {
    return new LiveBins(this.#words[backend]!, [kind * stride]);
  }
}
