import type { Ns } from '../../units.ts';

/** Points of a history: enough for the widest chart, few enough for any length of capture. */
const pointsMax = 480;

/** Shares at equal steps of time, in bounded memory: when it is full, every other point goes and the step doubles. */
export class ShareHistory {
  readonly timeS: number[] = [];
  readonly share: number[][] = [];
  #stepNs = 1e6;
  #nextNs = 0;

  /** Records `shares` at every step up to `now`: call it before they change. */
  advance(now: Ns, shares: Float64Array): void {
    while (this.#nextNs <= now) {
      this.#push(this.#nextNs, shares);
      this.#nextNs += this.#stepNs;
    }
  }

  /** Records the last point, off the steps. */
  finish(now: Ns, shares: Float64Array): void {
    if ((this.timeS.at(-1) ?? -1) < now / 1e9) this.#push(now, shares);
  }

  #push(timeNs: number, shares: Float64Array): void {
    if (this.timeS.length === pointsMax) this.#thin();
    this.timeS.push(timeNs / 1e9);
    this.share.push([...shares]);
  }

  /** `pointsMax` is even: the point that comes next is on the doubled step. */
  #thin(): void {
    const keep = (_: unknown, i: number) => i % 2 === 0;
    this.timeS.splice(0, pointsMax, ...this.timeS.filter(keep));
    this.share.splice(0, pointsMax, ...this.share.filter(keep));
    this.#stepNs *= 2;
  }
}
