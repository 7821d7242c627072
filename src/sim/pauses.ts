import { draw } from './distribution.ts';
import type { Random } from './random.ts';
import type { EventSpec } from './scenario.ts';

/** Pauses of one server in order of time, drawn as far ahead as somebody looks. No two overlap. */
export class Pauses {
  readonly #random: Random;
  readonly #events: readonly EventSpec[];
  /** When each event's next pause begins. */
  readonly #nextNs: number[];
  #fromNs: number[] = [];
  #untilNs: number[] = [];
  #first = 0;

  /** @param events each with `stalls` */
  constructor(events: readonly EventSpec[], random: Random) {
    this.#random = random;
    this.#events = events;
    this.#nextNs = events.map((event) => this.#after(event, event.fromNs));
  }

  /** Forgets pauses that were over at a time, which never goes back. Pause 0 is then the first of the others. */
  seek(atNs: number): void {
    while (this.from(0) < Number.POSITIVE_INFINITY && this.#untilNs[this.#first]! <= atNs) this.#first++;
    if (this.#first < 256) return;
    // The last one that is over stays: the next must not begin before its end.
    this.#fromNs = this.#fromNs.slice(this.#first - 1);
    this.#untilNs = this.#untilNs.slice(this.#first - 1);
    this.#first = 1;
  }

  /** When a pause begins; infinite after the last. */
  from(index: number): number {
    while (this.#first + index >= this.#fromNs.length) if (!this.#draw()) return Number.POSITIVE_INFINITY;
    return this.#fromNs[this.#first + index]!;
  }

  /** When a pause ends whose beginning was asked for. */
  until(index: number): number {
    return this.#untilNs[this.#first + index]!;
  }

  #draw(): boolean {
    let next = 0;
    for (let i = 1; i < this.#nextNs.length; i++) if (this.#nextNs[i]! < this.#nextNs[next]!) next = i;
    const fromNs = Math.max(this.#nextNs[next]!, this.#untilNs.at(-1) ?? 0);
    const event = this.#events[next]!;
    if (fromNs === Number.POSITIVE_INFINITY) return false;
    const untilNs = fromNs + draw(event.stalls!.duration, this.#random, fromNs);
    this.#fromNs.push(fromNs);
    this.#untilNs.push(untilNs);
    this.#nextNs[next] = this.#after(event, untilNs);
    return true;
  }

  #after(event: EventSpec, nowNs: number): number {
    const nextNs = nowNs + event.stalls!.everyNs * this.#random.exponential();
    return nextNs < event.untilNs ? nextNs : Number.POSITIVE_INFINITY;
  }
}
