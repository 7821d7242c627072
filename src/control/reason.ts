import { formatDuration, type Ns } from '../units.ts';

/** What made a policy change the share of a backend. */
export type Cause =
  /** Its latency exceeds the pool's. */
  | 'slow'
  /** Its latest samples exceed the pool's latency by far; nothing was averaged yet. */
  | 'jump'
  /** Requests wait there for longer than at the others. */
  | 'waiting'
  /** Nothing speaks against it any more: its share returns towards its weight. */
  | 'restore'
  /** It is new, or usable again, and gets its share step by step. */
  | 'start'
  /** Too few backends are left that nothing speaks against: all have their weights. */
  | 'panic'
  /** Its slot weight follows a formula that is evaluated anew every period. */
  | 'weight';

/** Why the share of a backend changed: figures, which `reasonText` puts in words. */
export interface Reason {
  /** The backend that it is about: of several whose shares changed, the one whose changed most. */
  readonly backend: number;
  readonly cause: Cause;
  readonly kind: string;
  /** Latencies in ns that were compared, of the backend and of the pool; NaN where none was. */
  readonly latencyNs: number;
  readonly poolNs: number;
  /** Time that the backend's latency is of, and samples in it; requests in flight where those wait. */
  readonly spanNs: Ns;
  readonly samples: number;
  readonly shareBefore: number;
  readonly shareAfter: number;
}

const causes: Record<Cause, string> = {
  slow: '',
  jump: 'jumped, ',
  waiting: 'requests wait, ',
  restore: 'within the pool, ',
  start: 'starting, ',
  panic: 'too few healthy backends, ',
  weight: '',
};

/** Every cause. */
export const causeNames = Object.keys(causes) as readonly Cause[];

/** `request p50 1.31ms vs pool 290us over 10ms, 412 samples -> share 0.500 -> 0.450`. */
export function reasonText(reason: Reason): string {
  const { cause, latencyNs, shareBefore, shareAfter } = reason;
  // What was not measured lately is not known to be within the pool.
  const why = cause === 'restore' && Number.isNaN(latencyNs) ? '' : causes[cause];
  return `${why}${figures(reason)} -> share ${shareBefore.toFixed(3)} -> ${shareAfter.toFixed(3)}`;
}

function figures({ cause, kind, latencyNs, poolNs, spanNs, samples }: Reason): string {
  if (Number.isNaN(latencyNs)) return 'no fresh latency';
  // Means of stamps may be anything around 0.
  const [latency, pool] = [latencyNs, poolNs].map((ns) => formatDuration(Math.round(ns)));
  if (cause === 'waiting') return `${kind} unanswered for ${latency} vs pool ${pool}, ${samples} in flight`;
  if (cause === 'jump') return `${kind} latest ${latency} vs pool ${pool}`;
  const typical = kind === 'server' ? 'mean' : 'p50';
  return `${kind} ${typical} ${latency} vs pool ${pool} over ${formatDuration(spanNs)}, ${samples} samples`;
}
