import {
  inbandBackend,
  inbandFate,
  inbandGaps,
  inbandHistogram,
  inbandHop,
  inbandSignals,
  inbandTraffic,
} from '../../generated/layout.ts';
import { LiveBins, readU64 } from '../../latency/bins.ts';
import { type BackendSignals, noSignals } from '../../latency/signals.ts';
import { WheelSignals } from '../../latency/wheel-signals.ts';
import type { Fate } from '../datapath.ts';

/** Where to send a backend's frames. */
export interface BackendTarget {
  /** Its own MAC, or that of the router to it. */
  readonly mac: Uint8Array;
  /** The MAC of the interface that the frames leave by. */
  readonly sourceMac: Uint8Array;
  readonly ifindex: number;
}

const interfaceMask = 2 ** inbandHop.interfaceBits - 1;
/** Bits of a hop by enum inband_fate. */
const fateBits: readonly number[] = [
  0,
  1 << inbandHop.lostBit,
  (1 << inbandHop.lostBit) | (1 << inbandHop.resetBit),
];

/** What the program keeps of backends by their numbers: where they are, and per CPU what it saw of them. */
export class BackendMemory {
  /** Numbers that backends may have. */
  readonly count: number;
  /** Rows of what is kept per CPU: the last is that of the sweep. */
  readonly rows: number;
  readonly #kinds: number;
  readonly #bytes: Uint8Array;
  readonly #hops: Int32Array;
  readonly #histograms: Uint32Array;
  readonly #signals: Uint32Array;
  readonly #traffic: Uint32Array;
  readonly #ended: Uint32Array;
  readonly #gaps: Uint32Array;

  /**
   * @param memory gives the values of a map
   * @param kinds of samples
   */
  constructor(memory: (map: string) => ArrayBuffer, kinds: number, cpus: number) {
    this.#bytes = new Uint8Array(memory('backends'));
    this.#hops = new Int32Array(memory('backends'));
    this.#histograms = new Uint32Array(memory('histograms'));
    this.#signals = new Uint32Array(memory('signals'));
    this.#traffic = new Uint32Array(memory('traffic'));
    this.#ended = new Uint32Array(memory('ended'));
    this.#gaps = new Uint32Array(memory('gap_counts'));
    this.#kinds = kinds;
    this.count = this.#bytes.length / inbandBackend.size;
    this.rows = cpus + 1;
  }

  /** Sets where a backend's frames go; undefined makes it unusable: packets to it are dropped. */
  setTarget(backend: number, target: BackendTarget | undefined): void {
    const hops = this.#hops;
    const hopAt = this.#hopAt(backend);
    const fate = hops[hopAt]! & ~interfaceMask;
    if (!target) {
      Atomics.store(hops, hopAt, fate);
      return;
    }
    const next = fate | (target.ifindex & interfaceMask);
    const macs = Buffer.concat([target.mac, target.sourceMac]);
    const macsAt = backend * inbandBackend.size + inbandBackend.fields.macAddresses.offset;
    // Not for a moment unusable when nothing changes, as after a restart of the daemon.
    if (hops[hopAt] === next && macs.equals(this.#bytes.subarray(macsAt, macsAt + macs.length))) return;
    // Unusable while it changes, so that no frame leaves with half an address. Atomics keep the order.
    Atomics.store(hops, hopAt, fate);
    this.#bytes.set(macs, macsAt);
    Atomics.store(hops, hopAt, next);
  }

  /** Whether a backend can be sent packets. */
  isRouted(backend: number): boolean {
    return (this.#hops[this.#hopAt(backend)]! & interfaceMask) !== 0;
  }

  /** Sets what flows of a backend meet. */
  setFate(backend: number, fate: Fate): void {
    const hopAt = this.#hopAt(backend);
    Atomics.store(this.#hops, hopAt, (this.#hops[hopAt]! & interfaceMask) | fateBits[inbandFate[fate]]!);
  }

  /** Backends whose flows are not to be kept. */
  lost(): number[] {
    const lost: number[] = [];
    for (let backend = 0; backend < this.count; backend++)
      if (this.#hops[this.#hopAt(backend)]! < 0) lost.push(backend);
    return lost;
  }

  /** The samples of a backend and kind since the start. */
  histogram(backend: number, kind: number): LiveBins {
    const stride = inbandHistogram.size / 4;
    const starts = this.#cells(backend, this.rows).map((cell) => (cell * this.#kinds + kind) * stride);
    // Samples are of CPUs; the sweep's row has some only if they were carried there from a map of another size.
    const last = starts.at(-1)! + inbandHistogram.fields.count.offset / 4;
    const rows = readU64(this.#histograms, last) > 0 ? this.rows : this.rows - 1;
    return new LiveBins(this.#histograms, starts.slice(0, rows));
  }

  /** What packets tell of a backend beside latencies; all zero where no vip is measured by `auto`. */
  signals(backend: number): BackendSignals {
    if (!this.#hasAuto) return noSignals;
    const starts = this.#cells(backend, this.rows).map((cell) => (cell * inbandSignals.size) / 4);
    return new WheelSignals(this.#signals, starts);
  }

  /** Forgets all of a backend, which cannot be used then. Nothing may hold its number. */
  clear(backend: number): void {
    this.#bytes.fill(0, backend * inbandBackend.size, (backend + 1) * inbandBackend.size);
    for (const [words, size, rows] of [
      [this.#histograms, inbandHistogram.size * this.#kinds, this.rows],
      [this.#traffic, inbandTraffic.size, this.rows],
      [this.#ended, 8, this.rows],
      [this.#signals, this.#hasAuto ? inbandSignals.size : 0, this.rows],
      [this.#gaps, this.#hasAuto ? inbandGaps.size : 0, this.rows - 1],
    ] as const) {
      for (const cell of this.#cells(backend, rows))
        words.fill(0, (cell * size) / 4, ((cell + 1) * size) / 4);
    }
  }

  #hopAt(backend: number): number {
    return (backend * inbandBackend.size + inbandBackend.fields.hop.offset) / 4;
  }

  get #hasAuto(): boolean {
    return this.#signals.length * 4 > inbandSignals.size;
  }

  /** Where what is kept of a backend is, by row. */
  #cells(backend: number, rows: number): number[] {
    return Array.from({ length: rows }, (_, row) => row * this.count + backend);
  }
}
