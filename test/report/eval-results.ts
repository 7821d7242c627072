import type {
  EvalCapture,
  EvalResult,
  EvalRow,
  EvalStep,
  EvalTimeline,
} from '../../src/datapath/replay/eval/result.ts';

/** A row that is right, to be varied by tests. */
export function aRow(estimator: string, kind: string | null, changes: Partial<EvalRow> = {}): EvalRow {
  return {
    estimator,
    kind,
    samples: 37_002,
    samples_per_s: 12_334,
    matched: 37_000,
    median_ratio: 1.01,
    mean_ratio: 1.02,
    within_20_percent: 0.99,
    median_relative_error: 0.004,
    p95_absolute_relative_error: 0.031,
    error_ns: { p25: 1_000, p50: 12_345, p75: 25_000, p90: 90_000 },
    windows: 30,
    truth_windows: 31,
    window_error_p50: 0.01,
    window_error_p90: 0.025,
    window_error_p90_ns: 9_000,
    windows_right: 0.97,
    ...changes,
  };
}

export const noRow = (estimator: string): EvalRow =>
  aRow(estimator, estimator, {
    samples: 0,
    samples_per_s: 0,
    matched: 0,
    median_ratio: null,
    mean_ratio: null,
    within_20_percent: null,
    median_relative_error: null,
    p95_absolute_relative_error: null,
    error_ns: { p25: null, p50: null, p75: null, p90: null },
    windows: 0,
    window_error_p50: null,
    window_error_p90: null,
    window_error_p90_ns: null,
    windows_right: null,
  });

export function aStep(backend: string): EvalStep {
  const truth = { truth_before_ns: 260_000, truth_after_ns: 1_260_000 };
  return {
    backend,
    at_s: 1.29,
    source: 'switch',
    rows: [
      {
        estimator: 'auto',
        kind: null,
        ...truth,
        before_ns: 262e3,
        after_ns: 1_262_000,
        seen_after_windows: 1,
      },
      {
        estimator: 'ensemble',
        kind: 'ensemble',
        ...truth,
        before_ns: 3e6,
        after_ns: 2e6,
        seen_after_windows: null,
      },
      {
        estimator: 'handshake',
        kind: 'handshake',
        ...truth,
        before_ns: 1e5,
        after_ns: 1e5,
        seen_after_windows: null,
      },
    ],
  };
}

export function aCapture(name: string, changes: Partial<EvalCapture> = {}): EvalCapture {
  return {
    name,
    span_s: 3,
    packets: { read: 40_000, client: 37_034, server: 0 },
    flows: 8,
    backends: ['s1', 's2'],
    truth: {
      source: `${name}/truth.csv`,
      responses: 37_002,
      handshakes: 8,
      p50_ns: 301_211,
      mean_ns: 609_983,
    },
    rows: [aRow('auto', null), aRow('auto', 'request'), aRow('ensemble', 'ensemble'), noRow('quic')],
    steps: [aStep('s2')],
    warnings: [],
    ...changes,
  };
}

export function anEvaluation(changes: Partial<EvalResult> = {}): EvalResult {
  const estimator = (name: string, ns: number | null) => ({
    estimator: name,
    kinds: [name],
    bytes_per_flow: 88,
    ns_per_packet: ns,
  });
  return {
    schema: 'inband.eval/1',
    window_ms: 100,
    estimators: [estimator('auto', 31.25), estimator('ensemble', 17), estimator('quic', null)],
    captures: [aCapture('web')],
    skipped: [],
    warnings: [],
    ...changes,
  };
}

/** A picture with a line for each estimator of two backends. */
export function aTimeline(capture: string, backends = ['s1', 's2']): EvalTimeline {
  const timeS = Array.from({ length: 30 }, (_, i) => i / 10);
  const line = (factor: number) => ({
    timeS,
    latencyNs: timeS.map((time) => (time > 1.3 ? 1_260_000 : 260_000) * factor),
  });
  return {
    capture,
    spanS: 3,
    backends: backends.map((backend, index) => ({
      backend,
      truth: line(1),
      estimates: [
        { estimator: 'auto', kind: null, line: line(1.02) },
        { estimator: 'auto', kind: 'request', line: line(1.02) },
        { estimator: 'ensemble', kind: 'ensemble', line: line(4) },
        { estimator: 'quic', kind: 'quic', line: { timeS: [], latencyNs: [] } },
      ],
      ...(index === 1 ? { stepS: 1.29 } : {}),
    })),
  };
}
