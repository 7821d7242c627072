import { alignFrame } from '../admin/dashboard/client.ts';
import type { About, Frame, Recorded, ShownDecision } from '../admin/dashboard/frame.ts';

/** Frames that are kept: those of a minute and the one before, to take differences from. */
const framesMax = 61;

/** The last minute of a load balancer, taken in line by line as its daemon records it. */
export class TopFeed {
  #about: About | undefined;
  #frames: Frame[] = [];
  #decisions: readonly ShownDecision[] = [];

  /** What frames and decisions are about; undefined before the first line. */
  get about(): About | undefined {
    return this.#about;
  }

  /** One a second, the last one last, all about the same vips and backends. */
  get frames(): readonly Frame[] {
    return this.#frames;
  }

  /** The last first. */
  get decisions(): readonly ShownDecision[] {
    return this.#decisions;
  }

  /** Takes a line in; one that is known already changes nothing. */
  take(recorded: Recorded): void {
    if ('about' in recorded) this.#turnTo(recorded.about);
    else if ('decisions' in recorded) this.#decisions = recorded.decisions;
    else this.#add(recorded.frame);
  }

  #turnTo(about: About): void {
    const before = this.#about;
    this.#about = about;
    // Another daemon counts from 0 again.
    if (before?.started !== about.started) this.#frames = [];
    else this.#frames = this.#frames.map((frame) => alignFrame(frame, before, about));
    this.#decisions = [];
  }

  #add(frame: Frame): void {
    const last = this.#frames.at(-1);
    if (last && frame.n <= last.n) return;
    this.#frames.push(frame);
    if (this.#frames.length > framesMax) this.#frames.shift();
  }
}
