import { InbandError } from '../errors.ts';
import type { Members } from './population.ts';
import { checkParts, Quotas } from './quota.ts';

/**
 * Number of each slot's backend, which is its index unless the builder was told otherwise; its length is the prime number
 * of slots. May lie in memory that a datapath reads.
 */
export type SlotTable = Uint16Array | Uint32Array;

/**
 * Makes a pool's table follow its shares. After construction nothing allocates.
 *
 * Shares are one number of 0 or more per backend, in the order of the backends given, of any sum. They become
 * whole slots by largest remainder, so a share below one slot may get none: a floor for probing is the
 * policy's to set. A backend of weight 0 gets no slots whatever its share. When no backend is left
 * with a positive share there is nothing to follow, and the table is the one by weights.
 */
export interface TableBuilder {
  /** Names of the backends, in the order of their indices in the table. */
  readonly names: readonly string[];
  /** Number of slots of its tables. */
  readonly slots: number;
  /** Bytes of typed arrays that the builder holds, tables not included. */
  readonly memoryBytes: number;
  /** A new table by configured weights, of numbers of backends. */
  createTable(): Uint16Array;
  /**
   * Changes `table` to follow `shares`, and returns how many slots changed. Only those are written, each once.
   * @throws InbandError `USAGE` when a share is negative, infinite or not a number, or when there is not one
   * share per backend or not one element per slot; the table is then unchanged.
   */
  build(shares: Float64Array, table: SlotTable): number;
}

/** What both methods share: from validated shares to slots per backend. */
export class ShareQuotas {
  readonly #members: Members;
  readonly #quotas: Quotas;
  readonly #effective: Float64Array;

  constructor(members: Members) {
    this.#members = members;
    this.#quotas = new Quotas(members.slots, members.order);
    this.#effective = new Float64Array(members.names.length);
  }

  /** Slots per backend, valid until the next call. The rules and errors of {@link TableBuilder}. */
  fill(shares: Float64Array, table: SlotTable): Uint32Array {
    const { names, weights, slots } = this.#members;
    if (shares.length !== names.length || table.length !== slots) {
      throw new InbandError(
        'USAGE',
        `${shares.length} shares and ${table.length} slots for ${names.length} backends and ${slots} slots`,
        { hint: 'give one share per backend, and a table from createTable or of the same length' },
      );
    }
    checkParts(shares, names, 'share', 'USAGE');
    let isFollowable = false;
    for (let i = 0; i < shares.length; i++) {
      this.#effective[i] = weights[i]! > 0 ? shares[i]! : 0;
      if (this.#effective[i]! > 0) isFollowable = true;
    }
    return this.#quotas.fill(isFollowable ? this.#effective : weights);
  }

  get memoryBytes(): number {
    return this.#effective.byteLength + this.#quotas.memoryBytes;
  }
}

/** A slot's value where there is no backend: packets of new flows are dropped. */
export const noBackend = 0xffff;

const numberMax = noBackend - 1;

/**
 * What slots hold for each backend: its index, or the number given for it.
 * @throws InbandError `USAGE` unless there is one number per backend, each a whole one of 0 to 65,534 and given once
 */
export function slotNumbers(count: number, numbers?: ArrayLike<number>): Uint16Array {
  if (!numbers) return Uint16Array.from({ length: count }, (_, index) => index);
  const given = Array.from(numbers);
  const isNumber = (value: number) => Number.isInteger(value) && value >= 0 && value <= numberMax;
  if (given.length === count && given.every(isNumber) && new Set(given).size === count) {
    return Uint16Array.from(given);
  }
  throw new InbandError('USAGE', `numbers of backends cannot be ${given.join(', ')}`, {
    hint: `give each of the ${count} backends a number of its own, 0 to ${numberMax}`,
  });
}

/** Bytes of the typed arrays of a pool's members, and of their table by weights where that is known. */
export function memberBytes(members: Members): number {
  return Object.values(members).reduce(
    (sum, value) => sum + (ArrayBuffer.isView(value) ? value.byteLength : 0),
    0,
  );
}
