/**
 * Algorithms 1 and 2 of "Load Balancers Need In-Band Feedback Control" (HotNets'22), written out as printed: one
 * FIXEDTIMEOUT with a state of its own per timeout, and objects instead of arrays. Line numbers are the paper's.
 */

/** What Algorithm 1 keeps of flow f; a flow's first packet sets both. */
export interface FixedState {
  timeLastBatch: number;
  timeLastPkt: number;
}

/** Algorithm 1: the estimate, or undefined without a new sample. */
export function fixedTimeout(f: FixedState, delta: number, now: number): number | undefined {
  let estimate: number | undefined;
  if (now - f.timeLastPkt > delta) {
    estimate = now - f.timeLastBatch;
    f.timeLastBatch = now;
  }
  f.timeLastPkt = now;
  return estimate;
}

/** What Algorithm 2 keeps per flow or, read otherwise, per backend. */
export interface EpochState {
  counts: number[];
  epochStart: number | undefined;
  /** Index of the timeout in use; undefined in the first epoch. */
  chosen: number | undefined;
}

/** Algorithm 2: the estimate of the timeout in use, or undefined. */
export function ensembleTimeout(
  instances: FixedState[],
  scope: EpochState,
  deltas: readonly number[],
  now: number,
  epoch: number,
  ratio: Ratio,
): number | undefined {
  const estimates: (number | undefined)[] = [];
  for (let i = 0; i < deltas.length; i++) {
    const estimate = fixedTimeout(instances[i]!, deltas[i]!, now); // 2
    estimates.push(estimate);
    if (estimate !== undefined) scope.counts[i]!++; // 4
  }
  if (scope.epochStart === undefined) {
    scope.epochStart = now;
  } else if (now - scope.epochStart >= epoch) {
    const ratios = scope.counts.slice(0, -1).map((n, i) => ratio(n, scope.counts[i + 1]!, scope.counts[0]!));
    const defined = ratios.filter((r) => !Number.isNaN(r));
    const isEmpty = scope.counts.every((n) => n === 0);
    if (!isEmpty) scope.chosen = ratios.indexOf(Math.max(...defined)); // 8, 10
    scope.counts = deltas.map(() => 0); // 9
    scope.epochStart = now;
  }
  return scope.chosen === undefined ? undefined : estimates[scope.chosen]; // 12
}

/** A reading of N_i / N_{i+1}; `first` is N_1. */
export type Ratio = (n: number, next: number, first: number) => number;

/** By name, as options have it; `infinite` is what a zero divisor gives in arithmetic. */
export const ratios: Readonly<Record<'infinite' | 'smooth' | 'damped', Ratio>> = {
  infinite: (n, next) => n / next,
  smooth: (n, next) => (n + 1) / (next + 1),
  damped: (n, next, first) => (n + 1 + Math.floor(first / 16)) / (next + 1 + Math.floor(first / 16)),
};
