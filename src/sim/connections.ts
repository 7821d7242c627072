import type { Balancer } from './balancer.ts';
import { draw } from './distribution.ts';
import type { Random } from './random.ts';
import type { ClientSpec, Scenario } from './scenario.ts';

/** What the next packet of a connection is. */
export const state = {
  /** None: an open-loop connection that waits for a request, or is not open. */
  none: 0,
  /** A SYN. */
  connect: 1,
  /** The same SYN again. */
  synAgain: 2,
  /** The ACK that completes the handshake, and the first request. */
  first: 3,
  /** A request; it acknowledges the response before. */
  request: 4,
  /** An ACK without data. */
  ack: 5,
  /** The same request again. */
  lost: 6,
  /** None: a reset from the server has reached the client. */
  reset: 7,
} as const;

/** Requests remembered as in flight on flows that went silent, over all load balancers. */
const silentMax = 65_536;

/** All connections of all clients, as arrays by number. Those of a client follow one another. */
export class Connections {
  readonly size: number;
  readonly state: Uint8Array;
  readonly balancer: Uint8Array;
  readonly backend: Uint16Array;
  /** Slot hash of the flow. */
  readonly hash: Uint32Array;
  readonly openedNs: Float64Array;
  /** When a connection's lifetime is over. */
  readonly endsNs: Float64Array;
  /** When a client gives up, or sends its next request after an ACK without data. */
  readonly deadlineNs: Float64Array;
  /** Requests left. */
  readonly left: Float64Array;
  readonly tries: Uint8Array;
  /** When the latest request passed. */
  readonly sentNs: Float64Array;
  readonly #client: Uint8Array;
  readonly #waiting: Uint8Array;
  readonly #firsts: readonly number[];
  /** Per client, stacks of open connections without a request and of connections that are not open. */
  readonly #idle: Int32Array[];
  readonly #idleCount: Int32Array;
  readonly #unused: Int32Array[];
  readonly #unusedCount: Int32Array;
  readonly #forgottenNs: number;
  /** Requests on silent flows: a ring of places, the oldest first. */
  readonly #silentBalancer = new Uint8Array(silentMax);
  readonly #silentBackend = new Uint16Array(silentMax);
  readonly #silentNs = new Float64Array(silentMax);
  readonly #silentSentNs = new Float64Array(silentMax);
  #silentHead = 0;
  #silentCount = 0;

  constructor({ clients }: Scenario, forgottenNs: number) {
    const counts = clients.map(({ connections }) => connections);
    this.#firsts = counts.map((_, i) => counts.slice(0, i).reduce((sum, count) => sum + count, 0));
    const size = counts.reduce((sum, count) => sum + count, 0);
    this.size = size;
    this.state = new Uint8Array(size);
    this.balancer = new Uint8Array(size);
    this.backend = new Uint16Array(size);
    this.hash = new Uint32Array(size);
    this.openedNs = new Float64Array(size);
    this.endsNs = new Float64Array(size);
    this.deadlineNs = new Float64Array(size);
    this.left = new Float64Array(size);
    this.tries = new Uint8Array(size);
    this.sentNs = new Float64Array(size);
    this.#waiting = new Uint8Array(size);
    this.#client = new Uint8Array(size);
    counts.forEach((count, i) => {
      this.#client.fill(i, this.#firsts[i]!, this.#firsts[i]! + count);
    });
    this.#idle = counts.map((count) => new Int32Array(count));
    this.#unused = counts.map((count, i) =>
      Int32Array.from({ length: count }, (_, k) => this.#firsts[i]! + k),
    );
    this.#idleCount = new Int32Array(counts.length);
    this.#unusedCount = Int32Array.from(counts);
    this.#forgottenNs = forgottenNs;
  }

  first(client: number): number {
    return this.#firsts[client]!;
  }

  clientOf(c: number): number {
    return this.#client[c]!;
  }

  open(
    c: number,
    balancer: number,
    backend: number,
    nowNs: number,
    client: ClientSpec,
    random: Random,
  ): void {
    this.balancer[c] = balancer;
    this.backend[c] = backend;
    // The first connections of a run would all end at the same time.
    const isFirst = this.openedNs[c] === 0;
    const part = isFirst ? random.uniform() : 1;
    this.openedNs[c] = nowNs;
    this.tries[c] = 0;
    this.left[c] = Math.ceil(client.requestsMax * part);
    this.endsNs[c] = client.lifetime
      ? nowNs + draw(client.lifetime, random, nowNs)
      : Number.POSITIVE_INFINITY;
  }

  /** Whether a request is in flight as far as the load balancer knows. */
  isWaiting(c: number): boolean {
    return this.#waiting[c] === 1;
  }

  setWaiting(c: number, waiting: boolean): void {
    this.#waiting[c] = waiting ? 1 : 0;
  }

  takeIdle(client: number): number {
    return this.#idleCount[client]! === 0 ? -1 : this.#idle[client]![--this.#idleCount[client]!]!;
  }

  setIdle(c: number, client: number): void {
    this.state[c] = state.none;
    this.#idle[client]![this.#idleCount[client]!++] = c;
  }

  takeUnused(client: number): number {
    return this.#unusedCount[client]! === 0 ? -1 : this.#unused[client]![--this.#unusedCount[client]!]!;
  }

  setUnused(c: number, client: number): void {
    this.state[c] = state.none;
    this.#unused[client]![this.#unusedCount[client]!++] = c;
  }

  /** A flow went silent with a request in flight: that stays in flight for the load balancer, while the connection begins anew. */
  leave(c: number, nowNs: number, balancers: readonly Balancer[]): void {
    this.#waiting[c] = 0;
    if (this.#silentCount === silentMax) this.#forgetFirst(balancers);
    const at = (this.#silentHead + this.#silentCount++) % silentMax;
    this.#silentBalancer[at] = this.balancer[c]!;
    this.#silentBackend[at] = this.backend[c]!;
    this.#silentNs[at] = nowNs;
    this.#silentSentNs[at] = this.sentNs[c]!;
  }

  /** Forgets what has been silent for too long. */
  forget(nowNs: number, balancers: readonly Balancer[]): void {
    while (this.#silentCount > 0 && nowNs - this.#silentNs[this.#silentHead]! >= this.#forgottenNs) {
      this.#forgetFirst(balancers);
    }
  }

  #forgetFirst(balancers: readonly Balancer[]): void {
    const at = this.#silentHead;
    balancers[this.#silentBalancer[at]!]!.signals[this.#silentBackend[at]!]!.take(this.#silentSentNs[at]!);
    this.#silentHead = (at + 1) % silentMax;
    this.#silentCount--;
  }
}
