import { inbandProbe } from '../../generated/layout.ts';
import type { RingReader } from './native.ts';

/** What the ring puts before each record: its size, and 4 zero bytes. */
const headBytes = 8;
const recordBytes = headBytes + inbandProbe.size;
/** Records moved at once. */
const batch = 64;

/** Reads answers to probes. */
export class ProbeReader {
  readonly #ring: RingReader;
  readonly #bytes = new Uint8Array(batch * recordBytes);
  readonly #view = new DataView(this.#bytes.buffer);

  constructor(ring: RingReader) {
    this.#ring = ring;
  }

  /** Calls for each answer since the last time, oldest first; from its IP header on, and valid during the call. */
  drain(listener: (packet: Uint8Array) => void): void {
    const { bytes, packet } = inbandProbe.fields;
    let used: number;
    do {
      used = this.#ring.drain(this.#bytes);
      for (let at = headBytes; at < used; at += recordBytes) {
        const length = this.#view.getUint32(at + bytes.offset, true);
        listener(this.#bytes.subarray(at + packet.offset, at + packet.offset + length));
      }
    } while (used === this.#bytes.length);
  }

  close(): void {
    this.#ring.close();
  }
}
