import { weightMax } from '../config/settings.ts';
import type { PoolBackend } from '../control/pool.ts';
import { type Encapsulation, encapsulations } from '../datapath/capture/hops.ts';
import { InbandError } from '../errors.ts';
import { formatAddress, parseAddress } from '../net/address.ts';

/** `ADDR`, `ADDR,3` or `ADDR,weight=3`. */
export function parseBackend(text: string): PoolBackend {
  const match = /^([^,]+?)(?:,(?:weight=)?(\d+(?:\.\d+)?))?$/.exec(text.trim());
  const address = match ? parseAddress(match[1]!) : undefined;
  const weight = Number(match?.[2] ?? 1);
  if (!address || !(weight > 0 && weight <= weightMax)) {
    throw usage(
      `--backend: '${text}' is not ADDR[,WEIGHT]`,
      `for example 10.0.0.11 or 10.0.0.11,2 with a weight above 0 and at most ${weightMax}`,
    );
  }
  return { name: formatAddress(address.family, ...address.words), weight };
}

/** A backend of `run`, and how packets go to it. */
export type RunBackend = PoolBackend & { readonly encapsulation?: Encapsulation };

/** As `parseBackend`, and `encap=l2` or `encap=ipip` behind it. */
export function parseRunBackend(text: string): RunBackend {
  const match = /^(.*),encap=([^,]*)$/.exec(text.trim());
  if (!match) return parseBackend(text);
  const encapsulation = encapsulations.find((name) => name === match[2]);
  if (encapsulation) return { ...parseBackend(match[1]!), encapsulation };
  throw usage(
    `--backend: '${match[2]}' is no way to send packets`,
    `give encap=l2 for a server in the same segment, encap=ipip for one that a router leads to`,
  );
}

export function parseNumber(text: string, flag: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value))
    throw usage(`${flag}: '${text}' is not a number`, 'give a decimal number');
  return value;
}

/** Rethrows; what the core calls `alpha`, `estimator` or `timeouts` is a flag of that name here. */
export function nameFlag(error: unknown): never {
  if (!(error instanceof InbandError) || error.code !== 'USAGE') throw error;
  const { message, hint } = error;
  throw usage(message.replace(/^(?=(?:alpha|estimator|timeouts): )/, '--'), hint ?? '');
}

/** Parses a repeatable flag. */
export function collect<T>(parse: (text: string) => T): (text: string, before: T[]) => T[] {
  return (text, before) => [...before, parse(text)];
}

/** Parses a comma-separated flag. */
export function list<T>(parse: (text: string) => T): (text: string) => T[] {
  return (text) => text.split(',').map((part) => parse(part.trim()));
}

export function usage(message: string, hint: string): InbandError {
  return new InbandError('USAGE', message, { hint });
}
