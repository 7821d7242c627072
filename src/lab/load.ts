import { createInterface } from 'node:readline';
import { InbandError } from '../errors.ts';
import type { Lab } from './lab.ts';
import { type Host, serverPort } from './plan.ts';
import { labProgram } from './requirements.ts';

/** What the load generator sends; what is left out is the generator's default. */
export interface LoadOptions {
  /** Where to; the vip of the lab by default. */
  address?: string;
  /** 16 by default. */
  connections?: number;
  /** Requests under way on each connection; 1 by default. */
  depth?: number;
  /** After as many requests a connection is made anew, from another port; 0, the default, for never. */
  requestsPerConnection?: number;
  /** Fraction of the requests that set; 0.5 by default. */
  setRatio?: number;
  /** 10,000 by default. */
  keys?: number;
  /** 64 by default. */
  valueBytes?: number;
  /** Mean of the exponential pause between a reply and the next request, in us; 0 by default. */
  thinkUs?: number;
  /** Requests per second, at constant intervals whatever the replies do; closed loop without. */
  rate?: number;
  /** 10,000 by default. */
  durationMs?: number;
  /** 100 by default. */
  intervalMs?: number;
  /** A request without a reply, or a connection without an answer, is an error after as long; 1,000 by default. */
  timeoutMs?: number;
  /** Whether what became of each connection is in the summary; servers are asked for their names then. */
  account?: boolean;
}

/** What became of a connection: `kept` ones were whole at the end of the run. */
export type ConnectionEnd = 'completed' | 'kept' | 'connect_failed' | 'reset' | 'timed_out' | 'wrong_reply';

/** A connection from its first SYN on. Times are of CLOCK_MONOTONIC in ns. */
export interface ConnectionRecord {
  end: ConnectionEnd;
  /** The name of its server, `s1`; empty when it never told. */
  server: string;
  /** The client's. */
  port: number;
  startedNs: number;
  endedNs: number;
  /** Requests with a correct reply. */
  answered: number;
  /** Requests that were under way when it broke. */
  lost: number;
}

/** Latencies in us, of requests with a correct reply; null where there were none. */
export interface LoadLatency {
  requests: number;
  p50Us: number | null;
  p95Us: number | null;
  p99Us: number | null;
  maxUs: number | null;
}

/** What an interval or a whole run counted. `errors` is the sum of the four kinds. */
export interface LoadCounts extends LoadLatency {
  /** End of the interval, or duration of the run, since the start in ms. */
  tMs: number;
  /** The same moment on CLOCK_MONOTONIC in ns, as `process.hrtime.bigint()` reads it. */
  monoNs: number;
  errors: number;
  connectFailures: number;
  resets: number;
  timeouts: number;
  wrongReplies: number;
  connects: number;
  /** Gets that found nothing. */
  misses: number;
  get: LoadLatency;
  set: LoadLatency;
}

export interface LoadSummary extends LoadCounts {
  /** Requests of an open loop that were due and found no free connection until the end. */
  unsent: number;
}

/** The whole run of a load with `account`. */
export interface LoadAccount extends LoadSummary {
  /** In order of their end. */
  connections: readonly ConnectionRecord[];
}

export interface LoadRun {
  /** Resolves when the run has ended; rejects with `ENVIRONMENT` when the generator failed. No connections without `account`. */
  done: Promise<LoadAccount>;
  /** Ends the run early; `done` resolves as usual. */
  stop(): void;
}

const flagOf = (name: string): string =>
  `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
const camel = (name: string): string =>
  name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** One line of the generator. */
export function parseLine(line: string): LoadCounts | LoadSummary | ConnectionRecord {
  const renamed = (value: unknown): unknown =>
    typeof value === 'object' && value !== null
      ? Object.fromEntries(Object.entries(value).map(([name, member]) => [camel(name), renamed(member)]))
      : value;
  return renamed(JSON.parse(line)) as LoadCounts | LoadSummary | ConnectionRecord;
}

/** Starts load from a client. `onInterval` gets the counts of each interval right after its end. */
export function startLoad(
  lab: Lab,
  client: Host,
  options: LoadOptions = {},
  onInterval: (counts: LoadCounts) => void = () => {},
): LoadRun {
  const { address = lab.vip, account = false, ...rest } = options;
  const flags = [
    ...Object.entries(rest).flatMap(([name, value]) =>
      value === undefined ? [] : [flagOf(name), String(value)],
    ),
    ...(account ? ['--account'] : []),
  ];
  const child = lab.spawn(client, [labProgram('load'), ...flags, address, String(serverPort)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const connections: ConnectionRecord[] = [];
  let summary: LoadSummary | undefined;
  let reason = '';
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const counts = parseLine(line);
    if ('end' in counts) connections.push(counts);
    else if ('unsent' in counts) summary = counts;
    else onInterval(counts);
  });
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    reason = text.trim();
  });
  const done = new Promise<LoadAccount>((resolve, reject) => {
    const fail = (why: string) => reject(new InbandError('ENVIRONMENT', `load generator: ${why}`));
    child.once('error', (error) => fail(error.message));
    child.once('close', (code, signal) => {
      if (code === 0 && summary) resolve({ ...summary, connections });
      else fail(reason || `it ended with ${signal ?? code}`);
    });
  });
  return { done, stop: () => child.kill('SIGTERM') };
}
