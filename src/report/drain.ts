import { formatDuration } from '../units.ts';
import { formatCount } from './format.ts';
import { truncate } from './terminal.ts';

/** The rate at which flows end is that over this time. */
const rateSpanMs = 10_000;
/** Where lines stay, one is written this often. */
const lineMs = 10_000;

export const drainedText = (waitedMs: number): string =>
  `no flows left after ${formatDuration(waitedMs * 1e6)}`;

/** How many flows are left and how fast they end: `1,234 flows left, 56 end each second, about 22s more`. */
export function drainLine(left: number, endedPerSecond: number | undefined): string {
  const parts = [`${formatCount(left)} ${left === 1 ? 'flow' : 'flows'} left`];
  if (endedPerSecond !== undefined && endedPerSecond > 0) {
    const rate =
      endedPerSecond >= 10 ? formatCount(endedPerSecond) : `${Number(endedPerSecond.toPrecision(2))}`;
    parts.push(`${rate} end each second`);
    if (left > 0) parts.push(`about ${formatDuration(Math.ceil(left / endedPerSecond) * 1e9)} more`);
  }
  return parts.join(', ');
}

/** Shows how far a drain is: one line that changes on a terminal, else a line now and then. */
export class DrainProgress {
  readonly #stream: NodeJS.WriteStream;
  readonly #isQuiet: boolean;
  #seen: { left: number; atMs: number }[] = [];
  #lineAtMs = 0;
  #isShown = false;

  /** @param isQuiet whether to write nothing where lines would stay */
  constructor(stream: NodeJS.WriteStream, isQuiet: boolean) {
    this.#stream = stream;
    this.#isQuiet = isQuiet;
  }

  /** @param atMs time since the drain began */
  show(left: number, atMs: number): void {
    this.#seen = [...this.#seen.filter((one) => one.atMs >= atMs - rateSpanMs), { left, atMs }];
    const first = this.#seen[0]!;
    const spanMs = atMs - first.atMs;
    const line = drainLine(left, spanMs > 0 ? ((first.left - left) / spanMs) * 1e3 : undefined);
    if (this.#stream.isTTY) {
      this.#isShown = true;
      this.#stream.write(`\r${truncate(line, this.#stream.columns - 1)}\u001b[K`);
    } else if (!this.#isQuiet && atMs - this.#lineAtMs >= lineMs) {
      this.#lineAtMs = atMs;
      this.#stream.write(`${line}\n`);
    }
  }

  /** Removes the line that changes. */
  stop(): void {
    if (this.#isShown) this.#stream.write('\r\u001b[K');
  }
}
