import type { EvalOptions } from '../../../../src/datapath/replay/eval/options.ts';
import { Latencies, Samples } from '../../../../src/datapath/replay/eval/samples.ts';
import { epochDefault, timeoutsDefault } from '../../../../src/latency/ensemble.ts';
import { ns } from '../../../../src/units.ts';

/** A latency in ms that began at a time in ms, of backend 0 unless it says otherwise. */
export type Row = readonly [startMs: number, latencyMs: number, backend?: number];

export function latencies(...rows: readonly Row[]): Latencies {
  const into = new Latencies();
  for (const [start, latency, backend = 0] of rows) into.add(start * 1e6, latency * 1e6, backend);
  return into;
}

/** Samples of a kind; the last number of each is its truth in ms, if it has one. */
export function samples(
  kind: string,
  ...rows: readonly (readonly [startMs: number, latencyMs: number, truthMs?: number, backend?: number])[]
): Samples {
  const into = new Samples(kind);
  for (const [start, latency, truth = Number.NaN, backend = 0] of rows) {
    into.add(start * 1e6, latency * 1e6, backend);
    into.port.push(4000);
    into.truthNs.push(truth * 1e6);
  }
  return into;
}

export const options = (paths: readonly string[], more: Partial<EvalOptions> = {}): EvalOptions => ({
  paths,
  vips: [],
  estimators: ['handshake', 'ensemble'],
  timeoutsNs: timeoutsDefault,
  epochNs: epochDefault,
  useServer: false,
  assign: 'flows',
  windowNs: ns(100e6),
  flows: 4096,
  ...more,
});
