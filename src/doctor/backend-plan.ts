import { type Address, type Endpoint, formatAddress, formatProto } from '../net/address.ts';
import { commandLine } from './command.ts';

/** A setting that a backend needs. */
export interface Setting {
  readonly name: string;
  readonly value: number;
  /** Other values that do as well. */
  readonly alsoFine: readonly number[];
  readonly why: string;
}

/** An address that a backend needs on its loopback interface. */
export interface LoopbackAddress {
  /** `10.0.0.1/32`. */
  readonly prefix: string;
  readonly family: 4 | 6;
}

/** What a server behind the load balancer needs, in the order in which it has to be done. */
export interface BackendPlan {
  readonly settings: readonly Setting[];
  readonly addresses: readonly LoopbackAddress[];
}

const arpSettings = ['all', 'lo'].flatMap((scope): Setting[] => [
  {
    name: `net.ipv4.conf.${scope}.arp_ignore`,
    value: 1,
    // 2 answers even less, 8 never. 3 would answer: the vip is not of host scope.
    alsoFine: [2, 8],
    why: 'do not answer ARP for an address that is on the loopback interface',
  },
  {
    name: `net.ipv4.conf.${scope}.arp_announce`,
    value: 2,
    alsoFine: [],
    why: 'do not ask by ARP in the name of the vip',
  },
]);

const textOf = ({ family, words }: Address): string => formatAddress(family, ...words);

/** Settings come first: an address that is there before them would be answered for. */
export function planBackend(vips: readonly Endpoint[]): BackendPlan {
  const addresses = new Map(vips.map(({ address }) => [textOf(address), address.family]));
  return {
    settings: [...addresses.values()].includes(4) ? arpSettings : [],
    addresses: [...addresses].map(([text, family]) => ({
      prefix: `${text}/${family === 4 ? 32 : 128}`,
      family,
    })),
  };
}

export const settingCommand = ({ name, value }: Setting): string[] => ['sysctl', '-w', `${name}=${value}`];

export const addressCommand = ({ prefix, family }: LoopbackAddress): string[] =>
  family === 4
    ? ['ip', 'address', 'replace', prefix, 'dev', 'lo']
    : ['ip', '-6', 'address', 'replace', prefix, 'dev', 'lo', 'nodad'];

export const planCommands = ({ settings, addresses }: BackendPlan): string[][] => [
  ...settings.map(settingCommand),
  ...addresses.map(addressCommand),
];

const comment = (lines: readonly string[]): string[] =>
  lines.map((line) => (line === '' ? '#' : `# ${line}`));

/** How to keep it over a restart. */
function persistence({ settings, addresses }: BackendPlan): string[] {
  const sysctl = settings.map(({ name, value }) => `    ${name} = ${value}`);
  return [
    'To keep it over a restart:',
    ...(sysctl.length > 0 ? ['in /etc/sysctl.d/60-inband.conf', ...sysctl] : []),
    'with systemd-networkd, in /etc/systemd/network/60-inband.network',
    '    [Match]',
    '    Name=lo',
    '    [Network]',
    ...addresses.map(({ prefix }) => `    Address=${prefix}`),
    'or with ifupdown, in /etc/network/interfaces below "iface lo inet loopback"',
    ...addresses.map((address) => `    up ${commandLine(addressCommand(address))}`),
  ];
}

function notes(plan: BackendPlan, vips: readonly Endpoint[]): string[] {
  const ports = [...new Set(vips.map(({ port, proto }) => `${port}/${formatProto(proto)}`))];
  return [
    `The server has to listen on the vip or on all addresses, port ${ports.join(', ')}.`,
    'MTU and MSS stay as they are: layer-2 DSR makes no frame larger.',
    ...(plan.addresses.some(({ family }) => family === 6)
      ? ['IPv6 needs no setting: neighbour discovery ignores addresses of lo.']
      : []),
  ];
}

/** A shell script: commands, and the rest as comments, so that all of it can be pasted. */
export function planScript(plan: BackendPlan, vips: readonly Endpoint[]): string {
  const commented = (why: string, argv: readonly string[][]) => [`# ${why}`, ...argv.map(commandLine)];
  const reasons = [...new Set(plan.settings.map(({ why }) => why))];
  return [
    '# On every backend, as root; or there: inband backend-setup ... --apply',
    '',
    ...reasons.flatMap((why) =>
      commented(why, plan.settings.filter((setting) => setting.why === why).map(settingCommand)),
    ),
    ...commented('accept what is for the vip', plan.addresses.map(addressCommand)),
    '',
    ...comment(persistence(plan)),
    '',
    ...comment(notes(plan, vips)),
  ].join('\n');
}
