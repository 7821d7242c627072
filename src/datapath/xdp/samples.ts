import { inbandSample } from '../../generated/layout.ts';
import { type Ns, ns } from '../../units.ts';
import type { RingReader } from './native.ts';

/** A sample as the program hands it on; kind, vip and backend by number. */
export interface XdpSample {
  /** Time of the packet that completed it, in ns on the monotonic clock. */
  readonly timeNs: Ns;
  readonly latencyNs: number;
  /** One of the program's `kinds`. */
  readonly kind: number;
  /** IPv4 address of the client, signed as in `Packet`. */
  readonly clientAddress: number;
  readonly clientPort: number;
  readonly vip: number;
  readonly backend: number;
}

/** What the ring puts before each record: its size, and 4 zero bytes. */
const headBytes = 8;
const recordBytes = headBytes + inbandSample.size;
/** Records moved at once. */
const batch = 4096;

/** Reads samples in bulk. */
export class SampleReader {
  readonly #ring: RingReader;
  readonly #bytes = new Uint8Array(batch * recordBytes);
  readonly #view = new DataView(this.#bytes.buffer);

  constructor(ring: RingReader) {
    this.#ring = ring;
  }

  /** The samples since the last call, oldest first, at most 4096 of them: call again while there are as many. */
  drain(): XdpSample[] {
    const used = this.#ring.drain(this.#bytes);
    const samples: XdpSample[] = [];
    for (let at = headBytes; at < used; at += recordBytes) samples.push(this.#decode(at));
    return samples;
  }

  close(): void {
    this.#ring.close();
  }

  #decode(at: number): XdpSample {
    const { timeNs, latencyNs, clientAddrBe, clientPortBe, vip, backend, kind } = inbandSample.fields;
    const view = this.#view;
    const u64 = (offset: number) => Number(view.getBigUint64(at + offset, true));
    return {
      timeNs: ns(u64(timeNs.offset)),
      latencyNs: Number(view.getBigInt64(at + latencyNs.offset, true)),
      kind: view.getUint8(at + kind.offset),
      clientAddress: view.getInt32(at + clientAddrBe.offset),
      clientPort: view.getUint16(at + clientPortBe.offset),
      vip: view.getUint16(at + vip.offset, true),
      backend: view.getUint16(at + backend.offset, true),
    };
  }
}
