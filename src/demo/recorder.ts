import type { ShareChange, Status } from '../daemon.ts';
import type { LoadCounts } from '../lab/load.ts';
import type { Interval, Shares, Timeline } from './timeline.ts';

/** Puts together a run's timeline while it runs. Moments come in on CLOCK_MONOTONIC, in ns. */
export class Recorder {
  readonly #intervals: Interval[] = [];
  /** Shares as they were when somebody looked; replaced by every change there was once that is known. */
  #shares: Shares[] = [];
  /** By generation: what is asked for twice counts once. */
  readonly #changes = new Map<number, ShareChange>();
  #originNs: number | undefined;
  #slowed: number | undefined;
  #injectedNs: number | undefined;
  #removedNs: number | undefined;

  interval({ tMs, monoNs, requests, p95Us }: LoadCounts): void {
    this.#originNs ??= monoNs - tMs * 1e6;
    const toMs = this.#ms(monoNs)!;
    this.#intervals.push({ fromMs: this.#intervals.at(-1)?.toMs ?? 0, toMs, requests, p95Us });
  }

  /** Takes in shares as they are now. */
  status(nowNs: number, { vips }: Status): void {
    if (this.#originNs === undefined) return;
    this.#shares.push({
      timeMs: this.#ms(nowNs)!,
      share: vips[0]!.backends.map(({ share }) => share),
    });
  }

  /** Takes in changes; the first call with all of them. */
  changes(changes: readonly ShareChange[]): void {
    for (const change of changes) this.#changes.set(change.generation, change);
  }

  injected(nowNs: number, slowed: number): void {
    this.#injectedNs = nowNs;
    this.#slowed = slowed;
  }

  removed(nowNs: number): void {
    this.#removedNs = nowNs;
  }

  /** To be called at the end, when all changes have been taken in. */
  finish(): void {
    this.#shares = [...this.#changes.values()]
      .sort((a, b) => a.time_ns - b.time_ns)
      .map(({ time_ns, share }) => ({ timeMs: this.#ms(time_ns)!, share }));
  }

  get timeline(): Timeline {
    return {
      intervals: this.#intervals,
      shares: this.#shares,
      slowed: this.#slowed,
      injectedMs: this.#ms(this.#injectedNs),
      removedMs: this.#ms(this.#removedNs),
    };
  }

  /** When the load began, in ns; undefined until its first interval is over. */
  get originNs(): number | undefined {
    return this.#originNs;
  }

  #ms(timeNs: number | undefined): number | undefined {
    return timeNs === undefined || this.#originNs === undefined ? undefined : (timeNs - this.#originNs) / 1e6;
  }
}
