import { signedKinds } from '../../../latency/estimator.ts';
import { mean, median, quantile } from '../reservoir.ts';

/** Samples compared per estimator and kind of one capture: further ones are counted only. */
export const comparedMax = 1_000_000;

/** What stands for the samples of a window: their mean where only means tell something. */
export type Typical = 'median' | 'mean';

/** Latencies by backend and time of their beginning. */
export class Latencies {
  /** Latencies offered; those above `comparedMax` are not kept. */
  total = 0;
  readonly startNs: number[] = [];
  readonly latencyNs: number[] = [];
  readonly backend: number[] = [];

  /** Index it was stored at; -1 if there is no more room. */
  add(startNs: number, latencyNs: number, backend: number): number {
    this.total++;
    if (this.startNs.length === comparedMax) return -1;
    this.startNs.push(startNs);
    this.latencyNs.push(latencyNs);
    this.backend.push(backend);
    return this.startNs.length - 1;
  }

  /** Those that begin from `fromNs` to before `toNs`, of one backend if it is given. */
  between(fromNs: number, toNs: number, backend?: number): number[] {
    return this.latencyNs.filter(
      (_, i) =>
        this.startNs[i]! >= fromNs &&
        this.startNs[i]! < toNs &&
        (backend === undefined || this.backend[i] === backend),
    );
  }
}

/** Samples of one kind with what they are compared with. */
export class Samples extends Latencies {
  readonly kind: string;
  readonly typical: Typical;
  /** Client port of each. */
  readonly port: number[] = [];
  /** Truth of the request that each began with; NaN if it is not known. */
  readonly truthNs: number[] = [];
  /** Countable turns that had a sample. */
  turns = 0;

  constructor(kind: string) {
    super();
    this.kind = kind;
    this.typical = typicalOf(kind);
  }
}

/** A single stamp of a server may be a clock tick off: only the mean of many tells something. */
export function typicalOf(kind: string): Typical {
  return signedKinds.includes(kind) ? 'mean' : 'median';
}

export function typicalValue(values: readonly number[], typical: Typical): number | null {
  return typical === 'mean' ? mean(values) : median(values);
}

/** Values in order, as `quantile` wants them. */
export function sorted(values: readonly number[]): Float64Array {
  return Float64Array.from(values).sort();
}

/** Typical latency of each window of one backend, by number of the window. */
export type WindowLine = Map<number, number>;

/** Per backend, the typical latency of each window that has any. */
export function windowLines(
  { startNs, latencyNs, backend }: Latencies,
  windowNs: number,
  typical: Typical,
): Map<number, WindowLine> {
  const values = new Map<number, Map<number, number[]>>();
  for (let i = 0; i < startNs.length; i++) {
    const windows = upsert(values, backend[i]!, () => new Map<number, number[]>());
    upsert(windows, Math.floor(startNs[i]! / windowNs), () => []).push(latencyNs[i]!);
  }
  return new Map(
    [...values].map(([number, windows]) => [
      number,
      new Map([...windows].map(([at, list]) => [at, typicalValue(list, typical)!])),
    ]),
  );
}

export function upsert<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const value = make();
  map.set(key, value);
  return value;
}

export { mean, median, quantile };
