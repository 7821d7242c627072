import { roomFor } from './room.ts';

/**
 * Ticks of TCP timestamps that servers are known to use (RFC 7323, 5.4): 1 ms on Linux, 4 and 10 ms on older kernels
 * and other systems, 1 us by `tcp_usec_ts`. Lengths are in units of 64 ns / 2^`shift`, so that each is whole.
 */
export const serverTicks: readonly { length: number; shift: number }[] = [
  { length: 15_625, shift: 0 },
  { length: 62_500, shift: 0 },
  { length: 156_250, shift: 0 },
  { length: 125, shift: 3 },
];

/** No tick is known. */
export const tickUnknown = -1;

/** Votes that make a tick known, and at most count. */
const votesMin = 2;
const votesMax = 15;

/** Samples before a mean is judged; its weight in the mean is 1/2^8. */
const checkedMin = 200;
const checkedLog2 = 8;

const words = 5;
const wordTick = 0;
const wordVotes = 1;
const wordChecked = 2;
const wordMean = 3;
const wordElsewhere = 4;

/** What is learnt of each backend's timestamp clock, and whether times taken from it are possible at all. */
export class ServerClocks {
  /**
   * Per backend: index of the tick voted for, its votes, samples checked, 2^8 times their mean in units of 64 ns, and 2^8
   * times the mean of what responses took elsewhere than at the server.
   */
  #words: Int32Array;

  constructor(backends: number) {
    this.#words = new Int32Array(backends * words);
  }

  /** Makes room for a backend, and forgets what was known under its number. */
  begin(backend: number): void {
    this.#words = roomFor(this.#words, (backend + 1) * words).fill(0, backend * words, (backend + 1) * words);
  }

  /** Index of a backend's tick in `serverTicks`; `tickUnknown` before flows agree on one. */
  tick(backend: number): number {
    const at = backend * words;
    return this.#words[at + wordVotes]! >= votesMin ? this.#words[at + wordTick]! : tickUnknown;
  }

  /** One flow's view: the server's clock advanced by `ticks` in `span` units of 64 ns, 2^18 to 2^30 of them. */
  vote(backend: number, ticks: number, span: number): void {
    const w = this.#words;
    const at = backend * words;
    const found = tickOf(ticks, span);
    if (w[at + wordVotes]! > 0 && found === w[at + wordTick]!) {
      if (w[at + wordVotes]! < votesMax) w[at + wordVotes]!++;
    } else if (w[at + wordVotes]! > 0) {
      w[at + wordVotes]!--;
    } else if (found !== tickUnknown) {
      w[at + wordTick] = found;
      w[at + wordVotes] = 1;
      w[at + wordChecked] = 0;
      w[at + wordMean] = 0;
    }
  }

  /**
   * Of the time that responses take beyond the handshake, log2 of the part elsewhere (at the client) over that at the server, in
   * halves: -8 to 8. Ratios of averages over some 256 responses.
   */
  shift(backend: number): number {
    const w = this.#words;
    const at = backend * words;
    const server = 32 - Math.clz32(Math.max(1, w[at + wordMean]!));
    const elsewhere = 32 - Math.clz32(Math.max(1, w[at + wordElsewhere]!));
    return Math.max(-8, Math.min(8, elsewhere - server));
  }

  /**
   * Takes in a residence in units of 64 ns, and the time elsewhere beyond the handshake; whether residences of this backend are believed. They are not once they are
   * negative by 0.3 of a tick on average: requests are then paired with the wrong responses.
   */
  check(backend: number, residence: number, elsewhere: number, tickLength: number): boolean {
    const w = this.#words;
    const at = backend * words;
    const bounded = Math.min(Math.max(residence, -4 * tickLength), 4 * tickLength);
    w[at + wordMean]! += bounded - (w[at + wordMean]! >> checkedLog2);
    const rest = Math.min(Math.max(elsewhere, -tickLength), 8 * tickLength);
    w[at + wordElsewhere]! += rest - (w[at + wordElsewhere]! >> checkedLog2);
    if (w[at + wordChecked]! < checkedMin) {
      w[at + wordChecked]!++;
      return true;
    }
    return w[at + wordMean]! >> checkedLog2 > -((tickLength * 5) >> 4);
  }
}

/** The tick that fits within a quarter; `tickUnknown` if none does. */
function tickOf(ticks: number, span: number): number {
  if (ticks <= 0) return tickUnknown;
  for (let i = 0; i < serverTicks.length; i++) {
    const { length, shift } = serverTicks[i]!;
    // Beyond this the product is far above any span.
    if (ticks > 2 ** 26) return tickUnknown;
    const estimate = (ticks * length) / 2 ** shift;
    if (4 * estimate >= 3 * span && 4 * estimate <= 5 * span) return i;
  }
  return tickUnknown;
}
