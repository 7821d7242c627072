import type { LiveRun, Watcher } from '../demo/demo.ts';
import type { Schedule } from '../demo/plan.ts';
import { formatDuration } from '../units.ts';
import { type LiveView, liveHeight, liveLine, liveLines, liveWidthMin } from './demo-live.ts';
import { colorPaint, plainPaint } from './terminal.ts';

/** A picture is drawn anew this often; a line is written this often. */
const redrawMs = 250;
const lineMs = 1_000;

/** Shows the demo while it runs: a chart that is drawn over itself on a terminal with room for it, else a line each second. */
export class LiveDisplay implements Watcher {
  readonly #stream: NodeJS.WriteStream;
  readonly #view: LiveView & { runs: LiveRun[] };
  readonly #isDrawn: boolean;
  #timer: NodeJS.Timeout | undefined;
  /** Lines of the picture on the screen now. */
  #drawn = 0;

  constructor(stream: NodeJS.WriteStream, schedule: Schedule, delayNs: number) {
    this.#stream = stream;
    this.#view = { runs: [], schedule, delayNs };
    this.#isDrawn = stream.isTTY === true && stream.rows > liveHeight && stream.columns >= liveWidthMin;
  }

  ready({ application }: { application: string }): void {
    const { schedule, delayNs } = this.#view;
    const [inject, remove, end] = [schedule.injectMs, schedule.removeMs, schedule.endMs].map(
      (timeMs) => `${timeMs / 1e3}s`,
    );
    this.#stream.write(
      `Two servers (${application}) under load, twice for ${end}; one becomes ${formatDuration(delayNs)} slower from ${inject} to ${remove}.\n`,
    );
  }

  run(run: LiveRun): void {
    this.#show();
    this.#view.runs.push(run);
    this.#timer ??= setInterval(() => this.#show(), this.#isDrawn ? redrawMs : lineMs);
  }

  /** Leaves the last picture on the screen. */
  stop(): void {
    clearInterval(this.#timer);
    if (this.#isDrawn && this.#view.runs.length > 0) this.#draw();
  }

  #show(): void {
    const run = this.#view.runs.at(-1);
    if (!run) return;
    if (this.#isDrawn) this.#draw();
    else if (run.timeline().intervals.length > 0) this.#stream.write(`${liveLine(run, this.#view)}\n`);
  }

  #draw(): void {
    const { columns } = this.#stream;
    const lines = liveLines(this.#view, columns, this.#stream.hasColors() ? colorPaint : plainPaint);
    // Up to where the picture began, and everything below cleared: ECMA-48, 8.3.22 and 8.3.39.
    const back = this.#drawn > 0 ? `\u001b[${this.#drawn}A\r\u001b[J` : '';
    this.#stream.write(`${back}${lines.join('\n')}\n`);
    this.#drawn = lines.length;
  }
}
