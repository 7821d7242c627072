import { type Fate, noBackend } from './datapath.ts';

/** One for each number that a slot can hold. */
export const conditionsCount = 0x1_0000;

/** Bits of a backend's condition: packets cannot be sent there; it is lost, and its flows meet this. */
export const conditionUnreachable = 1;
export const conditionResteer = 2;
export const conditionReset = 4;

const bits: Readonly<Record<Fate, number>> = { keep: 0, resteer: conditionResteer, reset: conditionReset };

/** What keeps packets from the backends in their flows or slots: all by number, read with every packet. */
export class BackendConditions {
  /** 0 where there is nothing. */
  readonly bits = new Uint8Array(conditionsCount).fill(conditionUnreachable);
  /** 1 for those whose fate is not `keep`. */
  readonly lost = new Uint8Array(conditionsCount);
  /** How many those are. */
  lostCount = 0;

  /** @throws RangeError for what is no backend's number */
  setReachable(backend: number, isReachable: boolean): void {
    this.#check(backend);
    const others = this.bits[backend]! & ~conditionUnreachable;
    this.bits[backend] = isReachable ? others : others | conditionUnreachable;
  }

  /** @throws RangeError for what is no backend's number */
  setFate(backend: number, fate: Fate): void {
    this.#check(backend);
    this.bits[backend] = (this.bits[backend]! & conditionUnreachable) | bits[fate];
    const isLost = fate === 'keep' ? 0 : 1;
    this.lostCount += isLost - this.lost[backend]!;
    this.lost[backend] = isLost;
  }

  #check(backend: number): void {
    if (!(backend >= 0 && backend < noBackend)) throw new RangeError(`${backend} is no backend`);
  }
}
