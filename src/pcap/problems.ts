/**
 * What can be wrong with a capture that is readable all the same:
 * - `truncated`: it ends inside a record or block; everything before was delivered.
 * - `corrupt`: it cannot be read beyond this point; everything before was delivered.
 * - `bad_packet`: a packet was left out, since its block contradicts itself or names no known interface.
 * - `bad_timestamp`: a fraction of a second is a second or more; the packet was delivered with the sum as its time.
 * - `no_timestamp`: a packet has no time (pcapng simple packet block); it was delivered with the last time known.
 */
export type CaptureProblemKind = 'truncated' | 'corrupt' | 'bad_packet' | 'bad_timestamp' | 'no_timestamp';

/** The first problem of one kind in a capture, and how many there were of that kind. */
export interface CaptureProblem {
  readonly kind: CaptureProblemKind;
  /** Byte offset of the first one in the uncompressed capture. */
  readonly offset: number;
  /** One line: `NAME: truncated at byte N`, with `(uncompressed)` at its end when the capture is gzipped. */
  readonly message: string;
  /** How many there were, 1 or more. */
  readonly count: number;
}

/** Collects the problems of one capture: one entry per kind, so that a file of nothing but problems costs no memory. */
export class ProblemLog {
  /** Set when offsets are not offsets in the file itself. */
  compressed = false;
  readonly #byKind = new Map<CaptureProblemKind, CaptureProblem & { count: number }>();
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  get list(): CaptureProblem[] {
    return [...this.#byKind.values()];
  }

  /** Whether a problem that ends the capture was recorded. */
  get ended(): boolean {
    return this.#byKind.has('truncated') || this.#byKind.has('corrupt');
  }

  /** Records that `what` was found at byte `offset`. A capture ends only once: later endings are not recorded. */
  add(kind: CaptureProblemKind, offset: number, what: string): void {
    if ((kind === 'truncated' || kind === 'corrupt') && this.ended) return;
    const known = this.#byKind.get(kind);
    if (known) {
      known.count++;
      return;
    }
    const message = `${this.#name}: ${what} at byte ${offset}${this.compressed ? ' (uncompressed)' : ''}`;
    this.#byKind.set(kind, { kind, offset, message, count: 1 });
  }
}
