import { formatAddress } from '../../net/address.ts';
import type { Packet } from '../../net/packet.ts';
import type { Ns } from '../../units.ts';
import type { SampleRecord } from '../datapath.ts';
import type { Forwarder } from './forwarder.ts';

/** Samples handed on at once, and how often; what comes beyond is lost to who listens. */
const batchMax = 4_096;
const handOnMs = 5;

type Listener = (samples: readonly SampleRecord[]) => void;

/** Samples of a forwarder for who listens to them, in batches. */
export class SampleStream {
  /** Samples that there was no room for. */
  lost = 0;
  readonly #forwarder: Forwarder;
  readonly #listeners = new Set<Listener>();
  #batch: SampleRecord[] = [];
  #handOn: NodeJS.Timeout | undefined;

  constructor(forwarder: Forwarder) {
    this.#forwarder = forwarder;
  }

  /** Hands samples on until the returned function is called. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    this.#forwarder.onSample = (...sample) => this.#collect(...sample);
    this.#handOn ??= setInterval(() => this.#handOnSamples(), handOnMs);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.close();
    };
  }

  close(): void {
    clearInterval(this.#handOn);
    this.#handOn = undefined;
    this.#forwarder.onSample = undefined;
    this.#batch = [];
  }

  #collect(kind: number, latencyNs: number, packet: Packet, vip: number, backend: number, timeNs: Ns): void {
    if (this.#batch.length === batchMax) {
      this.lost++;
      return;
    }
    const { family, src0, src1, src2, src3, srcPort } = packet;
    this.#batch.push({
      timeNs,
      latencyNs,
      kind: this.#forwarder.engine.kinds[kind]!,
      clientAddress: formatAddress(family, src0, src1, src2, src3),
      clientPort: srcPort,
      vip,
      backend,
    });
  }

  #handOnSamples(): void {
    if (this.#batch.length === 0) return;
    const samples = this.#batch;
    this.#batch = [];
    for (const listener of this.#listeners) listener(samples);
  }
}
