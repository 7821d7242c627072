import { setTimeout as sleep } from 'node:timers/promises';
import { InbandError } from '../errors.ts';
import { colorPaint, plainPaint } from '../report/terminal.ts';
import { scrollMax, type TopOptions, type TopSort, topLines } from '../report/top.ts';
import { TopFeed } from '../report/top-feed.ts';
import { type TopView, topView } from '../report/top-view.ts';
import { Screen, type ScreenInput, type ScreenOutput } from './screen.ts';
import { recorded } from './top-source.ts';

/** How long after it was lost a daemon is asked again. */
const retryMs = 1_000;
const pageLines = 10;

const sortKeys: Readonly<Record<string, TopSort>> = {
  n: 'name',
  s: 'share',
  f: 'flows',
  p: 'packets',
  i: 'flight',
  l: 'p99',
};

/** Somebody who watches a load balancer on a terminal, until they have seen enough. */
export class TopSession {
  readonly #socket: string;
  readonly #screen: Screen;
  readonly #hasColors: boolean;
  readonly #ended = new AbortController();
  readonly #feed = new TopFeed();
  #shown: TopView | undefined;
  #sort: TopSort = 'name';
  #isReversed = false;
  #vip: string | undefined;
  #scroll = 0;
  #isPaused = false;
  /** When the daemon stopped to answer. */
  #lostAt: Date | undefined;

  constructor(socket: string, input: ScreenInput, output: ScreenOutput, hasColors: boolean) {
    this.#socket = socket;
    this.#hasColors = hasColors;
    this.#screen = new Screen(input, output, { key: (key) => this.#key(key), resize: () => this.#draw() });
  }

  /**
   * Watches until `end`, or a key that says so. A daemon that goes away meanwhile is waited for.
   * @throws InbandError `DAEMON_UNREACHABLE` and such when it does not answer to begin with
   */
  async run(): Promise<void> {
    const { signal } = this.#ended;
    try {
      while (!signal.aborted) {
        await this.#watch();
        if (signal.aborted) break;
        this.#lostAt ??= new Date();
        this.#draw();
        await sleep(retryMs, undefined, { signal }).catch(() => {});
      }
    } finally {
      this.#screen.leave();
    }
  }

  end(): void {
    this.#ended.abort();
  }

  /** Gives the terminal back for a time, and takes it again. */
  suspend(): void {
    this.#screen.leave();
  }

  resume(): void {
    this.#screen.enter();
    this.#draw();
  }

  /** Takes in what the daemon tells for as long as it does. */
  async #watch(): Promise<void> {
    const isFirst = this.#feed.about === undefined;
    let isPast = true;
    try {
      for await (const line of recorded(this.#socket, this.#ended.signal)) {
        this.#feed.take(line);
        this.#lostAt = undefined;
        this.#screen.enter();
        // Decisions end what was recorded before.
        isPast &&= !('decisions' in line);
        if (!isPast && !('about' in line)) this.#show();
      }
    } catch (error) {
      if (this.#ended.signal.aborted) return;
      if (isFirst && this.#feed.about === undefined) throw error;
      const isAway = error instanceof InbandError && error.code === 'DAEMON_UNREACHABLE';
      if (!isAway) throw error;
    }
  }

  #show(): void {
    if (!this.#isPaused) this.#shown = topView(this.#feed) ?? this.#shown;
    this.#draw();
  }

  #draw(): void {
    if (!this.#shown) {
      this.#screen.draw(['waiting for the first second']);
      return;
    }
    const options = this.#options();
    this.#scroll = Math.min(this.#scroll, scrollMax(this.#shown, options));
    this.#screen.draw(topLines(this.#shown, { ...options, scroll: this.#scroll }));
  }

  #options(): TopOptions {
    const notice = this.#lostAt
      ? `no answer since ${this.#lostAt.toISOString().slice(11, 19)}`
      : this.#isPaused
        ? 'paused'
        : undefined;
    return {
      ...this.#screen.size,
      paint: this.#hasColors ? colorPaint : plainPaint,
      sort: this.#sort,
      isReversed: this.#isReversed,
      ...(this.#vip !== undefined && { vip: this.#vip }),
      scroll: this.#scroll,
      ...(notice !== undefined && { notice }),
      hasKeys: true,
    };
  }

  #key(key: string): void {
    const sort = sortKeys[key];
    if (sort !== undefined) {
      this.#isReversed = sort === this.#sort && !this.#isReversed;
      this.#sort = sort;
    } else if (key === 'q' || key === 'ctrl-c') {
      this.end();
      return;
    } else if (key === 'ctrl-z') {
      this.suspend();
      process.kill(process.pid, 'SIGTSTP');
      return;
    } else if (key === ' ') {
      this.#isPaused = !this.#isPaused;
      this.#show();
      return;
    } else if (key === 'v') {
      this.#nextVip();
    } else {
      this.#move(key);
    }
    this.#draw();
  }

  /** All vips, then each alone. */
  #nextVip(): void {
    const names = this.#shown?.vips.map(({ vip }) => vip) ?? [];
    this.#vip = names[this.#vip === undefined ? 0 : names.indexOf(this.#vip) + 1];
    this.#scroll = 0;
  }

  #move(key: string): void {
    const moves: Readonly<Record<string, number>> = {
      up: -1,
      k: -1,
      down: 1,
      j: 1,
      'page-up': -pageLines,
      'page-down': pageLines,
    };
    this.#scroll = Math.max(0, this.#scroll + (moves[key] ?? 0));
  }
}
