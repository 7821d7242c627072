import { octaves, softNsOf } from './comparison.ts';
import type { PolicyInput } from './policy.ts';

/** A jump exceeds what pairs of looks reached before by this many octaves: it is at least twice the pool's latency. */
const marginOctaves = 1;
/** Looks of a backend from which it is learnt what is usual before any can be a jump. */
const looksMin = 250;
/** How fast what is usual is forgotten, in octaves per second, and how much of it a jump adds: false ones get rarer. */
const forgetPerS = 0.1;
const jumpAdds = 0.2;
/** A backend that was looked at within this time has stayed or jumped with the others. */
const lookedNs = 10e6;

/**
 * Sees that a backend's latency at least doubled before a window is full: when its latest sample is far above the pool's in
 * two looks in a row, further than what such pairs usually reach there, while another backend stays. One such sample
 * is an outlier; two looks a tick apart seldom both meet one, unless a queue makes them depend on each other, which
 * is learnt.
 */
export class Jumps {
  readonly #seen: Float64Array;
  readonly #lookedNs: Float64Array;
  readonly #looks: Uint32Array;
  readonly #last: Float64Array;
  readonly #pairs: Float64Array;
  readonly #usual: Float64Array;
  readonly #jumping: Uint8Array;
  readonly #begunNs: Float64Array;

  constructor(backends: number) {
    this.#seen = new Float64Array(backends);
    this.#lookedNs = new Float64Array(backends).fill(Number.NEGATIVE_INFINITY);
    this.#looks = new Uint32Array(backends);
    this.#last = new Float64Array(backends);
    this.#pairs = new Float64Array(backends);
    this.#usual = new Float64Array(backends);
    this.#jumping = new Uint8Array(backends);
    this.#begunNs = new Float64Array(backends);
  }

  /** Looks at each backend that has new samples; `baseNs` is the pool's latency, NaN if there is none yet. */
  look({ windows, kind, now }: PolicyInput, baseNs: number): void {
    if (Number.isNaN(baseNs)) return;
    const softNs = softNsOf(kind);
    const base = octaves(baseNs, softNs);
    for (let b = 0; b < windows.length; b++) {
      const { count, lastNs } = windows[b]!;
      if (count === this.#seen[b] || count === 0) continue;
      this.#seen[b] = count;
      const ratio = octaves(lastNs, softNs) - base;
      this.#pairs[b] = Math.min(ratio, this.#last[b]!);
      this.#last[b] = ratio;
      const sinceS = Math.min(1, (now - this.#lookedNs[b]!) / 1e9);
      this.#lookedNs[b] = now;
      this.#looks[b]!++;
      this.#learn(b, sinceS);
    }
  }

  /** A window was reset: a count of 0 is not a new sample. */
  restarted(b: number): void {
    this.#seen[b] = 0;
  }

  /** Whether a backend's latest looks are a jump while another backend stayed. */
  hasJumped(b: number, now: number): boolean {
    return this.#isJump(b) && now - this.#lookedNs[b]! === 0 && this.#anyStayed(now);
  }

  /** Time from a moment to the first look of a backend's present jump, in ns; negative if it began before. */
  sinceNs(b: number, momentNs: number): number {
    return this.#begunNs[b]! - momentNs;
  }

  /** Octaves above the pool of the latest pair of looks. */
  ratio(b: number): number {
    return this.#pairs[b]!;
  }

  #isJump(b: number): boolean {
    return this.#looks[b]! >= looksMin && this.#pairs[b]! > this.#usual[b]! + marginOctaves;
  }

  #anyStayed(now: number): boolean {
    for (let b = 0; b < this.#looks.length; b++) {
      if (now - this.#lookedNs[b]! <= lookedNs && this.#last[b]! <= this.#usual[b]! + marginOctaves)
        return true;
    }
    return false;
  }

  #learn(b: number, sinceS: number): void {
    const usual = this.#usual[b]!;
    const pair = this.#pairs[b]!;
    const jumps = this.#isJump(b);
    if (jumps && this.#jumping[b] === 0) {
      this.#usual[b] = usual + jumpAdds;
      this.#begunNs[b] = this.#lookedNs[b]!;
    }
    this.#jumping[b] = jumps ? 1 : 0;
    if (jumps) return;
    if (pair > usual) this.#usual[b] = usual + 0.5 * (pair - usual);
    else this.#usual[b] = Math.max(0, usual - forgetPerS * sinceS);
  }
}
