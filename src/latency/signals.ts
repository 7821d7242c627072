import type { Ns } from '../units.ts';

/**
 * What the clients' packets to one backend tell beside latencies, all from one direction. Counters run from the start
 * and never fall; who wants a rate takes differences. Getters give what `update` took in last.
 */
export interface BackendSignals {
  /** Flows that began here. */
  readonly flows: number;
  /** SYNs sent again: their SYN-ACK did not come in time. */
  readonly synRetransmits: number;
  /** Handshakes that the client completed. */
  readonly handshakes: number;
  /** Requests sent, and requests whose response the client acknowledged. */
  readonly requests: number;
  readonly responses: number;
  /** Segments with data, and those of them that were sent before. */
  readonly segments: number;
  readonly retransmits: number;
  /** Connections that the client reset. */
  readonly resets: number;
  /**
   * Requests without evidence of a response now; an upper bound of flows with one request at a time, as a client may have a
   * response and not say so yet. A flow whose requests cannot be told apart, several in a segment, counts as one.
   */
  readonly inFlight: number;
  /** Age in ns of the oldest of those; 0 without one. */
  readonly oldestNs: number;
  /** How many of those are at least `ageNs` old. */
  waiting(ageNs: number): number;
  /** Takes in what happened until `now`. */
  update(now: Ns): void;
}

/** What nobody counts: all zero. */
export const noSignals: BackendSignals = {
  flows: 0,
  synRetransmits: 0,
  handshakes: 0,
  requests: 0,
  responses: 0,
  segments: 0,
  retransmits: 0,
  resets: 0,
  inFlight: 0,
  oldestNs: 0,
  waiting: () => 0,
  update: () => {},
};
