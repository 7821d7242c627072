/** What the local socket answers, by route. Within a version of `schema` keys are added, never renamed. */

/** What an operator wants of a backend: `drain` keeps its flows, `maintenance` gives them up as well. */
export const adminStates = ['ready', 'drain', 'maintenance'] as const;

export type AdminState = (typeof adminStates)[number];

/** What checks say of a backend; `starting` until the first one passed, `unchecked` where none is made. */
export const healthStates = ['up', 'down', 'starting', 'unchecked'] as const;

export type HealthState = (typeof healthStates)[number];

/** How much changed of one sort of thing. */
export interface Changes {
  readonly added: number;
  readonly removed: number;
  readonly changed: number;
  readonly unchanged: number;
}

/** POST /reload. */
export interface ReloadAnswer {
  readonly schema: 'inband.reload/1';
  readonly took_ms: number;
  readonly slots_moved: number;
  readonly vips: Changes;
  readonly backends: Changes;
}

/** POST /backend. */
export interface ChangeAnswer {
  readonly schema: 'inband.change/1';
  readonly changed: readonly ChangedBackend[];
  /** Whether a restart keeps it; `note` says why not. */
  readonly kept: boolean;
  readonly note?: string;
}

export interface ChangedBackend {
  readonly vip: string;
  readonly backend: string;
  readonly state: AdminState;
  readonly weight: number;
  readonly flows_held: number;
}

/** What POST /backend takes. */
export interface ChangeRequest {
  readonly backend: string;
  /** All vips that have it, unless one is named. */
  readonly vip?: string;
  readonly state?: AdminState;
  /** `null`: as configured. */
  readonly weight?: number | null;
}

/** GET /backends. */
export interface BackendsAnswer {
  readonly schema: 'inband.backends/1';
  readonly backends: readonly BackendAnswer[];
}

export interface BackendAnswer {
  readonly vip: string;
  readonly backend: string;
  /** What the datapath calls it. */
  readonly number: number;
  /** How packets go there: `l2`, `ipip`. */
  readonly encap: string;
  readonly state: AdminState;
  readonly health: HealthAnswer;
  readonly weight: number;
  readonly weight_configured: number;
  /** Fraction of the vip's slots. */
  readonly share: number;
  readonly slots: number;
  readonly flows_held: number;
  readonly flows_begun: number;
  readonly packets: number;
  readonly bytes: number;
  /** What the clients' packets tell; null where nothing counts it. */
  readonly in_flight: number | null;
  readonly oldest_ns: number | null;
  readonly retransmits: number | null;
  readonly resets: number | null;
  /** Why it cannot be sent packets; null if it can. */
  readonly obstacle: string | null;
  /** Of the kind that the policy acts on; null before the first sample. */
  readonly latency: BackendLatency | null;
}

export interface HealthAnswer {
  readonly state: HealthState;
  /** Since when, ISO 8601. */
  readonly since: string;
  /** How it is checked: `tcp`, `http`, `udp`, `none`. */
  readonly check: string;
  /** What the last check found, or why there is none; empty when all is well. */
  readonly reason: string;
  readonly ejected: EjectedAnswer | null;
}

/** What its clients' packets tell against it. */
export interface EjectedAnswer {
  /** ISO 8601. */
  readonly until: string;
  readonly reason: string;
  /** How often in a row. */
  readonly times: number;
}

export interface BackendLatency {
  readonly kind: string;
  readonly p50_ns: number;
  readonly p99_ns: number;
  readonly samples: number;
}

/** Flows of one answer, unless it asks for another number of at most so many. */
export const flowsLimit = { usual: 100, most: 10_000 } as const;

/** GET /flows. */
export interface FlowsAnswer {
  readonly schema: 'inband.flows/1';
  readonly flows: readonly FlowAnswer[];
  /** Flows that fit the filters, of all that were looked at. */
  readonly matched: number;
  readonly scanned: number;
  /** Whether there are more than `flows` has. */
  readonly truncated: boolean;
}

export const flowStates = ['new', 'established', 'closing'] as const;

export type FlowState = (typeof flowStates)[number];

export interface FlowAnswer {
  /** `ADDR:PORT`. */
  readonly client: string;
  readonly vip: string;
  readonly backend: string;
  readonly state: FlowState;
  readonly idle_ms: number;
}

/** GET /trace. */
export interface TraceAnswer {
  readonly schema: 'inband.trace/1';
  readonly client: string;
  readonly vip: string;
  /** The flow, if there is one. */
  readonly flow: { readonly backend: string; readonly state: FlowState; readonly idle_ms: number } | null;
  readonly slot: number;
  /** Who has the slot: where a new flow goes; null if nobody. */
  readonly slot_backend: string | null;
  /** Where the next packet goes; null if nowhere. */
  readonly backend: string | null;
  readonly by: 'flow' | 'slot' | 'none';
  /** Sentences. */
  readonly why: readonly string[];
}
