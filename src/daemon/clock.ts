import { type Ns, ns } from '../units.ts';

/** Time on CLOCK_MONOTONIC, the clock of `bpf_ktime_get_ns`. */
export function monotonicNs(): Ns {
  return ns(Number(process.hrtime.bigint()));
}

/** Turns moments on the monotonic clock into times of day, ISO 8601 in UTC, by what the clock of the day says now. */
export function dayTimes(): (timeNs: number) => string {
  const sinceMs = Date.now() - monotonicNs() / 1e6;
  return (timeNs) => new Date(sinceMs + timeNs / 1e6).toISOString();
}
