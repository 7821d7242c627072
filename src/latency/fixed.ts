import type { Packet } from '../net/packet.ts';
import type { Ns } from '../units.ts';
import type { Emit, Estimator, EstimatorSize } from './estimator.ts';

/**
 * FIXEDTIMEOUT, Algorithm 1 of "Load Balancers Need In-Band Feedback Control" (HotNets'22): a packet that comes more
 * than the timeout after the previous one of its flow starts a new batch, and the time from the first packet of one
 * batch to the first of the next is taken as a response latency. The first packet of a flow starts its first batch.
 */
export class FixedTimeout implements Estimator {
  readonly name: string;
  readonly kinds: readonly string[];
  readonly bytesPerFlow = 16;
  readonly #timeoutNs: Ns;
  /** Per flow: time of the last packet, time of the last batch's first packet. */
  readonly #state: Float64Array;

  constructor(timeoutNs: Ns, size: EstimatorSize) {
    this.name = `fixed:${exactDuration(timeoutNs)}`;
    this.kinds = [this.name];
    this.#timeoutNs = timeoutNs;
    this.#state = new Float64Array(2 * size.flows);
  }

  open(flow: number, _backend: number, _packet: Packet, now: Ns): void {
    this.#state[2 * flow] = now;
    this.#state[2 * flow + 1] = now;
  }

  observe(flow: number, _backend: number, _packet: Packet, now: Ns, emit: Emit): void {
    const state = this.#state;
    const at = 2 * flow;
    if (now - state[at]! > this.#timeoutNs) {
      const latency = now - state[at + 1]!;
      state[at + 1] = now;
      emit(0, latency);
    }
    state[at] = now;
  }

  skip(flow: number, now: Ns): void {
    this.#state[2 * flow] = now;
  }
}

/** The timeout such that it can be written again, as a whole number: `64us`, `1024us`. `formatDuration` rounds. */
function exactDuration(timeoutNs: Ns): string {
  const units = [
    [1e9, 's'],
    [1e6, 'ms'],
    [1e3, 'us'],
  ] as const;
  const [scale, suffix] = units.find(([scale]) => timeoutNs % scale === 0) ?? [1, 'ns'];
  return `${timeoutNs / scale}${suffix}`;
}
