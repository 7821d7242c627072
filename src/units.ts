import { InbandError } from './errors.ts';

declare const unit: unique symbol;

/** A time or duration in nanoseconds. A double holds differences exactly up to 2^53 ns, 104 days. */
export type Ns = number & { readonly [unit]: 'ns' };
/** Index of a backend in its pool, 0-based. */
export type BackendId = number & { readonly [unit]: 'backend' };
/** Index into a Maglev table, 0 to M-1. */
export type Slot = number & { readonly [unit]: 'slot' };

export const ns = (value: number): Ns => value as Ns;

const nsPerUnit: Record<string, number> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

/**
 * Parses a duration such as `64us`, `1.5ms` or `300s` to nanoseconds.
 * Units: ns, us, ms, s, m, h. The unit is required, so that nobody has to guess it.
 * @throws InbandError `USAGE` naming `what` when the text is no duration or is not positive.
 */
export function parseDuration(text: string, what: string): Ns {
  const match = /^(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)$/.exec(text.trim());
  const value = match ? Math.round(Number(match[1]) * nsPerUnit[match[2]!]!) : 0;
  if (!match || value < 1 || value > Number.MAX_SAFE_INTEGER) {
    throw new InbandError('USAGE', `${what}: '${text}' is not a duration`, {
      hint: 'give a positive number and a unit: 64us, 4.096ms, 300s (ns, us, ms, s, m, h)',
    });
  }
  return ns(value);
}

const scales: readonly (readonly [number, string])[] = [
  [1e9, 's'],
  [1e6, 'ms'],
  [1e3, 'us'],
];

/** A duration for people, three significant digits: `64us`, `1.02ms`, `300s`. Negative durations keep their sign. */
export function formatDuration(value: number): string {
  if (!Number.isFinite(value)) return '-';
  const size = Math.abs(value);
  const [scale, suffix] = scales.find(([scale]) => size >= scale) ?? [1, 'ns'];
  return `${Number((value / scale).toPrecision(size / scale >= 100 ? 4 : 3))}${suffix}`;
}
