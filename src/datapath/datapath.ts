import type { LiveBins } from '../latency/bins.ts';
import type { Cliff } from '../latency/ensemble.ts';
import type { BackendSignals } from '../latency/signals.ts';
import type { LatencyWindow } from '../latency/window.ts';
import type { SlotTable } from '../maglev/shares.ts';
import type { Address, Endpoint } from '../net/address.ts';
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

/**
 * What packets of the flows of a lost backend meet, as long as the slot of the flow names another one: `keep`, they go on
 * to it; `resteer`, the flow begins anew at the backend in its slot; `reset`, a TCP segment that is neither SYN nor RST is
 * answered by a RST in the name of the vip, other packets begin the flow anew.
 */
export type Fate = 'keep' | 'resteer' | 'reset';

/** A vip with its backends. */
export interface DatapathVip {
  readonly endpoint: Endpoint;
  /** At least one, each of them once. */
  readonly backends: readonly DatapathBackend[];
  /** Fate of backends that a later configuration leaves out, and of all when it leaves out the vip; `keep` unless it says. */
  readonly lostFlows?: Fate;
}

/** Where a vip and its backends are in the datapath. */
export interface PlacedVip {
  /** For `slots` and `slotOf`; stays the same while the vip is configured. */
  readonly vip: number;
  /**
   * Number of each backend, in the order given: what the datapath calls (vip, backend). It stays the same while that is
   * configured, and is given to another one only when no flow and no slot holds it any more.
   */
  readonly backends: readonly number[];
}

export { noBackend } from '../maglev/shares.ts';

/** What a datapath can be configured to hold without being opened anew. */
export interface DatapathCapacity {
  readonly vips: number;
  /** Of all vips together, those included that are gone and still have flows. */
  readonly backends: number;
  readonly flows: number;
}

/** A flow of the flow table. */
export interface FlowRecord {
  readonly clientAddress: string;
  readonly clientPort: number;
  readonly vip: number;
  readonly backend: number;
  readonly state: 'new' | 'established' | 'closing';
  /** Time since its last packet, in ns, not negative. */
  readonly idleNs: number;
  readonly estimator: LiveEstimator;
}

/** Where probes come from: an address of the load balancer, and a range of ports that nothing else uses there. */
export interface ProbeSource {
  readonly address: Address;
  readonly portFirst: number;
  readonly portLast: number;
}

/** What a datapath is told when it is opened. */
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
  /** Directory of a BPF file system, of `xdp`: what is pinned there goes on without this process. */
  readonly pin?: string;
  /** Whether it must be pinned: without a BPF file system it is not opened then, instead of running unpinned. */
  readonly pinRequired?: boolean;
}

/** A window over samples that the datapath keeps adding to. */
export interface LiveWindow extends LatencyWindow {
  /** Takes in what was sampled since the last call; true if there was anything. */
  update(): boolean;
}

/** Packets and bytes that went to a backend, flows that began there, and flows that it holds now. */
export interface BackendTraffic {
  readonly packets: number;
  readonly bytes: number;
  readonly flows: number;
  /** Flows begun less flows ended, in whatever way. */
  readonly held: number;
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
 * Backends are named by their numbers, see `PlacedVip`. `slots`, `window` and the counters are memory that it shares:
 * reading and writing them makes no system call. What was given out for a vip or backend that is not configured any more
 * must not be used again.
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
  /** Where the vips are that it was opened with or that were last configured, in that order. */
  readonly placed: readonly PlacedVip[];
  /** Whether it was running before this process: slots, flows and counters are as they were left. */
  readonly adopted: boolean;
  /** Where it is pinned; undefined where it ends with this process. */
  readonly pinned?: string | undefined;
  readonly capacity: DatapathCapacity;
  /**
   * Takes other vips and backends in place of those before. Flows of what stays keep their backend. All slots of a new vip
   * are `noBackend` until they are written; those of others keep numbers of backends that are gone until then. A vip that
   * is gone takes no new flows: their packets are those of no vip. What its flows meet is `lostFlows`, where no slot helps.
   * @throws InbandError `LIMIT`, `USAGE` or `CONFIG_INVALID`; everything is as it was then
   */
  configure(vips: readonly DatapathVip[]): readonly PlacedVip[];
  /** Sets what the flows of a backend meet; `keep` at first. */
  setFate(backend: number, fate: Fate): void;
  /** Table of a vip: writing a slot moves its new flows with the next packet. Holds numbers of backends, or `noBackend`. */
  slots(vip: number): SlotTable;
  /** The slot of a vip that a client's new flow belongs to. */
  slotOf(vip: number, address: Address, port: number): number;
  /**
   * Shows the flows in part of the flow table, 0 being its start; what is shown is valid during the call only. Takes about
   * a millisecond.
   * @returns where to go on; undefined at the end
   */
  scanFlows(cursor: number, visit: (flow: FlowRecord) => void): number | undefined;
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
  /**
   * Looks whether anything changed around it, interfaces and neighbours, and at part of the flow table, for flows whose time
   * is over. Called about ten times a second.
   */
  poll(): void;
  /** Why a backend cannot be sent packets now; undefined if it can. */
  obstacle(backend: number): string | undefined;
  /** What an operator should be told since the last call; each thing once. */
  notices(): readonly string[];
  /** Streams samples to the listener until the returned function is called. */
  listen(listener: (samples: readonly SampleRecord[]) => void): () => void;
  /**
   * Sends an IP packet to a vip by way of a backend, just as a client's would go.
   * @returns false while it cannot be sent
   */
  sendProbe(backend: number, packet: Uint8Array): boolean;
  /**
   * From now on packets from vips to these ports go to the listener instead of the kernel: whole IP packets of at most 1,536
   * bytes, valid during the call. In place of the source and listener before.
   */
  listenProbes(source: ProbeSource, listener: (packet: Uint8Array) => void): void;
  /** Ends this process's part: a pinned datapath goes on to forward, another one stops and leaves nothing behind. */
  close(): void;
  /** Stops forwarding and leaves nothing behind, pinned or not. */
  detach(): void;
}
