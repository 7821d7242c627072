import { exitCode } from '../errors.ts';
import { formatAddress, formatEndpoint } from '../net/address.ts';
import { backendChecks, vipChecks } from './addresses.ts';
import type { Check, Section } from './check.ts';
import type { Facts } from './facts.ts';
import { interfaceChecks, xdpOutlook } from './interface.ts';
import { machineChecks } from './machine.ts';

/**
 * `ready`; `generic`: ready, but only in the slower mode; `permission`: only rights are missing; `not-ready`: the
 * machine can run xdp, but not with this interface, vip or backend; `replay-only`: the machine cannot.
 */
export type VerdictState = 'ready' | 'generic' | 'permission' | 'not-ready' | 'replay-only';

export interface Verdict {
  readonly state: VerdictState;
  /** One line for people. */
  readonly text: string;
  readonly exitCode: number;
}

export interface Diagnosis {
  readonly sections: readonly Section[];
  readonly verdict: Verdict;
}

/** All checks of what was asked about, and what follows from them. */
export function diagnose(facts: Facts): Diagnosis {
  const interfaceName = facts.interface?.name;
  const machine = { subject: 'machine', checks: machineChecks(facts.machine) };
  const asked: Section[] = [
    ...(facts.interface
      ? [{ subject: `interface ${facts.interface.name}`, checks: interfaceChecks(facts.interface) }]
      : []),
    ...facts.vips.map((vip) => ({
      subject: `vip ${formatEndpoint(vip.vip)}`,
      checks: vipChecks(vip, interfaceName),
    })),
    ...facts.backends.map((backend) => ({
      subject: `backend ${formatAddress(backend.address.family, ...backend.address.words)}`,
      checks: backendChecks(backend, interfaceName),
    })),
  ];
  return { sections: [machine, ...asked], verdict: judge(facts, machine, asked) };
}

const isFailed = ({ state }: Check): boolean => state === 'failed';
const isMissing = (check: Check): boolean => isFailed(check) && !check.privilege;

function judge(facts: Facts, machine: Section, asked: readonly Section[]): Verdict {
  const unfit = machine.checks.find(isMissing);
  if (unfit) {
    return {
      state: 'replay-only',
      text: `replay only: ${unfit.name}: ${unfit.found}${elsewhere(facts)}`,
      exitCode: exitCode.environment,
    };
  }
  const wrong = asked.flatMap(({ subject, checks }) =>
    checks.filter(isMissing).map(({ name, found }) => `${subject}: ${name}: ${found}`),
  );
  if (wrong.length > 0) {
    const more = wrong.length > 1 ? ` (and ${wrong.length - 1} more)` : '';
    return { state: 'not-ready', text: `not ready: ${wrong[0]}${more}`, exitCode: exitCode.environment };
  }
  if ([machine, ...asked].some(({ checks }) => checks.some(isFailed))) {
    const text = 'not permitted: run it as root to see the rest';
    return { state: 'permission', text, exitCode: exitCode.permission };
  }
  return { ...ready(facts, asked), exitCode: exitCode.ok };
}

/** Where to look next when there is no XDP: what captures needs no BPF. */
const elsewhere = ({ machine: { platform, native } }: Facts): string =>
  platform === 'linux' && native.problem === undefined
    ? '; or capture, see inband doctor --datapath capture'
    : '';

function ready(facts: Facts, asked: readonly Section[]): Pick<Verdict, 'state' | 'text'> {
  if (!facts.interface) {
    const [first] = facts.usableInterfaces;
    const next = first === undefined ? '' : `; next, look at an interface: --interface ${first}`;
    return { state: 'ready', text: `ready: this machine can run xdp${next}` };
  }
  const { name } = facts.interface;
  const outlook = xdpOutlook(facts.interface);
  if (outlook === 'generic') {
    return { state: 'generic', text: `xdp generic only: ${name} does not run it natively` };
  }
  const unknown = asked.flatMap(({ checks }) => checks.filter(({ state }) => state === 'unknown'));
  const names = [...new Set(unknown.map((check) => check.name))];
  const rest = names.length === 0 ? '' : `, as far as can be seen (unknown: ${names.join(', ')})`;
  return { state: 'ready', text: `ready: xdp ${outlook === 'native' ? 'native ' : ''}on ${name}${rest}` };
}
