import type { Pool } from '../control/pool.ts';
import type { Datapath } from '../datapath/datapath.ts';
import type { BackendHealth, HealthCounts } from '../health/health.ts';
import type { BackendSignals } from '../latency/signals.ts';
import type { Endpoint } from '../net/address.ts';
import type { Ns } from '../units.ts';
import type { AdminState } from './answers.ts';

/** A vip with its pool, as metrics and the dashboard see it. Lists have an entry per backend. */
export interface ServiceView {
  readonly vip: Endpoint;
  readonly pool: Pool;
  /** Number of the vip, as the datapath calls it. */
  readonly place: number;
  /** Numbers of the backends, as the datapath calls them. */
  readonly numbers: readonly number[];
  /** Empty where nothing counts them. */
  readonly signals: readonly BackendSignals[];
  /** What an operator wants of it. */
  readonly states: readonly AdminState[];
  readonly health: readonly BackendHealth[];
  /** Why it cannot be sent packets; undefined if it can. */
  readonly obstacles: readonly (string | undefined)[];
  /** The weight that counts, 0 for no new flows. */
  weightOf(backend: number): number;
  readonly generation: number;
  readonly slotsMoved: number;
}

/** How it went with the configuration. */
export interface ReloadView {
  readonly succeeded: number;
  readonly failed: number;
  readonly lastSucceeded: boolean;
  /** When the configuration that runs was taken, Unix time in s. */
  readonly timeS: number;
}

/** What metrics and the dashboard read of a running load balancer. Reading it makes no system call and changes nothing. */
export interface BalancerView {
  readonly version: string;
  readonly interface: string;
  readonly datapath: Datapath;
  /** Flows that the table was made for. */
  readonly flowsCapacity: number;
  readonly tickNs: Ns;
  readonly uptimeNs: number;
  readonly ticks: number;
  readonly ticksLate: number;
  readonly reloads: ReloadView;
  /** Whether forwarding goes on without the daemon. */
  readonly pinned: boolean;
  /** What became of the checks of a backend, by its number. */
  healthCounts(number: number): HealthCounts;
  /** Changes by an operator that could not be written down. */
  readonly stateWriteFailures: number;
  /** The same objects from one call to the next, as long as their vips are configured as they were. */
  readonly services: readonly ServiceView[];
}
