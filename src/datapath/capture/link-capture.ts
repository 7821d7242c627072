import { interfaces, type NetInterface, NetworkWatch } from '../xdp/neighbours.ts';
import { captureFilter, filterProgram } from './filter.ts';
import { Session } from './session.ts';

/** Memory of the kernel's ring: some 16,000 frames of an Ethernet MTU, or 500 where offloads make places large. */
const ringBytes = 64 << 20;

/** What a capture takes besides what is for the interface: the options of `filterProgram` without its address. */
export type Wanted = Omit<Parameters<typeof filterProgram>[0], 'mac'>;

/** What is captured, and who gets it. */
export interface CaptureUser {
  readonly buffer: Buffer;
  /** What is to be captured now. */
  wanted(): Wanted;
  /** A frame is at the start of the buffer. */
  onFrame(length: number, isCut: boolean): void;
}

/** The capture on an interface by name, taken up again when that is another one, or was down: no session survives that. */
export class LinkCapture {
  readonly #name: string;
  readonly #user: CaptureUser;
  readonly #watch = new NetworkWatch();
  #session: Session | undefined;
  #link: NetInterface | undefined;
  #outage: string | undefined;
  /** Whether the kernel refused the last try to capture; the next one is when the interface changes, as each costs memory. */
  #isRefused = false;
  #dropped = 0;

  constructor(name: string, user: CaptureUser) {
    this.#name = name;
    this.#user = user;
  }

  /** The interface as it was last seen; undefined before the first look, and when there is none. */
  get link(): NetInterface | undefined {
    return this.#link;
  }

  /** Undefined while nothing is captured. */
  get session(): Session | undefined {
    return this.#session;
  }

  /** Why nothing is captured; undefined while something is. */
  get outage(): string | undefined {
    return this.#outage;
  }

  /** Frames that the rings so far had no room for. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Begins to capture. @throws InbandError what `Session` does */
  start(link: NetInterface): void {
    const { buffer, wanted } = this.#user;
    this.#link = link;
    const session = new Session(
      link,
      captureFilter(link.mac, wanted().answerArp),
      ringBytes,
      buffer,
      (...frame) => this.#user.onFrame(...frame),
    );
    try {
      session.setFilter(this.#program(link));
    } catch (error) {
      session.close();
      throw error;
    }
    this.#session = session;
    this.#outage = undefined;
  }

  /** Takes in what is wanted now. @throws InbandError when the kernel refuses; what was wanted before is captured then */
  filter(): void {
    if (this.#link) this.#session?.setFilter(this.#program(this.#link));
  }

  /** Looks whether the interface is what it was. */
  follow(): void {
    if (this.#session) this.#dropped += this.#session.statistics().dropped;
    const link = interfaces().find(({ name }) => name === this.#name);
    const wasDown = this.#wasDown();
    const isSame = link && this.#link && link.index === this.#link.index && same(link.mac, this.#link.mac);
    if (link?.up && isSame && !wasDown && (this.#session || this.#isRefused)) {
      this.#link = link;
      return;
    }
    this.#session?.close();
    this.#session = undefined;
    this.#outage = link ? `interface ${this.#name} is down` : `interface ${this.#name} is gone`;
    this.#link = link;
    this.#isRefused = false;
    if (!link?.up) return;
    try {
      this.start(link);
    } catch (error) {
      this.#isRefused = true;
      this.#outage = (error as Error).message;
    }
  }

  close(): void {
    this.#session?.close();
    this.#session = undefined;
    this.#watch.close();
  }

  #program({ mac }: NetInterface): Uint8Array {
    return filterProgram({ mac, ...this.#user.wanted() });
  }

  /** Whether the interface was down, or may have been, since the last call. */
  #wasDown(): boolean {
    return this.#watch
      .read()
      .some(
        (change) =>
          change.kind === 'lost' ||
          (change.kind === 'interface' &&
            change.interface.index === this.#link?.index &&
            (change.gone || !change.interface.up)),
      );
  }
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
