import type { Packet } from '../net/packet.ts';
import type { Ns } from '../units.ts';

/** Latencies above this are dropped: nothing that a load balancer acts on takes an hour to answer. */
export const latencyNsMax = 3600e9;

/**
 * Receives a sample: `kind` is an index into the estimator's `kinds`, `latencyNs` the latency in ns.
 * Estimators call it at most once per packet and kind.
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
  /** A new flow's first packet: forget what the number stood for before. */
  open(flow: number, packet: Packet, now: Ns): void;
  /** A later packet of a flow, whose backend has this number among all backends of all vips. */
  observe(flow: number, backend: number, packet: Packet, now: Ns, emit: Emit): void;
}

/** What every estimator needs to know of its surroundings: how many flows and backends its arrays must hold. */
export interface EstimatorSize {
  readonly flows: number;
  readonly backends: number;
}
