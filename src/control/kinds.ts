import type { LatencyWindow } from '../latency/window.ts';
import type { Ns } from '../units.ts';

/** Kinds by how much they tell of a request's latency; those not listed come between `gap` and `quic`. */
const preferred = ['request', 'pipelined', 'server', 'gap', '', 'quic', 'handshake', 'pirate'];

/** How often samples are counted, and how much of the count before is kept: samples of about the last second. */
const lookNs = 100e6;
const keep = 0.9;
/** A kind with at least this fraction of the samples of the most frequent one is as good, so that preference decides. */
const nearTie = 0.2;
/** Looks in a row that must speak for a kind: a preferred one is taken sooner than one that is only more frequent. */
const looksUp = 2;
const looksDown = 10;

/** Place of a kind in the order of preference, 0 the most preferred. */
function rankOf(kind: string): number {
  const rank = preferred.indexOf(kind);
  return rank < 0 ? preferred.indexOf('') : rank;
}

/**
 * Chooses the kind of samples to control on: the one of which the backend that has least of it has most, and of those
 * that are nearly as frequent the one that tells most of a request's latency. It changes its mind slowly, since after
 * a change a policy starts anew. Allocates nothing after construction.
 */
export class KindChooser {
  /** Number of the chosen kind; 0 before the first sample. */
  chosen = 0;
  readonly #windows: readonly (readonly LatencyWindow[])[];
  readonly #ranks: readonly number[];
  /** Per kind and backend: the window's count when last looked at, and samples of about the last second. */
  readonly #seen: readonly Float64Array[];
  readonly #recent: readonly Float64Array[];
  /** Per kind: recent samples of the backend that has least. */
  readonly #least: Float64Array;
  #lookedNs = Number.NEGATIVE_INFINITY;
  #hasChosen = false;
  #rival = -1;
  #looks = 0;

  /** @param windows per kind one of each backend; they may be reset between calls, after which `settle` is called */
  constructor(kinds: readonly string[], windows: readonly (readonly LatencyWindow[])[]) {
    this.#windows = windows;
    this.#ranks = kinds.map(rankOf);
    this.#seen = windows.map((row) => new Float64Array(row.length));
    this.#recent = windows.map((row) => new Float64Array(row.length));
    this.#least = new Float64Array(kinds.length);
  }

  /** Looks at what was sampled until `now`; true if another kind is chosen than before. */
  look(now: Ns, usable: Uint8Array): boolean {
    if (this.#windows.length < 2) return false;
    this.#count(this.chosen);
    if (now - this.#lookedNs < lookNs && this.#hasChosen) return false;
    this.#lookedNs = now;
    for (let k = 0; k < this.#windows.length; k++) if (k !== this.chosen) this.#count(k);
    this.#weigh(usable);
    const best = this.#best();
    this.#fade();
    return best >= 0 && this.#consider(best);
  }

  /** Takes note of windows of the chosen kind that were reset since `look`. */
  settle(): void {
    if (this.#windows.length < 2) return;
    const seen = this.#seen[this.chosen]!;
    const windows = this.#windows[this.chosen]!;
    for (let b = 0; b < windows.length; b++) seen[b] = windows[b]!.count;
  }

  #count(kind: number): void {
    const windows = this.#windows[kind]!;
    const seen = this.#seen[kind]!;
    const recent = this.#recent[kind]!;
    for (let b = 0; b < windows.length; b++) {
      const { count } = windows[b]!;
      recent[b]! += Math.max(0, count - seen[b]!);
      seen[b] = count;
    }
  }

  /** Per kind, the fewest samples of a usable backend; one without samples of any kind does not speak. */
  #weigh(usable: Uint8Array): void {
    this.#least.fill(Number.POSITIVE_INFINITY);
    for (let b = 0; b < usable.length; b++) {
      let any = 0;
      for (const recent of this.#recent) any += recent[b]!;
      if (usable[b] === 0 || any < 1) continue;
      for (let k = 0; k < this.#least.length; k++)
        this.#least[k] = Math.min(this.#least[k]!, this.#recent[k]![b]!);
    }
  }

  /** The kind that the samples of the last second speak for; -1 without any that the backends have in common. */
  #best(): number {
    let most = 0;
    for (const least of this.#least) if (Number.isFinite(least)) most = Math.max(most, least);
    if (most < 1) return -1;
    let best = -1;
    for (let k = 0; k < this.#least.length; k++) {
      if (this.#least[k]! < nearTie * most) continue;
      if (best < 0 || this.#ranks[k]! < this.#ranks[best]!) best = k;
    }
    return best;
  }

  #fade(): void {
    for (const recent of this.#recent) for (let b = 0; b < recent.length; b++) recent[b]! *= keep;
  }

  #consider(best: number): boolean {
    if (!this.#hasChosen) {
      this.#hasChosen = true;
      const isOther = best !== this.chosen;
      this.chosen = best;
      return isOther;
    }
    this.#looks = best === this.#rival ? this.#looks + 1 : 1;
    this.#rival = best;
    const looks = this.#ranks[best]! < this.#ranks[this.chosen]! ? looksUp : looksDown;
    if (best === this.chosen || this.#looks < looks) return false;
    this.chosen = best;
    return true;
  }
}
