import type { FlowTable } from '../../flow/table.ts';
import type { Ns } from '../../units.ts';
import type { BackendConditions } from '../conditions.ts';

/** How long one pass over the flow table takes; while something waits for flows to end. */
const passNs = 30e9;
const hurriedPassNs = 2e9;
/** Flows looked at, and ended, in one go: less than a millisecond. */
const sliceMax = 32_768;
const endedMax = 2_048;

/** Ends flows whose time is over, though none of their packets comes, in slices. */
export class Sweeper {
  readonly #flows: FlowTable;
  readonly #conditions: BackendConditions;
  #cursor = 0;
  #sweptNs = Number.NaN;

  constructor(flows: FlowTable, conditions: BackendConditions) {
    this.#flows = flows;
    this.#conditions = conditions;
  }

  /**
   * Looks at as many flows as are due since the last call.
   * @param isHurried whether something waits for flows to end
   */
  sweep(now: Ns, isHurried: boolean): void {
    const { used } = this.#flows;
    const elapsedNs = now - this.#sweptNs;
    this.#sweptNs = now;
    if (Number.isNaN(elapsedNs) || used === 0) return;
    const due = Math.ceil((used * elapsedNs) / (isHurried ? hurriedPassNs : passNs));
    const end = Math.min(used, this.#cursor + Math.min(due, sliceMax));
    const next = this.#flows.sweep(this.#cursor, end, now, this.#conditions.lost, endedMax);
    this.#cursor = next === used ? 0 : next;
  }
}
