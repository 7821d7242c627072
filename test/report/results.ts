import type {
  EstimatorSummary,
  LatencySeries,
  PolicySummary,
  ReplayResult,
  ReplayTimeline,
} from '../../src/datapath/replay/result.ts';

/** A result with one backend, one estimator and no truth, to be varied by tests. */
export function aResult(changes: Partial<ReplayResult> = {}): ReplayResult {
  return {
    schema: 'inband.replay/1',
    files: [{ name: 'web.pcap.gz', packets: 1_234_567, bytes: 1_829_651, problems: [] }],
    span_s: 6.02,
    packets: { read: 1_234_567, client: 1_234_000, server: 0, skipped: { not_ip: 500, fragment: 67 } },
    flows: {
      created: 461,
      active: 8,
      capacity: 65_536,
      ended: { closed: 453 },
      untracked_packets: 0,
      bytes_per_flow: 64,
    },
    vips: [{ vip: '10.77.0.100:11211/tcp', flows: 461, packets: 1_234_000 }],
    assign: 'table',
    backends: [aBackend('10.77.0.1')],
    estimators: [anEstimator('ensemble:smooth:backend')],
    samples_dropped: {},
    warnings: [],
    ...changes,
  };
}

export function aBackend(name: string, estimators = [anEstimator('ensemble:smooth:backend')]) {
  return { backend: name, flows: 230, packets: 23_190, estimators };
}

export function anEstimator(name: string, changes: Partial<EstimatorSummary> = {}): EstimatorSummary {
  return {
    estimator: name,
    samples: 37_002,
    p50_ns: 268_500,
    p90_ns: 1_020_000,
    p99_ns: 2_400_000,
    mean_ns: 512_000,
    max_ns: 5_000_000,
    ...changes,
  };
}

export const noSamples = {
  samples: 0,
  p50_ns: null,
  p90_ns: null,
  p99_ns: null,
  mean_ns: null,
  max_ns: null,
};

export const someError = {
  matched: 37_000,
  median_relative_error: 0.034,
  p95_absolute_relative_error: 0.27,
  within_20_percent: 0.934,
  windows: 60,
  window_error_p50: 0.011,
  window_error_p90: 0.12,
};

/** A policy over `count` backends with equal shares that moves backend 0 to nothing from the middle on. */
export function aPolicy(count: number, steps = 120): PolicySummary {
  const share = Array.from({ length: steps }, (_, step) => {
    const first = Math.max(0, 1 / count - Math.max(0, step / steps - 0.5));
    return Array.from({ length: count }, (_, backend) => (backend === 0 ? first : (1 - first) / (count - 1)));
  });
  return {
    name: 'shift',
    alpha: 0.1,
    estimator: 'ensemble:smooth:backend',
    changes: 46,
    backends: backendNames(count),
    time_s: share.map((_, step) => (step * 6) / steps),
    share,
  };
}

export const backendNames = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `10.77.0.${index + 1}`);

/** A small generator of numbers in [0, 1) that gives the same sequence every time. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Points around 270 us that step to 2 ms in the middle, some of them false; what a bulk upload looks like. */
export function aSeries(estimator: string, backend: string, count: number, falseShare = 0.05): LatencySeries {
  const random = generator(count + estimator.length);
  const timeS = Array.from({ length: count }, (_, index) => (index * 6) / count);
  const latencyNs = timeS.map((time) => {
    const truth =
      (time < 3 ? 270_000 : 2_000_000) * (0.9 + random() * 0.25 + (random() < 0.02 ? random() * 3 : 0));
    return Math.round(random() < falseShare ? 64_000 * (1 + random() * 0.4) : truth);
  });
  return { estimator, backend, timeS, latencyNs, total: count * 3 };
}

export const noTimeline: ReplayTimeline = { latency: [], truth: [] };
