import { effectiveCapabilities } from '../datapath/xdp/capabilities.ts';
import { InbandError } from '../errors.ts';
import {
  addressCommand,
  type BackendPlan,
  type LoopbackAddress,
  type Setting,
  settingCommand,
} from './backend-plan.ts';
import { commandLine, runCommand } from './command.ts';
import { readNumber, readText } from './read.ts';

/** One thing that a backend needs, after it was seen to. */
export interface Step {
  /** The setting or the address. */
  readonly what: string;
  readonly state: 'already' | 'done';
  /** What was read back. */
  readonly found: string;
}

/** Addresses by the interface that has them, as `10.0.0.1/32`. */
type Held = readonly { readonly prefix: string; readonly interface: string }[];

/**
 * Sets up this machine as a backend and reads back that it is one. Doing it again changes nothing.
 * @throws InbandError `PERMISSION`; `ENVIRONMENT` when the vip is on an interface where ARP is answered for it, a
 *   command fails, or the kernel does not keep what it was told.
 */
export function applyPlan(plan: BackendPlan): Step[] {
  requireRights();
  const held = heldAddresses();
  for (const address of plan.addresses) requireHidden(address, held);
  // An address of an interface that is down is not accepted.
  if (plan.addresses.length > 0) execute(['ip', 'link', 'set', 'dev', 'lo', 'up']);
  return [
    ...plan.settings.map(applySetting),
    ...plan.addresses.map((address) => applyAddress(address, held)),
  ];
}

function requireRights(): void {
  if (process.platform !== 'linux') {
    throw new InbandError('ENVIRONMENT', `--apply needs Linux, this is ${process.platform}`, {
      hint: 'without it the commands are printed',
    });
  }
  if (effectiveCapabilities(readText('/proc/self/status') ?? '').has('CAP_NET_ADMIN')) return;
  throw new InbandError('PERMISSION', '--apply needs CAP_NET_ADMIN', {
    hint: 'run the same command with sudo; without --apply the commands are printed',
  });
}

const fail = (message: string, hint: string): InbandError =>
  new InbandError('ENVIRONMENT', message, { hint });

function execute(argv: readonly string[]): string {
  const result = runCommand(argv);
  if ('output' in result) return result.output;
  throw fail(
    `${commandLine(argv)}: ${result.problem}`,
    'what was done before stays; mend this and run it again',
  );
}

function heldAddresses(): Held {
  type Listed = { ifname: string; addr_info: { local?: string; prefixlen: number }[] };
  const interfaces = JSON.parse(execute(['ip', '-json', 'address', 'show'])) as Listed[];
  return interfaces.flatMap(({ ifname, addr_info }) =>
    addr_info.map(({ local, prefixlen }) => ({ prefix: `${local}/${prefixlen}`, interface: ifname })),
  );
}

const hostOf = (prefix: string): string => prefix.replace(/\/.*/, '');

/** The settings keep the kernel quiet about addresses of the loopback interface only. */
function requireHidden({ prefix }: LoopbackAddress, held: Held): void {
  const open = held.find((entry) => hostOf(entry.prefix) === hostOf(prefix) && entry.interface !== 'lo');
  if (!open) return;
  const remove = commandLine(['ip', 'address', 'del', open.prefix, 'dev', open.interface]);
  throw fail(
    `${hostOf(prefix)} is on ${open.interface}, where this machine answers ARP for it`,
    `if this is a backend, remove it there: ${remove}; the load balancer needs no backend-setup`,
  );
}

function applySetting(setting: Setting): Step {
  const { name, value, alsoFine } = setting;
  const path = `/proc/sys/${name.replaceAll('.', '/')}`;
  const isRight = (found: number | undefined) =>
    found === value || (found !== undefined && alsoFine.includes(found));
  const before = readNumber(path);
  if (isRight(before)) return { what: name, state: 'already', found: String(before) };
  execute(settingCommand(setting));
  const found = readNumber(path);
  if (isRight(found)) return { what: name, state: 'done', found: String(found) };
  throw fail(
    `${name} is ${found ?? 'not there'} after it was set to ${value}`,
    'something else sets it: see /etc/sysctl.d',
  );
}

function applyAddress(address: LoopbackAddress, held: Held): Step {
  const { prefix } = address;
  const isThere = (list: Held) => list.some((entry) => entry.prefix === prefix && entry.interface === 'lo');
  if (isThere(held)) return { what: prefix, state: 'already', found: 'on lo' };
  execute(addressCommand(address));
  if (isThere(heldAddresses())) return { what: prefix, state: 'done', found: 'on lo' };
  throw fail(`${prefix} is not on lo after it was added`, 'look at it: ip address show dev lo');
}
