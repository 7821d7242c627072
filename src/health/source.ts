import { networkInterfaces } from 'node:os';
import { type Address, parseAddress } from '../net/address.ts';

/** What is asked of an interface's address: `family` as node names it, and whether it is of the link alone. */
interface Own {
  readonly address: string;
  readonly netmask: string;
}

/**
 * The address of an interface that checks come from: of the subnet of one of the backends if there is such, else its first;
 * undefined if it has none of the family. Addresses of the link alone (fe80::) are none: answers to them need a zone.
 */
export function sourceOf(
  interfaceName: string,
  family: 4 | 6,
  backends: readonly Address[],
): Address | undefined {
  const all: readonly Own[] = (networkInterfaces()[interfaceName] ?? []).filter(
    (own) => own.family === `IPv${family}` && !(own.family === 'IPv6' && own.scopeid !== 0),
  );
  const near = all.find((own) => backends.some((backend) => isNear(own, backend)));
  const chosen = near ?? all[0];
  return chosen && parseAddress(chosen.address);
}

/** Whether an address is in the subnet of an interface's. */
export function isNear({ address, netmask }: Own, other: Address): boolean {
  const own = parseAddress(address);
  const mask = parseAddress(netmask);
  if (!own || !mask || own.family !== other.family) return false;
  return own.words.every((word, i) => ((word ^ other.words[i]!) & mask.words[i]!) === 0);
}
