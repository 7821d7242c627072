import { formatDuration, type Ns } from '../units.ts';

/** What made a policy change the share of a backend. */
export type Cause =
  /** Its latency exceeds the pool's. */
  | 'slow'
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
  /** Time that the backend's latency is of, and samples in it. */
  readonly spanNs: Ns;
  readonly samples: number;
  readonly shareBefore: number;
  readonly shareAfter: number;
}

const causes: Record<Cause, string> = {
  slow: '',
  waiting: 'requests wait, ',
  restore: 'within the pool, ',
  start: 'starting, ',
  panic: 'too few healthy backends, ',
  weight: '',
};

/** `request p50 1.31ms vs pool 290us over 10ms, 412 samples -> share 0.50 -> 0.45`. */
export function reasonText(reason: Reason): string {
  const { cause, kind, latencyNs, poolNs, spanNs, samples, shareBefore, shareAfter } = reason;
  const typical = kind === 'server' ? 'mean' : 'p50';
  const compared = Number.isNaN(latencyNs)
    ? 'no fresh latency'
    : `${kind} ${cause === 'waiting' ? 'age' : typical} ${formatDuration(latencyNs)} vs pool ${formatDuration(poolNs)}`;
  const over =
    cause === 'waiting' ? `${samples} in flight` : `over ${formatDuration(spanNs)}, ${samples} samples`;
  const figures = Number.isNaN(latencyNs) ? compared : `${compared} ${over}`;
  return `${causes[cause]}${figures} -> share ${shareBefore.toFixed(3)} -> ${shareAfter.toFixed(3)}`;
}
