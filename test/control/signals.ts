import type { BackendSignals } from '../../src/latency/signals.ts';

/** Signals of a backend that a test sets; requests in flight are given by when they were sent, in ns. */
export class GivenSignals implements BackendSignals {
  flows = 0;
  synRetransmits = 0;
  handshakes = 0;
  requests = 0;
  responses = 0;
  segments = 0;
  retransmits = 0;
  resets = 0;
  sentNs: number[] = [];
  #now = 0;

  get inFlight(): number {
    return this.sentNs.length;
  }

  get oldestNs(): number {
    return this.sentNs.length === 0 ? 0 : this.#now - Math.min(...this.sentNs);
  }

  waiting(ageNs: number): number {
    return this.sentNs.filter((sent) => this.#now - sent >= ageNs).length;
  }

  update(now: number): void {
    this.#now = now;
  }

  /** So many requests are sent and answered. */
  answer(count: number): void {
    this.requests += count;
    this.responses += count;
  }
}
