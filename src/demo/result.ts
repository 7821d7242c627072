import type { Account } from './account.ts';
import type { Figures } from './figures.ts';

/** What the demo found, as printed with `--json`. Units last in keys; nothing is renamed within a version. */
export interface DemoResult {
  readonly schema: 'inband.demo/1';
  readonly servers: { readonly count: number; readonly application: 'memcached' | 'kv' };
  readonly load: {
    readonly connections: number;
    readonly requests_per_connection: number;
    /** Fraction of the requests that set; the others get. */
    readonly set_ratio: number;
    readonly value_bytes: number;
  };
  /** Delay of the path to each server, and what was added to it for one. */
  readonly base_delay_us: number;
  readonly added_delay_us: number;
  /** Per run, from the start of its load. */
  readonly injected_at_s: number;
  readonly removed_at_s: number;
  readonly run_s: number;
  /** First the static table, then in-band control. */
  readonly runs: readonly DemoRun[];
}

export type RunName = 'static' | 'in-band';

export interface DemoRun extends Figures, Account {
  readonly name: RunName;
  readonly policy: string;
  /** `xdp native`. */
  readonly datapath: string;
  /** The server whose path became slower: `s1`. */
  readonly slowed: string;
  /** Requests with a correct reply, and those without. */
  readonly requests: number;
  readonly errors: number;
  readonly timeline: RunTimeline;
}

/** The run on a grid of equal steps of time; null where nothing is known. */
export interface RunTimeline {
  readonly step_ms: number;
  readonly p95_us: readonly (number | null)[];
  /** Of the server that became slower. */
  readonly slowed_share: readonly (number | null)[];
}
