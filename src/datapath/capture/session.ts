import { InbandError } from '../../errors.ts';
import { addon, type PacketSocketHandle } from '../xdp/addon.ts';
import { native } from '../xdp/native-error.ts';
import { type CapSession, capConstructor, type RawSocket, rawSockets } from './packages.ts';

/** IPPROTO_RAW: such a socket sends whole packets and receives none. */
const ipProtoRaw = 255;

/**
 * Sessions that were closed or never opened, which must not be collected: a closed one's event handle stays linked in
 * Node's loop, and one that could not be opened crashes when it is closed, as it would be then. They are small, and there
 * is one for each time that an interface came back.
 */
const spent: object[] = [];

/**
 * One capture on one interface. The package keeps neither the buffer nor itself alive: both live as long as this does,
 * and a session that is open as long as the process.
 */
export class Session {
  readonly #cap: CapSession;
  readonly #buffer: Buffer;
  /** What counts drops. */
  readonly #socket: PacketSocketHandle;
  readonly #statistics = new Uint32Array(2);
  #isOpen = true;

  /**
   * Begins to capture. Opening prints a warning of the package's own for an interface without an IPv4 address.
   * @param filter what libpcap compiles; whatever replaces it may let pass less only
   * @param onFrame called for each frame, which is at the start of `buffer`, with its length and whether it was cut
   * @throws InbandError `PERMISSION` or `ENVIRONMENT`
   */
  constructor(
    target: { readonly name: string; readonly index: number },
    filter: string,
    ringBytes: number,
    buffer: Buffer,
    onFrame: (length: number, isCut: boolean) => void,
  ) {
    const Cap = capConstructor();
    class Listener extends Cap {
      /** What the package calls; there is no event but `packet`. */
      emit(_event: 'packet', length: number, isCut: boolean): void {
        onFrame(length, isCut);
      }
    }
    this.#buffer = buffer;
    this.#cap = new Listener();
    const link = this.#open(target.name, filter, ringBytes);
    open.add(this);
    this.#socket = native('packet socket', () => addon().packetSocket(target.index));
    if (link === 'ETHERNET') return;
    this.close();
    throw failure(target.name, new Error(`it is not Ethernet (${link})`));
  }

  /**
   * Takes another filter, as `filterProgram` makes it: every frame meets the one before or this one.
   * @throws InbandError when the kernel refuses; the filter is the one before then
   */
  setFilter(program: Uint8Array): void {
    native('packet filter', () => addon().packetFilter(this.#socket, program));
  }

  /** Sends the first `length` bytes of a frame, by default of that in the buffer. @throws Error when the kernel refuses */
  send(length: number, frame = this.#buffer): void {
    this.#cap.send(frame, length);
  }

  /** Frames that the filter let pass since the last call, and those of them for which the ring had no room. */
  statistics(): { accepted: number; dropped: number } {
    native('packet statistics', () => addon().packetStatistics(this.#socket, this.#statistics));
    return { accepted: this.#statistics[0]!, dropped: this.#statistics[1]! };
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    open.delete(this);
    this.#cap.close();
    spent.push(this.#cap);
  }

  /** The kind of link. */
  #open(name: string, filter: string, ringBytes: number): string {
    try {
      return this.#cap.open(name, filter, ringBytes, this.#buffer);
    } catch (cause) {
      spent.push(this.#cap);
      throw failure(name, cause as Error);
    }
  }
}

/** Keeps sessions, and with them the buffers that the package writes to. */
const open = new Set<Session>();

function failure(name: string, { message }: Error): InbandError {
  if (/not permitted|permission/i.test(message)) {
    return new InbandError('PERMISSION', `capture on ${name}: not permitted`, {
      hint: 'run as root, or give node CAP_NET_RAW: setcap cap_net_raw+ep "$(readlink -f "$(which node)")"',
    });
  }
  return new InbandError('ENVIRONMENT', `capture on ${name}: ${message}`, { hint: 'ip -brief link' });
}

const noop = () => {};

/** Sends whole IPv4 packets, which the kernel routes. The socket dies with the object, so the object is kept. */
export class PacketSocket {
  readonly #socket: RawSocket;

  /** @throws InbandError `PERMISSION`, or `ENVIRONMENT` without the package */
  constructor() {
    const { createSocket, AddressFamily, SocketLevel, SocketOption } = rawSockets();
    try {
      this.#socket = createSocket({ protocol: ipProtoRaw, addressFamily: AddressFamily.IPv4 });
    } catch (cause) {
      throw failure('a raw socket', cause as Error);
    }
    this.#socket.on('error', noop);
    this.#socket.pauseRecv();
    this.#socket.setOption(SocketLevel.IPPROTO_IP, SocketOption.IP_HDRINCL, 1);
    sockets.add(this);
  }

  /** @throws Error when the kernel refuses */
  send(memory: Buffer, at: number, length: number, destination: string): void {
    this.#socket.wrap.send(memory, at, length, destination, noop);
  }

  close(): void {
    if (sockets.delete(this)) this.#socket.close();
  }
}

const sockets = new Set<PacketSocket>();
