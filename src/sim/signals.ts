import type { SignalMemory } from '../latency/signal-memory.ts';
import type { BackendSignals } from '../latency/signals.ts';
import { signalWord } from '../latency/wheel-signals.ts';
import type { Ns } from '../units.ts';

/**
 * The signals of one backend, read as a running load balancer reads them, but only when there is something to read: where
 * nothing is in flight and nothing was counted since, an update changes nothing. With many load balancers that is most
 * of the time, and reading would be most of the work.
 */
export class SimSignals implements BackendSignals {
  readonly #memory: SignalMemory;
  readonly #backend: number;
  readonly #read: BackendSignals;
  #isTouched = true;

  constructor(memory: SignalMemory, backend: number) {
    this.#memory = memory;
    this.#backend = backend;
    this.#read = memory.of(backend);
  }

  get flows(): number {
    return this.#read.flows;
  }
  get synRetransmits(): number {
    return this.#read.synRetransmits;
  }
  get handshakes(): number {
    return this.#read.handshakes;
  }
  get requests(): number {
    return this.#read.requests;
  }
  get responses(): number {
    return this.#read.responses;
  }
  get segments(): number {
    return this.#read.segments;
  }
  get retransmits(): number {
    return this.#read.retransmits;
  }
  get resets(): number {
    return this.#read.resets;
  }
  get inFlight(): number {
    return this.#read.inFlight;
  }
  get oldestNs(): number {
    return this.#read.oldestNs;
  }

  waiting(ageNs: number): number {
    return this.#read.waiting(ageNs);
  }

  update(now: Ns): void {
    if (!this.#isTouched && this.#read.inFlight === 0) return;
    this.#isTouched = false;
    this.#read.update(now);
  }

  /** Counts one of `signalWord`. */
  count(word: number): void {
    this.#isTouched = true;
    this.#memory.count(this.#backend, word);
  }

  /** A request passes. */
  sent(nowNs: number): void {
    this.count(signalWord.segments);
    this.#memory.push(this.#backend, tickOf(nowNs));
  }

  /** A request that was sent then has its response, or its flow ended. */
  take(sentNs: number): void {
    this.#isTouched = true;
    this.#memory.take(this.#backend, tickOf(sentNs));
  }
}

/** Estimators keep times as u32 ticks of 64 ns. */
const tickOf = (timeNs: number): number => Math.floor(timeNs / 64) | 0;
