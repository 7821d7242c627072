import type { Policy } from '../control/policy.ts';
import { Pool } from '../control/pool.ts';
import { inbandHistogram } from '../generated/layout.ts';
import { BinWindow, binOf, LiveBins } from '../latency/bins.ts';
import { SignalMemory } from '../latency/signal-memory.ts';
import type { LatencyWindow } from '../latency/window.ts';
import { backendOf } from '../maglev/hash.ts';
import { ns } from '../units.ts';
import type { Scenario } from './scenario.ts';
import { SimSignals } from './signals.ts';

/** Kinds of samples that a simulated load balancer takes, by number. */
export const kinds = ['request', 'handshake'] as const;
export const requestKind = 0;
export const handshakeKind = 1;

const histogramWords = inbandHistogram.size / 4;
const wordOf = (field: keyof typeof inbandHistogram.fields) => inbandHistogram.fields[field].offset / 4;
const countWord = wordOf('count');
const sumWord = wordOf('sumNs');
const lastWord = wordOf('lastNs');
const lastTimeWord = wordOf('lastTimeNs');
const binsWord = wordOf('bins');

/**
 * One load balancer: the pool, windows and table of a running one. Samples go into histograms of the kernel's layout, and
 * the control loop reads them through the same windows as on the XDP datapath.
 */
export class Balancer {
  readonly pool: Pool;
  readonly signals: readonly SimSignals[];
  slotsMoved = 0;
  readonly #backends: number;
  readonly #words: Uint32Array;
  readonly #windows: readonly (readonly BinWindow[])[];
  /** Per kind and backend, whether there were samples since the last tick. */
  readonly #sampled: Uint8Array;
  readonly #table: Uint16Array;
  readonly #actsOnSamples: boolean;
  #isStale = true;

  constructor(scenario: Scenario, policy: Policy) {
    const { servers, slots } = scenario;
    this.#backends = servers.length;
    this.#words = new Uint32Array(kinds.length * servers.length * histogramWords);
    this.#sampled = new Uint8Array(kinds.length * servers.length);
    const memory = new SignalMemory(servers.length);
    this.signals = servers.map((_, backend) => new SimSignals(memory, backend));
    this.#windows = kinds.map((_, kind) =>
      servers.map((_, backend) => new BinWindow(new LiveBins(this.#words, [this.#start(kind, backend)]))),
    );
    this.#actsOnSamples = policy.trigger === 'sample';
    this.pool = new Pool({
      policy,
      backends: servers,
      kinds,
      windows: this.#windows,
      signals: this.signals,
      table: { slots },
    });
    this.#table = new Uint16Array(slots);
    this.pool.publish(this.#table);
  }

  /** Takes a sample in; true if the shares changed, as they may with a policy that acts on samples. */
  sample(kind: number, backend: number, latencyNs: number, nowNs: number): boolean {
    const words = this.#words;
    const start = this.#start(kind, backend);
    add(words, start + countWord, 1);
    add(words, start + sumWord, latencyNs);
    set(words, start + lastWord, latencyNs);
    set(words, start + lastTimeWord, nowNs);
    words[start + binsWord + binOf(latencyNs)]!++;
    this.#sampled[kind * this.#backends + backend] = 1;
    if (!this.#actsOnSamples || kind !== requestKind) return false;
    this.#windows[kind]![backend]!.update();
    return this.#decide(nowNs);
  }

  /** A tick of the control loop; true if the shares changed. */
  tick(nowNs: number): boolean {
    const sampled = this.#sampled;
    const backends = this.#backends;
    for (let i = 0; i < sampled.length; i++) {
      if (sampled[i] === 0) continue;
      sampled[i] = 0;
      const kind = Math.floor(i / backends);
      this.#windows[kind]![i - kind * backends]!.update();
    }
    if (!this.#decide(nowNs)) return false;
    this.#publish();
    return true;
  }

  /** Whether a backend may hold slots, from now on. */
  setUsable(backend: number, usable: boolean): void {
    this.pool.setUsable(backend, usable);
    this.#isStale = true;
  }

  /** Samples of a backend and kind since the policy last reset them, as of the last tick. */
  window(kind: number, backend: number): LatencyWindow {
    return this.#windows[kind]![backend]!;
  }

  /** The backend of a new flow. */
  route(hash: number): number {
    if (this.#isStale) this.#publish();
    return backendOf(this.#table, hash);
  }

  /** Between two flows shares may change often: the table follows when somebody asks it. */
  #publish(): void {
    this.slotsMoved += this.pool.publish(this.#table);
    this.#isStale = false;
  }

  #decide(nowNs: number): boolean {
    if (!this.pool.decide(ns(nowNs))) return false;
    this.#isStale = true;
    return true;
  }

  #start(kind: number, backend: number): number {
    return (kind * this.#backends + backend) * histogramWords;
  }
}

function add(words: Uint32Array, at: number, value: number): void {
  set(words, at, words[at + 1]! * 0x1_0000_0000 + words[at]! + value);
}

/** Writes a u64 below 2^53, rounded down. */
function set(words: Uint32Array, at: number, value: number): void {
  words[at] = value % 0x1_0000_0000;
  words[at + 1] = value / 0x1_0000_0000;
}
