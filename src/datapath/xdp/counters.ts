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
const endings = ['closed', 'reopened', 'idle', 'evicted_unestablished', 'evicted_idle'];

/** The program's counters, summed over CPUs. */
export class XdpCounters {
  readonly #counters: Uint32Array;
  readonly #traffic: Uint32Array;
  readonly #cpus: number;
  readonly #backends: number;

  /** @param counters and @param traffic the maps of these names */
  constructor(counters: Uint32Array, traffic: Uint32Array, cpus: number, backends: number) {
    this.#counters = counters;
    this.#traffic = traffic;
    this.#cpus = cpus;
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
    const sum = (offset: number) => {
      let total = 0;
      for (let cpu = 0; cpu < this.#cpus; cpu++) {
        total += readU64(this.#traffic, ((cpu * this.#backends + backend) * inbandTraffic.size + offset) / 4);
      }
      return total;
    };
    return { packets: sum(packets.offset), bytes: sum(bytes.offset), flows: sum(flows.offset) };
  }

  #named(words: Words): Record<string, number> {
    const stride = inbandCounters.size / 4;
    const total = (word: number) => {
      let sum = 0;
      for (let cpu = 0; cpu < this.#cpus; cpu++) sum += readU64(this.#counters, cpu * stride + word);
      return sum;
    };
    return Object.fromEntries(words.map(([name, word]) => [name, total(word)]));
  }
}
