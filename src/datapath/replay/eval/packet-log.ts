/** Bytes kept of each packet: headers, and the beginning of the payload. */
const bytesPerPacket = 160;

/** The packets of one capture as they were captured, in memory that threads can share. */
export interface LoggedPackets {
  readonly count: number;
  readonly frames: Uint8Array;
  /** Where each packet begins in `frames`. */
  readonly at: Int32Array;
  readonly capturedLength: Int32Array;
  readonly wireLength: Int32Array;
  readonly linkType: Int32Array;
  readonly vip: Int32Array;
  readonly timeNs: Float64Array;
}

/** The first client packets of a capture, to measure with. */
export class PacketLog implements LoggedPackets {
  count = 0;
  readonly frames: Uint8Array;
  readonly at: Int32Array;
  readonly capturedLength: Int32Array;
  readonly wireLength: Int32Array;
  readonly linkType: Int32Array;
  readonly vip: Int32Array;
  readonly timeNs: Float64Array;

  /** @param capacity packets that it takes */
  constructor(capacity: number) {
    const shared = (bytes: number) => new SharedArrayBuffer(bytes * capacity);
    this.frames = new Uint8Array(shared(bytesPerPacket));
    this.at = new Int32Array(shared(4));
    this.capturedLength = new Int32Array(shared(4));
    this.wireLength = new Int32Array(shared(4));
    this.linkType = new Int32Array(shared(4));
    this.vip = new Int32Array(shared(4));
    this.timeNs = new Float64Array(shared(8));
  }

  /** Takes a packet, if there is room. */
  add(frame: Uint8Array, wireLength: number, linkType: number, timeNs: number, vip: number): void {
    if (this.count === this.at.length) return;
    const i = this.count++;
    const captured = Math.min(frame.length, bytesPerPacket);
    this.at[i] = i * bytesPerPacket;
    this.frames.set(frame.subarray(0, captured), i * bytesPerPacket);
    this.capturedLength[i] = captured;
    this.wireLength[i] = wireLength;
    this.linkType[i] = linkType;
    this.vip[i] = vip;
    this.timeNs[i] = timeNs;
  }
}
