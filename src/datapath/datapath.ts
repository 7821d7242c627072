import type { LiveBins } from '../latency/bins.ts';
import type { Cliff } from '../latency/ensemble.ts';
import type { BackendSignals } from '../latency/signals.ts';
import type { LatencyWindow } from '../latency/window.ts';
import type { SlotTable } from '../maglev/shares.ts';
import type { Endpoint } from '../net/address.ts';
import type { Ns } from '../units.ts';
import type { Encapsulation } from './capture/hops.ts';

/** What live samples come from: all of a flow that its packets allow, or the paper's ENSEMBLETIMEOUT alone. */
export type LiveEstimator = 'auto' | 'ensemble';

/** A server behind a vip. */
export interface DatapathBackend {
  /** Its address. */
  readonly name: string;
  /** How packets go there; `l2` unless it says. */
  readonly encapsulation?: Encapsulation;
}

/** A vip with its backends. */
export interface DatapathVip {
  readonly endpoint: Endpoint;
  /** At least one; slots hold places in this list. */
  readonly backends: readonly DatapathBackend[];
}

/** What a datapath is told when it is opened. Numbers of backends run over all vips, in order. */
export interface DatapathOptions {
  readonly interface: string;
  readonly vips: readonly DatapathVip[];
  /** Slots of each vip's table. */
  readonly slots: number;
  /** Flows to be held at a time. */
  readonly flows: number;
  readonly timeoutsNs: readonly Ns[];
  readonly epochNs: Ns;
  readonly cliff: Cliff;
  /** What measures; the best that the datapath has unless it says. Timeouts, epoch and cliff are of `ensemble`. */
  readonly estimator?: LiveEstimator;
  /** Whether to answer ARP for the vips, which then are addresses of no machine but the servers. */
  readonly answerArp?: boolean;
}

/** A window over samples that the datapath keeps adding to. */
export interface LiveWindow extends LatencyWindow {
  /** Takes in what was sampled since the last call; true if there was anything. */
  update(): boolean;
}

/** Packets and bytes that went to a backend, and flows that began there. */
export interface BackendTraffic {
  readonly packets: number;
  readonly bytes: number;
  readonly flows: number;
}

/** One latency sample as it is streamed to who asks for it. */
export interface SampleRecord {
  /** Time of the packet that completed it, in ns on the monotonic clock. */
  readonly timeNs: Ns;
  readonly latencyNs: number;
  readonly kind: string;
  readonly clientAddress: string;
  readonly clientPort: number;
  readonly vip: number;
  readonly backend: number;
}

/**
 * What forwards packets and measures while the load balancer runs; the only thing that differs between its datapaths.
 * Backends are numbered over all vips. `slots`, `window` and the counters are memory that it shares: reading and writing
 * them makes no system call.
 */
export interface Datapath {
  /** `xdp`, `capture`. */
  readonly name: string;
  /** How it runs: `native` or `generic`; of `capture` how packets are sent, `l2`, `ipip` or `l2+ipip`. */
  readonly mode: string;
  /** Why not a better way; empty when there is none. */
  readonly reason: string;
  /** Kinds of samples that it takes, by number. */
  readonly kinds: readonly string[];
  /** Table of a vip: writing a slot moves its new flows with the next packet. Holds indices into the vip's pool. */
  slots(vip: number): SlotTable;
  /** A new window over the samples of a backend and kind, empty at first. */
  window(backend: number, kind: number): LiveWindow;
  /** All samples of a backend and kind since the start. */
  histogram(backend: number, kind: number): LiveBins;
  /** What packets tell of a backend beside latencies; `noSignals` where nothing counts them. */
  signals(backend: number): BackendSignals;
  /** Packets by named reason of how they left; they add up to all packets seen. */
  packets(): Record<string, number>;
  /** What the flow table counts, by name, and the lines it holds. */
  flows(): Record<string, number>;
  traffic(backend: number): BackendTraffic;
  /** Looks whether anything changed around it: interfaces, neighbours. Called about ten times a second. */
  poll(): void;
  /** Why a backend cannot be sent packets now; undefined if it can. */
  obstacle(backend: number): string | undefined;
  /** What an operator should be told since the last call; each thing once. */
  notices(): readonly string[];
  /** Streams samples to the listener until the returned function is called. */
  listen(listener: (samples: readonly SampleRecord[]) => void): () => void;
  /** Stops forwarding and leaves nothing behind. */
  close(): void;
}
