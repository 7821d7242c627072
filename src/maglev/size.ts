import { InbandError } from '../errors.ts';

/** Slots of a table unless configured: the smaller of the two sizes that the Maglev paper measures (section 5.3). */
export const slotsDefault = 65_537;
/** The first prime above 2^20: hash times slots still fits the 53 bits of a double. */
export const slotsMax = 1_048_583;
/** Backends of one pool; an index must fit the 16 bits of a slot with room for values that name no backend. */
export const backendsMax = 4096;
/** Equal backends then differ by one slot in ten at most. The paper advises 100 for 1 %. */
export const slotsPerBackendMin = 10;

function isPrime(value: number): boolean {
  if (value < 2) return false;
  for (let divisor = 2; divisor * divisor <= value; divisor++) if (value % divisor === 0) return false;
  return true;
}

/** The primes next to `value` that a table may have as its size, the smaller first. */
function nearestPrimes(value: number): number[] {
  let below = Math.min(Math.floor(value), slotsMax);
  while (below > slotsPerBackendMin && !isPrime(below)) below--;
  let above = Math.max(Math.ceil(value), slotsPerBackendMin);
  while (above <= slotsMax && !isPrime(above)) above++;
  return [below, above].filter((size) => size >= slotsPerBackendMin && size <= slotsMax && isPrime(size));
}

/**
 * Checks that a table of `slots` slots can serve `backends` backends. A prime size makes every skip of a
 * permutation visit every slot.
 * @throws InbandError `CONFIG_INVALID` with the nearest primes, or with the limit that is exceeded.
 */
export function checkSize(slots: number, backends: number): void {
  if (backends < 1 || backends > backendsMax) {
    throw new InbandError('CONFIG_INVALID', `a pool of ${backends} backends cannot have a table`, {
      hint: `give 1 to ${backendsMax} backends`,
    });
  }
  if (!Number.isInteger(slots) || slots > slotsMax || !isPrime(slots)) {
    const primes = Number.isFinite(slots) ? nearestPrimes(slots) : [slotsDefault];
    throw new InbandError('CONFIG_INVALID', `a table cannot have ${slots} slots`, {
      hint: `give a prime of at most ${slotsMax}; nearest: ${primes.join(' and ')}`,
    });
  }
  if (slots < backends * slotsPerBackendMin) {
    throw new InbandError('CONFIG_INVALID', `${slots} slots are too few for ${backends} backends`, {
      hint: `give at least ${slotsPerBackendMin} slots per backend, better 100: a prime such as ${slotsDefault}`,
    });
  }
}
