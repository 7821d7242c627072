import type { Packet } from '../net/packet.ts';
import type { Ns } from '../units.ts';
import type { SignalMemory } from './signal-memory.ts';

/** Latencies above this are dropped: nothing that a load balancer acts on takes an hour to answer. */
export const latencyNsMax = 3600e9;

/** Kinds whose single samples may be negative; only their means are meaningful. */
export const signedKinds: readonly string[] = ['server'];

/**
 * Receives a sample: `kind` is an index into the estimator's `kinds`, `latencyNs` the latency in ns, negative in
 * `signedKinds` only. Estimators call it at most once per packet and kind.
 */
export type Emit = (kind: number, latencyNs: number) => void;

/**
 * Turns a flow's client->server packets into latency samples. It keeps its state in arrays by flow number, allocates
 * nothing per packet, reads no clock, and must give the same samples for the same packets and times in every run.
 */
export interface Estimator {
  /** Name with its readings, as written in `--estimator`: `ensemble:smooth:backend`. */
  readonly name: string;
  /** Kinds of samples it emits. Samples of different kinds are never compared with each other. */
  readonly kinds: readonly string[];
  /** State per flow in bytes. */
  readonly bytesPerFlow: number;
  /** What it counts of each backend; absent where it counts nothing. */
  readonly signals?: SignalMemory;
  /**
   * A new flow's first packet: forget what the number stood for before. Its backend has this number among all backends
   * of all vips.
   */
  open(flow: number, backend: number, packet: Packet, now: Ns): void;
  /** A later packet of a flow. */
  observe(flow: number, backend: number, packet: Packet, now: Ns, emit: Emit): void;
  /** A later packet of a flow came by that is not to be measured: it counts as the last one, and as nothing else. */
  skip?(flow: number, now: Ns): void;
  /** The flow has ended, in whatever way; its number may be given to another. */
  close?(flow: number, backend: number): void;
  /** A backend begins under this number, with no flows: makes room for it, and forgets another that had it before. */
  begin?(backend: number): void;
}

/** What every estimator needs to know of its surroundings: how many flows and, to begin with, backends its arrays must hold. */
export interface EstimatorSize {
  readonly flows: number;
  readonly backends: number;
}
