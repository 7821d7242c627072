/** What an evaluation found, as printed with `--json`. Keys are part of the documented schema: units last, nothing renamed within a version. */
export interface EvalResult {
  schema: 'inband.eval/1';
  /** Length of the windows that estimates and truth are compared in. */
  window_ms: number;
  /** Every estimator with what it costs, in the order of the rows of each capture. */
  estimators: EvalEstimator[];
  captures: EvalCapture[];
  /** Captures, and truths without a capture, that could not be evaluated. */
  skipped: EvalSkipped[];
  warnings: string[];
}

export interface EvalEstimator {
  /** Name with its readings: `ensemble:smooth:backend`, `auto`. */
  estimator: string;
  kinds: string[];
  /** State per flow, beside the flow table's. */
  bytes_per_flow: number;
  /** Time of the engine with this estimator alone, less its time with none, per packet; null where it was not measured. */
  ns_per_packet: number | null;
}

export interface EvalCapture {
  name: string;
  /** Capture time from the first packet to the last, in seconds. */
  span_s: number;
  packets: { read: number; client: number; server: number };
  flows: number;
  backends: string[];
  truth: EvalTruth;
  /** Per estimator one row, or for one with several kinds one of what a controller would use and one per kind. */
  rows: EvalRow[];
  /** Turns of a capture with both directions; absent with a truth file. */
  exchanges?: EvalExchanges;
  /** Changes of the truth that are known or evident, at most one per backend. */
  steps: EvalStep[];
  warnings: string[];
}

export interface EvalTruth {
  source: string;
  /** True response latencies within the capture, handshakes apart. */
  responses: number;
  handshakes: number;
  p50_ns: number | null;
  mean_ns: number | null;
}

/** Accuracy of one estimator and kind. Fractions are of the truth: 0.1 is 10 %; null where there is nothing to compare. */
export interface EvalRow {
  estimator: string;
  /** Null in the row of what a controller would use of several kinds. */
  kind: string | null;
  samples: number;
  samples_per_s: number | null;
  /** Samples with a truth of their own to compare with; 0 for kinds of which only means tell something. */
  matched: number;
  /** Median and mean of all samples, to those of all truths. */
  median_ratio: number | null;
  mean_ratio: number | null;
  /** Of matched samples: how many are within 20 % of their truth, the median of (sample - truth) / truth, p95 of its size. */
  within_20_percent: number | null;
  median_relative_error: number | null;
  p95_absolute_relative_error: number | null;
  /** Of matched samples: quartiles and tail of sample - truth. */
  error_ns: { p25: number | null; p50: number | null; p75: number | null; p90: number | null };
  /** Windows of a backend with samples and truth, of those that have truth. */
  windows: number;
  truth_windows: number;
  /** Over windows, |typical estimate / typical truth - 1|, typical being the median, or the mean where only means tell. */
  window_error_p50: number | null;
  window_error_p90: number | null;
  /** Over windows, |typical estimate - typical truth|. */
  window_error_p90_ns: number | null;
  /** Fraction of windows within 10 % or 60 us of the truth: what a controller can act on. */
  windows_right: number | null;
  /** Fraction of countable turns with a sample; absent with a truth file. */
  exchanges_matched?: number | null;
  /** The same, or counted as a response among the backend's signals; in the row of a whole estimator only. */
  exchanges_told?: number | null;
}

/** Turns: data from the client, then data from the server. */
export interface EvalExchanges {
  turns: number;
  /** Those that the client's packets can tell of: the request was sent once, and the response acknowledged. */
  countable: number;
}

/** A change of the truth of a backend, and what became of it in the estimates. */
export interface EvalStep {
  backend: string;
  /** Capture time of the step. */
  at_s: number;
  /** From the list of switches beside the capture, or evident in the truth. */
  source: 'switch' | 'truth';
  rows: EvalStepRow[];
}

/** Typical latencies before and after a step; null without samples. */
export interface EvalStepRow {
  estimator: string;
  kind: string | null;
  truth_before_ns: number | null;
  truth_after_ns: number | null;
  before_ns: number | null;
  after_ns: number | null;
  /** End of the first window whose estimate is beyond the middle between before and after, counted in windows from the step. */
  seen_after_windows: number | null;
}

export interface EvalSkipped {
  path: string;
  reason: string;
  hint?: string;
}

/** What a picture of one capture needs: per backend the truth, and typical estimates by window. */
export interface EvalTimeline {
  capture: string;
  spanS: number;
  backends: EvalBackendTimeline[];
}

export interface EvalBackendTimeline {
  backend: string;
  truth: EvalLine;
  estimates: { estimator: string; kind: string | null; line: EvalLine }[];
  /** When the truth changed, in s; absent if it did not. */
  stepS?: number | undefined;
}

/** Typical latency of each window that has any, at the middle of the window. */
export interface EvalLine {
  timeS: number[];
  latencyNs: number[];
}
