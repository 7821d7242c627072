import { SampleMemory } from '../../src/datapath/capture/memory.ts';
import type {
  Datapath,
  DatapathCapacity,
  DatapathVip,
  Fate,
  FlowRecord,
  LiveWindow,
  PlacedVip,
  SampleRecord,
} from '../../src/datapath/datapath.ts';
import { noBackend } from '../../src/datapath/datapath.ts';
import { InbandError } from '../../src/errors.ts';
import { type BackendSignals, noSignals } from '../../src/latency/signals.ts';
import { type Address, formatEndpoint } from '../../src/net/address.ts';

/** What a fake counts of a backend; tests write it. */
export interface FakeTraffic {
  packets: number;
  bytes: number;
  flows: number;
  held: number;
}

export interface FakeOptions {
  readonly slots?: number;
  readonly kinds?: readonly string[];
  readonly adopted?: boolean;
  readonly reason?: string;
  readonly backendsMax?: number;
  readonly signals?: (backend: number) => BackendSignals;
}

/** A datapath without packets: numbers are as stable as a real one's, everything that it would measure is set by hand. */
export class FakeDatapath implements Datapath {
  readonly name = 'capture';
  readonly mode = 'l2';
  readonly reason: string;
  readonly kinds: readonly string[];
  readonly adopted: boolean;
  readonly capacity: DatapathCapacity;
  readonly samples: SampleMemory;
  readonly fates = new Map<number, Fate>();
  readonly obstacles = new Map<number, string>();
  readonly reasons: Record<string, number> = { tx: 0, no_backend: 0 };
  readonly events: Record<string, number> = { created: 0, idle: 0, samples_dropped: 0, active: 0 };
  /** The flow table; a scan shows `scanStep` of them at a time. */
  records: FlowRecord[] = [];
  scanStep = 2;
  /** Of each call of `configure`, the vips. */
  readonly configured: (readonly DatapathVip[])[] = [];
  placed: readonly PlacedVip[];
  isClosed = false;
  isDetached = false;
  readonly #slots: number;
  readonly #signals: (backend: number) => BackendSignals;
  readonly #vips = new Map<string, number>();
  readonly #numbers = new Map<string, number>();
  readonly #tables = new Map<number, Uint16Array>();
  readonly #traffic = new Map<number, FakeTraffic>();
  readonly #listeners = new Set<(samples: readonly SampleRecord[]) => void>();

  constructor(vips: readonly DatapathVip[], options: FakeOptions = {}) {
    const { slots = 1009, kinds = ['handshake', 'request'], adopted = false, reason = '' } = options;
    this.#slots = slots;
    this.#signals = options.signals ?? (() => noSignals);
    this.kinds = kinds;
    this.adopted = adopted;
    this.reason = reason;
    this.capacity = { vips: 64, backends: options.backendsMax ?? 1_024, flows: 1_000 };
    this.samples = new SampleMemory(kinds.length);
    this.placed = this.#place(vips);
  }

  configure(vips: readonly DatapathVip[]): readonly PlacedVip[] {
    const count = vips.reduce((sum, { backends }) => sum + backends.length, 0);
    if (count > this.capacity.backends) throw new InbandError('LIMIT', `no room for ${count} backends`);
    this.configured.push(vips);
    this.placed = this.#place(vips);
    return this.placed;
  }

  setFate(backend: number, fate: Fate): void {
    this.fates.set(backend, fate);
  }

  slots(vip: number): Uint16Array {
    return this.#tables.get(vip)!;
  }

  slotOf(_vip: number, _address: Address, port: number): number {
    return port % this.#slots;
  }

  scanFlows(cursor: number, visit: (flow: FlowRecord) => void): number | undefined {
    const end = cursor + this.scanStep;
    for (const record of this.records.slice(cursor, end)) visit(record);
    return end < this.records.length ? end : undefined;
  }

  window(backend: number, kind: number): LiveWindow {
    return this.samples.window(backend, kind);
  }

  histogram(backend: number, kind: number) {
    return this.samples.histogram(backend, kind);
  }

  signals(backend: number): BackendSignals {
    return this.#signals(backend);
  }

  packets(): Record<string, number> {
    return this.reasons;
  }

  flows(): Record<string, number> {
    return this.events;
  }

  traffic(backend: number): FakeTraffic {
    const known = this.#traffic.get(backend) ?? { packets: 0, bytes: 0, flows: 0, held: 0 };
    this.#traffic.set(backend, known);
    return known;
  }

  poll(): void {}

  obstacle(backend: number): string | undefined {
    return this.obstacles.get(backend);
  }

  notices(): readonly string[] {
    return [];
  }

  listen(listener: (samples: readonly SampleRecord[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Hands samples to who listens. */
  emit(samples: readonly SampleRecord[]): void {
    for (const listener of this.#listeners) listener(samples);
  }

  sendProbe(): boolean {
    return false;
  }

  listenProbes(): void {}

  close(): void {
    this.isClosed = true;
  }

  detach(): void {
    this.isDetached = true;
  }

  /** Slots of a vip by number of their backend. */
  slotCounts(vip: number): Record<number, number> {
    const counts: Record<number, number> = {};
    for (const number of this.slots(vip)) counts[number] = (counts[number] ?? 0) + 1;
    return counts;
  }

  #place(vips: readonly DatapathVip[]): PlacedVip[] {
    return vips.map(({ endpoint, backends }) => {
      const name = formatEndpoint(endpoint);
      const vip = numberOf(this.#vips, name);
      if (!this.#tables.has(vip)) this.#tables.set(vip, new Uint16Array(this.#slots).fill(noBackend));
      const numbers = backends.map((backend) => {
        const isNew = !this.#numbers.has(`${name} ${backend.name}`);
        const number = numberOf(this.#numbers, `${name} ${backend.name}`);
        if (isNew) this.samples.begin(number);
        return number;
      });
      return { vip, backends: numbers };
    });
  }
}

function numberOf(numbers: Map<string, number>, name: string): number {
  const number = numbers.get(name) ?? numbers.size;
  numbers.set(name, number);
  return number;
}
