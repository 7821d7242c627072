import type { BackendSignals } from '../latency/signals.ts';
import type { BucketCounts } from './metrics-buckets.ts';
import { labelText, type MetricType, sampleLine } from './metrics-text.ts';
import type { BalancerView, ServiceView } from './view.ts';

/** A backend of a vip, with what is kept for it from one scrape to the next. */
export interface Cell {
  readonly index: number;
  readonly labels: string;
  readonly kinds: readonly { readonly labels: string; readonly counts: BucketCounts }[];
}

export interface ServiceCells {
  readonly labels: string;
  readonly vip: string;
  readonly cells: readonly Cell[];
}

/** Everything that one scrape reads. */
export interface Scrape {
  readonly balancer: BalancerView;
  readonly services: readonly (ServiceCells & { readonly service: ServiceView })[];
  readonly traffic: (service: ServiceView, index: number) => ReturnType<BalancerView['datapath']['traffic']>;
}

/** One metric: what it means, and the lines of its samples. */
export interface Metric {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  readonly labels: readonly string[];
  /** Its lines; `name` is its own. */
  samples(scrape: Scrape, name: string): Iterable<string>;
}

export type Read = (scrape: Scrape) => number;

export const single = (name: string, type: MetricType, help: string, read: Read): Metric => ({
  name,
  type,
  help,
  labels: [],
  samples: (scrape) => [sampleLine(name, '', read(scrape))],
});

/** A sample for each name of a record. */
export function named(
  name: string,
  help: string,
  label: string,
  read: (scrape: Scrape) => readonly (readonly [key: string, value: number])[],
): Metric {
  const samples = (scrape: Scrape) =>
    read(scrape).map(([key, value]) => sampleLine(name, labelText({ [label]: key }), value));
  return { name, type: 'counter', help, labels: [label], samples };
}

export function perVip(
  name: string,
  type: MetricType,
  help: string,
  read: (service: ServiceView) => number,
): Metric {
  function* samples({ services }: Scrape) {
    for (const { service, labels } of services) yield sampleLine(name, labels, read(service));
  }
  return { name, type, help, labels: ['vip'], samples };
}

export function perBackend(
  name: string,
  type: MetricType,
  help: string,
  read: (service: ServiceView, index: number, scrape: Scrape) => number,
): Metric {
  function* samples(scrape: Scrape) {
    for (const { service, cells } of scrape.services) {
      for (const { labels, index } of cells) yield sampleLine(name, labels, read(service, index, scrape));
    }
  }
  return { name, type, help, labels: ['vip', 'backend'], samples };
}

/** A sample for each value of one more label. */
export function perBackendOf<T extends string>(
  name: string,
  type: MetricType,
  help: string,
  label: string,
  values: readonly T[],
  read: (service: ServiceView, index: number, value: T, scrape: Scrape) => number,
): Metric {
  const ends = values.map((value) => [value, `,${labelText({ [label]: value })}`] as const);
  function* samples(scrape: Scrape) {
    for (const { service, cells } of scrape.services) {
      for (const { labels, index } of cells) {
        for (const [value, end] of ends) {
          yield sampleLine(name, labels + end, read(service, index, value, scrape));
        }
      }
    }
  }
  return { name, type, help, labels: ['vip', 'backend', label], samples };
}

/** Absent where the datapath does not count signals. */
export function perSignals(
  name: string,
  type: MetricType,
  help: string,
  read: (signals: BackendSignals) => number,
): Metric {
  function* samples({ services }: Scrape) {
    for (const { service, cells } of services) {
      if (service.signals.length === 0) continue;
      for (const { labels, index } of cells) yield sampleLine(name, labels, read(service.signals[index]!));
    }
  }
  return { name, type, help, labels: ['vip', 'backend'], samples };
}
