import type { AdminState, HealthState } from '../answers.ts';

/** What frames are about: the same as long as vips are configured as they are. Written into the page and before its frames. */
export interface About {
  readonly version: string;
  /** Tells one daemon from the next at the same address. */
  readonly started: string;
  readonly interface: string;
  readonly datapath: { readonly name: string; readonly mode: string; readonly reason: string };
  readonly flowsCapacity: number;
  readonly tickMs: number;
  readonly vips: readonly AboutVip[];
}

export interface AboutVip {
  readonly vip: string;
  readonly policy: string;
  /** Weight as a fraction of the pool's. */
  readonly backends: readonly { readonly name: string; readonly weight: number }[];
}

/** The state at one moment and the latencies of the second before it. Counters run from the start of the daemon. */
export interface Frame {
  /** Frames are counted from 1 without a gap. */
  readonly n: number;
  /** Unix time in s. */
  readonly t: number;
  readonly uptimeS: number;
  readonly ticks: number;
  readonly ticksLate: number;
  readonly packets: Readonly<Record<string, number>>;
  readonly flows: Readonly<Record<string, number>>;
  readonly vips: readonly VipFrame[];
}

/** A vip in a frame: a value per backend. */
export interface VipFrame {
  /** Kind of samples that the latencies are of. */
  readonly kind: string;
  readonly generation: number;
  readonly slotsMoved: number;
  /** Fraction of the slots. */
  readonly share: readonly number[];
  /** In us; null without a sample. */
  readonly p50: readonly (number | null)[];
  readonly p99: readonly (number | null)[];
  readonly samples: readonly number[];
  /** Flows that began there, and those that it holds now. */
  readonly flows: readonly number[];
  readonly held: readonly number[];
  readonly packets: readonly number[];
  /** Requests in flight, the age of the oldest in ms, and segments sent again; empty where nobody counts them. */
  readonly inFlight: readonly number[];
  readonly oldestMs: readonly number[];
  readonly retransmits: readonly number[];
  /** Why a backend cannot be sent packets, by its index. */
  readonly obstacles: Readonly<Record<number, string>>;
  /** What an operator wants of a backend, by its index; `ready` where nothing is said. */
  readonly states: Readonly<Record<number, Exclude<AdminState, 'ready'>>>;
  /** Backends of which checks or their clients' packets do not say that they are up, by index. */
  readonly health: Readonly<Record<number, ShownHealth>>;
}

export interface ShownHealth {
  readonly state: Exclude<HealthState, 'up'> | 'ejected';
  /** Why, in words; may be empty. */
  readonly reason: string;
}

/** A line of what was recorded, and of what is recorded from now on: what frames are about stands before them. */
export type Recorded =
  | { readonly about: About }
  | { readonly frame: Frame }
  | { readonly decisions: readonly ShownDecision[] };

/** A decision as the page shows it. */
export interface ShownDecision {
  /** Indices of the vip and of its backend. */
  readonly vip: number;
  readonly backend: number;
  /** Unix times of the first and the last step in s. */
  readonly from: number;
  readonly until: number;
  readonly steps: number;
  readonly text: string;
}
