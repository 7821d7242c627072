import type { BackendSignals } from '../latency/signals.ts';

/**
 * Requests of which the load balancers have seen no response, as doubly linked lists over typed arrays: one list per
 * load balancer and backend, the oldest first. A request has the number of its connection; what is in flight on a flow
 * that ended without a packet from the client is kept under a number of its own until it is forgotten.
 */
export class InFlight {
  readonly sentNs: Float64Array;
  readonly next: Int32Array;
  readonly previous: Int32Array;

  constructor(size: number) {
    this.sentNs = new Float64Array(size);
    this.next = new Int32Array(size);
    this.previous = new Int32Array(size);
  }
}

/** What one load balancer can tell of one backend, counted as the packets pass. */
export class SimSignals implements BackendSignals {
  flows = 0;
  synRetransmits = 0;
  handshakes = 0;
  requests = 0;
  responses = 0;
  segments = 0;
  retransmits = 0;
  resets = 0;
  inFlight = 0;
  readonly #requests: InFlight;
  #first = -1;
  #last = -1;
  #nowNs = 0;

  constructor(requests: InFlight) {
    this.#requests = requests;
  }

  get oldestNs(): number {
    return this.#first < 0 ? 0 : Math.max(0, this.#nowNs - this.#requests.sentNs[this.#first]!);
  }

  waiting(ageNs: number): number {
    const { sentNs, next } = this.#requests;
    let count = 0;
    for (let at = this.#first; at >= 0 && this.#nowNs - sentNs[at]! >= ageNs; at = next[at]!) count++;
    return count;
  }

  update(nowNs: number): void {
    this.#nowNs = nowNs;
  }

  /** A request passes; its number must not be in flight. */
  sent(request: number, nowNs: number): void {
    const { sentNs, next, previous } = this.#requests;
    sentNs[request] = nowNs;
    previous[request] = this.#last;
    next[request] = -1;
    if (this.#last < 0) this.#first = request;
    else next[this.#last] = request;
    this.#last = request;
    this.requests++;
    this.segments++;
    this.inFlight++;
  }

  /** A request has its response, or its flow ended. */
  remove(request: number): void {
    const { next, previous } = this.#requests;
    const [before, after] = [previous[request]!, next[request]!];
    if (before < 0) this.#first = after;
    else next[before] = after;
    if (after < 0) this.#last = before;
    else previous[after] = before;
    this.inFlight--;
  }

  /** A request goes on under another number, at the same place. */
  rename(from: number, to: number): void {
    const { sentNs, next, previous } = this.#requests;
    sentNs[to] = sentNs[from]!;
    previous[to] = previous[from]!;
    next[to] = next[from]!;
    if (previous[to]! < 0) this.#first = to;
    else next[previous[to]!] = to;
    if (next[to]! < 0) this.#last = to;
    else previous[next[to]!] = to;
  }
}
