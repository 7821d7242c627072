import { addon, type SenderHandle } from './addon.ts';
import { native } from './native-error.ts';

/** Shortest and longest frame: an Ethernet header, and what any packet can have behind it. */
const frameBytesMin = 14;
const frameBytesMax = frameBytesMin + 65_535;

/** Sends whole Ethernet frames by any interface, past the kernel's own stack (AF_PACKET). */
export class FrameSender {
  readonly #handle: SenderHandle;

  private constructor(handle: SenderHandle) {
    this.#handle = handle;
  }

  /** @throws InbandError `PERMISSION` without CAP_NET_RAW */
  static open(): FrameSender {
    return new FrameSender(native('packet socket', () => addon().packetOpen()));
  }

  /**
   * Sends a frame, Ethernet header included; what leaves does not come back through XDP. False while the interface cannot
   * send: it is down, gone, or its queue is full.
   * @throws InbandError `BPF_FAILED` for a frame that the interface never takes (EMSGSIZE: longer than its MTU)
   */
  send(ifindex: number, frame: Uint8Array): boolean {
    if (frame.length < frameBytesMin || frame.length > frameBytesMax)
      throw new RangeError(`a frame of ${frame.length} bytes`);
    return native(`interface ${ifindex}`, () => addon().packetSend(this.#handle, ifindex, frame));
  }

  close(): void {
    addon().close(this.#handle);
  }
}
