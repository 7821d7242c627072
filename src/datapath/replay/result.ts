/** What a replay found, as printed with `--json`. Keys are part of the documented schema: units last, nothing renamed within a version. */
export interface ReplayResult {
  schema: 'inband.replay/1';
  files: ReplayFile[];
  /** Capture time from the first packet to the last, in seconds. */
  span_s: number;
  packets: {
    read: number;
    /** Client->server packets of a vip: what the load balancer would have forwarded. */
    client: number;
    /** Server->client packets of a vip: not looked at unless `--use-server` was given. */
    server: number;
    /** Packets that are neither, by named reason; only reasons that occurred. */
    skipped: Record<string, number>;
  };
  flows: {
    created: number;
    /** Flows still in the table at the end. */
    active: number;
    /** Lines that the table can hold. */
    capacity: number;
    /** Flows that left the table, by reason: closed, reopened, idle, evicted_unestablished, evicted_idle. */
    ended: Record<string, number>;
    /** Packets of flows that found no line; they are routed by their slot and not measured. */
    untracked_packets: number;
    bytes_per_flow: number;
  };
  vips: { vip: string; flows: number; packets: number }[];
  /** How flows were assigned to backends; `vip`: each vip is its own backend. */
  assign: 'vip' | 'table' | 'dst-mac' | 'flows.csv';
  backends: ReplayBackend[];
  /** Every estimator over all backends; with a truth, how far off it was. */
  estimators: EstimatorSummary[];
  /** Absent with fewer than two backends: there is nothing to shift. */
  policy?: PolicySummary;
  /** Samples left out of the percentiles, by named reason; only reasons that occurred. */
  samples_dropped: Record<string, number>;
  truth?: { source: string; records: number };
  warnings: string[];
}

export interface ReplayFile {
  name: string;
  packets: number;
  /** As stored: compressed, if the capture is. */
  bytes: number;
  problems: string[];
}

export interface ReplayBackend {
  backend: string;
  flows: number;
  packets: number;
  estimators: EstimatorSummary[];
}

/** Latencies in ns; null where there was no sample. */
export interface EstimatorSummary {
  /** Name and readings of the estimator: `ensemble:smooth:backend`, `fixed:64us`, `handshake`. */
  estimator: string;
  samples: number;
  p50_ns: number | null;
  p90_ns: number | null;
  p99_ns: number | null;
  mean_ns: number | null;
  max_ns: number | null;
  error?: EstimatorError;
}

/** Distance to the truth. Relative errors are fractions: 0.1 is 10 %. */
export interface EstimatorError {
  /** Samples with a truth to compare with. */
  matched: number;
  /** Median of (estimate - truth) / truth: the bias. */
  median_relative_error: number | null;
  /** 95th percentile of |estimate - truth| / truth. */
  p95_absolute_relative_error: number | null;
  /** Fraction of matched samples within 20 % of the truth. */
  within_20_percent: number | null;
  /** Per backend and 100 ms window, |median(estimate) / median(truth) - 1|: its median and 90th percentile over windows. */
  windows: number;
  window_error_p50: number | null;
  window_error_p90: number | null;
}

export interface PolicySummary {
  name: string;
  alpha: number;
  estimator: string;
  /** How often the policy changed the shares. */
  changes: number;
  backends: string[];
  /** Share of slots of each backend, sampled at equal steps of capture time: share[step][backend]. */
  time_s: number[];
  share: number[][];
}

/** What a picture of the replay needs beyond the result: points over time, thinned to a bounded number. */
export interface ReplayTimeline {
  /** One per estimator and backend. */
  latency: LatencySeries[];
  /** One per backend and kind of truth; empty without a truth. */
  truth: LatencySeries[];
}

/** Points in order of time; times in seconds from the first packet, latencies in ns. */
export interface LatencySeries {
  estimator: string;
  backend: string;
  timeS: number[];
  latencyNs: number[];
  /** How many samples there were before thinning. */
  total: number;
}
