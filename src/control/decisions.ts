import type { Ns } from '../units.ts';
import { type Cause, causeNames, type Reason } from './reason.ts';

/** Decisions remembered about each backend. */
export const decisionsMax = 32;
/** Steps for the same cause that follow each other within this time are one decision. */
const joinNs = 1e9;

/** What was decided about a backend: one step or several in a row for the same cause. */
export interface Decision {
  /** Times of the first and the last step, on the clock of the pool. */
  readonly fromNs: Ns;
  readonly untilNs: Ns;
  readonly steps: number;
  /** The figures of the step that moved the share furthest; its shares are those before the first and after the last step. */
  readonly reason: Reason;
}

/** The last decisions about each backend of a pool, of bounded size. */
export class DecisionLog {
  readonly #decisions: Decision[][];
  readonly #largest: Float64Array;
  /** Per backend and cause: steps since the start. */
  readonly #steps: Float64Array;

  constructor(backends: number) {
    this.#decisions = Array.from({ length: backends }, () => []);
    this.#largest = new Float64Array(backends);
    this.#steps = new Float64Array(backends * causeNames.length);
  }

  /** A log of backends that has what this one has about them; `earlier`: the place of each in this one, -1 for none. */
  carried(earlier: readonly number[]): DecisionLog {
    const log = new DecisionLog(earlier.length);
    const { length } = causeNames;
    for (const [b, was] of earlier.entries()) {
      if (was < 0) continue;
      log.#decisions[b] = this.#decisions[was]!.map((one) => ({
        ...one,
        reason: { ...one.reason, backend: b },
      }));
      log.#largest[b] = this.#largest[was]!;
      for (let cause = 0; cause < length; cause++) {
        log.#steps[b * length + cause] = this.#steps[was * length + cause]!;
      }
    }
    return log;
  }

  /** Takes a decision in. */
  add(now: Ns, reason: Reason): void {
    const { backend, cause, kind } = reason;
    this.#steps[backend * causeNames.length + causeNames.indexOf(cause)]!++;
    const decisions = this.#decisions[backend]!;
    const last = decisions.at(-1);
    const moved = Math.abs(reason.shareAfter - reason.shareBefore);
    const isSame = last?.reason.cause === cause && last.reason.kind === kind && now - last.untilNs <= joinNs;
    if (!last || !isSame) {
      this.#largest[backend] = moved;
      if (decisions.length === decisionsMax) decisions.shift();
      decisions.push({ fromNs: now, untilNs: now, steps: 1, reason });
      return;
    }
    const figures = moved > this.#largest[backend]! ? reason : last.reason;
    this.#largest[backend] = Math.max(moved, this.#largest[backend]!);
    decisions[decisions.length - 1] = {
      fromNs: last.fromNs,
      untilNs: now,
      steps: last.steps + 1,
      reason: { ...figures, shareBefore: last.reason.shareBefore, shareAfter: reason.shareAfter },
    };
  }

  /** Steps that were decided about a backend for a cause, since the start. */
  steps(backend: number, cause: Cause): number {
    return this.#steps[backend * causeNames.length + causeNames.indexOf(cause)]!;
  }

  /** Decisions about a backend, the earliest first. */
  of(backend: number): readonly Decision[] {
    return this.#decisions[backend] ?? [];
  }
}
