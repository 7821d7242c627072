import { inbandCounters, inbandReason, inbandTraffic } from '../../generated/layout.ts';
import { readU64 } from '../../latency/bins.ts';
import type { BackendTraffic } from '../datapath.ts';

/** `evictedIdle` as `evicted_idle`, the way names are in status and metrics. */
const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

type Words = readonly (readonly [name: string, word: number])[];

const packetsWord = inbandCounters.fields.packets.offset / 4;
const reasonWords: Words = Object.entries(inbandReason)
  .filter(([name]) => name !== 'count')
  .map(([name, index]) => [snake(name), packetsWord + 2 * index]);
const flowWords: Words = Object.entries(inbandCounters.fields)
  .filter(([name]) => name !== 'packets' && name !== 'pad')
  .map(([name, { offset }]) => [snake(name), offset / 4]);
/** A flow that was created ended under one of these, or is still there. */
const endings = ['closed', 'reopened', 'idle', 'resteered', 'evicted_unestablished', 'evicted_idle'];

/** The program's counters, summed over CPUs and the sweep. */
export class XdpCounters {
  readonly #counters: Uint32Array;
  readonly #traffic: Uint32Array;
  readonly #ended: Uint32Array;
  readonly #rows: number;
  readonly #backends: number;

  /**
   * @param counters @param traffic @param ended the maps of these names
   * @param rows what is kept by CPU has so many
   */
  constructor(
    counters: Uint32Array,
    traffic: Uint32Array,
    ended: Uint32Array,
    rows: number,
    backends: number,
  ) {
    this.#counters = counters;
    this.#traffic = traffic;
    this.#ended = ended;
    this.#rows = rows;
    this.#backends = backends;
  }

  /** Packets by how they left the program: all that it saw. */
  packets(): Record<string, number> {
    return this.#named(reasonWords);
  }

  /** What happened to flows and samples, and `active`: the lines that the flow table holds. */
  flows(): Record<string, number> {
    const counts = this.#named(flowWords);
    counts.active = endings.reduce((sum, name) => sum - counts[name]!, counts.created!);
    return counts;
  }

  traffic(backend: number): BackendTraffic {
    const { packets, bytes, flows } = inbandTraffic.fields;
    const begun = this.#ofBackend(backend, flows.offset);
    return {
      packets: this.#ofBackend(backend, packets.offset),
      bytes: this.#ofBackend(backend, bytes.offset),
      flows: begun,
      held: this.held(backend, begun),
    };
  }

  /** Flows that a backend holds. One that another CPU begins now may have ended before it counts as begun. */
  held(backend: number, begun = this.#ofBackend(backend, inbandTraffic.fields.flows.offset)): number {
    let held = begun;
    for (let row = 0; row < this.#rows; row++)
      held -= readU64(this.#ended, 2 * (row * this.#backends + backend));
    return Math.max(0, held);
  }

  #ofBackend(backend: number, offset: number): number {
    let total = 0;
    for (let row = 0; row < this.#rows; row++) {
      total += readU64(this.#traffic, ((row * this.#backends + backend) * inbandTraffic.size + offset) / 4);
    }
    return total;
  }

  #named(words: Words): Record<string, number> {
    const stride = inbandCounters.size / 4;
    const total = (word: number) => {
      let sum = 0;
      for (let row = 0; row < this.#rows; row++) sum += readU64(this.#counters, row * stride + word);
      return sum;
    };
    return Object.fromEntries(words.map(([name, word]) => [name, total(word)]));
  }
}
