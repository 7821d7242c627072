import { type Endpoint, formatAddress, parseAddress, parseEndpoint } from '../net/address.ts';
import type { Path } from './problems.ts';
import { weightMax } from './settings.ts';

/** A mapping of a file that need not fit the schema; empty if it is none. */
export type Raw = Readonly<Record<string, unknown>>;

export const rawOf = (value: unknown): Raw =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Raw) : {};

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** A backend as far as it can be understood. */
export interface RawBackend {
  readonly path: Path;
  /** Its address in the usual form; undefined if it is none. */
  readonly name: string | undefined;
  readonly weight: number;
  readonly encap: unknown;
}

/** A vip as far as it can be understood. */
export interface RawVip {
  readonly path: Path;
  readonly endpoint: Endpoint | undefined;
  readonly pool: unknown;
  readonly policy: unknown;
}

/** A pool, named or a vip's own. */
export interface RawPool {
  readonly path: Path;
  readonly backends: readonly RawBackend[];
}

/** A configuration as far as it can be understood. */
export interface RawConfig {
  readonly keys: Raw;
  readonly vips: readonly RawVip[];
  readonly pools: readonly RawPool[];
  readonly backends: readonly RawBackend[];
}

/** Reads values that need not fit the schema. */
export function readRaw(value: unknown): RawConfig {
  const keys = rawOf(value);
  const vips = listOf(keys.vips).map((item, i): RawVip => {
    const { address, pool, policy } = rawOf(item);
    return { path: ['vips', i], endpoint: endpointOf(address), pool, policy };
  });
  const named = Object.entries(rawOf(keys.pools)).map(([name, pool]) => poolOf(pool, ['pools', name]));
  const own = vips.flatMap(({ pool, path }) =>
    Object.keys(rawOf(pool)).length === 0 ? [] : [poolOf(pool, [...path, 'pool'])],
  );
  const pools = [...named, ...own];
  return { keys, vips, pools, backends: pools.flatMap(({ backends }) => backends) };
}

function poolOf(pool: unknown, path: Path): RawPool {
  const backends = listOf(rawOf(pool).backends).map((item, i) => backendOf(item, [...path, 'backends', i]));
  return { path: [...path, 'backends'], backends };
}

function backendOf(item: unknown, path: Path): RawBackend {
  const { address = item, weight, encap } = rawOf(item);
  const isWeight = typeof weight === 'number' && weight > 0 && weight <= weightMax;
  const at = typeof item === 'string' ? path : [...path, 'address'];
  return { path: at, name: nameOf(address), weight: isWeight ? weight : 1, encap };
}

function nameOf(address: unknown): string | undefined {
  const parsed = typeof address === 'string' ? parseAddress(address.trim()) : undefined;
  return parsed && formatAddress(parsed.family, ...parsed.words);
}

function endpointOf(address: unknown): Endpoint | undefined {
  try {
    return typeof address === 'string' ? parseEndpoint(address, '') : undefined;
  } catch {
    return undefined;
  }
}
