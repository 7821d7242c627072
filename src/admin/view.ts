import type { Pool } from '../control/pool.ts';
import type { Datapath } from '../datapath/datapath.ts';
import type { BackendSignals } from '../latency/signals.ts';
import type { Endpoint } from '../net/address.ts';
import type { Ns } from '../units.ts';

/** A vip with its pool, as metrics and the dashboard see it. */
export interface ServiceView {
  readonly vip: Endpoint;
  readonly pool: Pool;
  /** Number of the first backend among all vips'. */
  readonly first: number;
  /** One per backend; empty where nothing counts them. */
  readonly signals: readonly BackendSignals[];
  /** Per backend why it cannot be sent packets; undefined if it can. */
  readonly obstacles: readonly (string | undefined)[];
  readonly generation: number;
  readonly slotsMoved: number;
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
  /** The same objects from one call to the next, as long as their vips are configured as they were. */
  readonly services: readonly ServiceView[];
}
