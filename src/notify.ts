import { addon } from './datapath/xdp/addon.ts';
import { type Ns, ns } from './units.ts';

/** Bytes of sun_path; a path ends with a zero there, a name in the abstract namespace begins with one. */
const pathBytesMax = 107;
/** The watchdog is fed four times as often as it asks for: systemd wants twice, and a tick may be late. */
const feedsPerTimeout = 4;

/** Sends a datagram to a Unix socket, whose name is as `sun_path` holds it; throws when that fails. */
export type SendDatagram = (address: Uint8Array, message: Uint8Array) => void;

/** Tells a service manager about this process, as sd_notify(3) does; says nothing when none asks. */
export interface Notifier {
  /** Whether somebody listens. */
  readonly active: boolean;
  /** Set-up is complete, or a reload, failed or not, is over. */
  ready(status?: string): void;
  /** A reload begins; `ready` ends it. */
  reloading(): void;
  stopping(): void;
  /** One line that `systemctl status` shows. */
  status(text: string): void;
  /** To be called on every tick of the control loop: feeds the watchdog when it is time to, and costs nothing else. */
  watchdog(now: Ns): void;
}

export interface NotifierOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  /** Time on CLOCK_MONOTONIC, which the manager compares with its own. */
  readonly now: () => Ns;
  readonly send: SendDatagram;
}

/**
 * The notifier for the service manager that `NOTIFY_SOCKET` names: systemd, or a container engine that passes it on.
 * `WATCHDOG_USEC` says how often it wants to hear of the control loop, `WATCHDOG_PID` of which process.
 * @param failed told of the first message that could not be sent; nothing is ever thrown
 */
export function makeNotifier(
  failed: (error: unknown) => void,
  options: Partial<NotifierOptions> = {},
): Notifier {
  const {
    environment = process.env,
    pid = process.pid,
    now = () => ns(Number(process.hrtime.bigint())),
    send = (address, message) => addon().datagramSend(address, message),
  } = options;
  const name = environment.NOTIFY_SOCKET;
  if (name === undefined || name === '') return silent;
  const address = addressOf(name);
  let hasFailed = false;
  const tell = (...lines: string[]): void => {
    try {
      if (!address) throw new Error(`NOTIFY_SOCKET: '${name}' is no Unix socket`);
      send(address, Buffer.from(lines.join('\n')));
    } catch (error) {
      if (!hasFailed) failed(error);
      hasFailed = true;
    }
  };
  const periodNs = feedPeriodNs(environment, pid);
  let nextNs = Number.isFinite(periodNs) ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return {
    active: true,
    ready: (status) => tell('READY=1', ...(status === undefined ? [] : [statusLine(status)])),
    reloading: () => tell('RELOADING=1', `MONOTONIC_USEC=${Math.floor(now() / 1000)}`),
    stopping: () => tell('STOPPING=1'),
    status: (text) => tell(statusLine(text)),
    watchdog: (time) => {
      if (time < nextNs) return;
      nextNs = time + periodNs;
      tell('WATCHDOG=1');
    },
  };
}

const silent: Notifier = {
  active: false,
  ready: () => {},
  reloading: () => {},
  stopping: () => {},
  status: () => {},
  watchdog: () => {},
};

/** A message is lines: a text with breaks would be several. */
const statusLine = (text: string): string => `STATUS=${text.replaceAll(/\s+/g, ' ').trim()}`;

/** The name as `sun_path` holds it: a path, or `@` for a zero and a name; undefined for anything else. */
function addressOf(name: string): Uint8Array | undefined {
  const bytes = Buffer.from(name);
  if (!/^[/@]./.test(name) || bytes.length > pathBytesMax) return undefined;
  if (name.startsWith('@')) bytes[0] = 0;
  return bytes;
}

/** Time between two feedings of the watchdog in ns; infinite when nobody wants any from this process. */
function feedPeriodNs(environment: NotifierOptions['environment'], pid: number): number {
  const timeoutUs = Number(environment.WATCHDOG_USEC);
  const wanted = environment.WATCHDOG_PID ?? String(pid);
  if (!(timeoutUs > 0) || wanted !== String(pid)) return Number.POSITIVE_INFINITY;
  return (timeoutUs * 1000) / feedsPerTimeout;
}
