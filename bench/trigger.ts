import { Latencies, sorted, windowLines } from '../src/datapath/replay/eval/samples.ts';
import { quantile } from '../src/datapath/replay/reservoir.ts';
import { TruthFile } from '../src/datapath/replay/truth.ts';

/** How far from the truth somebody is who knows when a client sent each of its requests, and nothing else. */
export interface TriggerLimit {
  /** Time from a response to the client's next request. */
  readonly triggerUsP50: number;
  readonly triggerUsP90: number;
  readonly p95Error: number;
  readonly windowP90: number;
}

const windowNs = 100e6;
/** A client that waits longer than this is between connections. */
const pauseNsMax = 30e6;

/**
 * What a closed loop's truth says of its client: the time between two requests of a connection is the first one's
 * latency and the time that the client took to send the second. No observer of requests can tell these apart.
 */
export async function triggerLimit(path: string): Promise<TriggerLimit> {
  const truth = await TruthFile.load(path);
  const [actual, seen] = [new Latencies(), new Latencies()];
  const [errors, triggers]: [number[], number[]] = [[], []];
  let last: { port: number; sentNs: number; latencyNs: number } | undefined;
  for (const [kind, port, sentNs, latencyNs] of truth.rows(0)) {
    if (kind !== 'response') continue;
    actual.add(sentNs, latencyNs, 0);
    const between = last?.port === port ? sentNs - last.sentNs : Number.POSITIVE_INFINITY;
    if (last && between <= pauseNsMax) {
      seen.add(last.sentNs, between, 0);
      triggers.push(between - last.latencyNs);
      errors.push(Math.abs(between / last.latencyNs - 1));
    }
    last = { port, sentNs, latencyNs };
  }
  const lines = [seen, actual].map(
    (one) => windowLines(one, windowNs, 'median').get(0) ?? new Map<number, number>(),
  );
  const windows = [...lines[0]!].flatMap(([at, value]) => {
    const own = lines[1]!.get(at);
    return own === undefined ? [] : [Math.abs(value / own - 1)];
  });
  const of = (values: readonly number[], q: number) => quantile(sorted(values), q) ?? Number.NaN;
  return {
    triggerUsP50: of(triggers, 0.5) / 1e3,
    triggerUsP90: of(triggers, 0.9) / 1e3,
    p95Error: of(errors, 0.95),
    windowP90: of(windows, 0.9),
  };
}
