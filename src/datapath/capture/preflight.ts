import { readFileSync } from 'node:fs';
import { InbandError } from '../../errors.ts';
import { type Address, type Endpoint, formatAddress } from '../../net/address.ts';
import { addon } from '../xdp/addon.ts';
import { native } from '../xdp/native-error.ts';
import { addresses, interfaces } from '../xdp/neighbours.ts';
import { capAsserts, rebuildCommand } from './packages.ts';

/** Bits of the addon's `offloads`. */
const offloadBits = { gro: 1, lro: 2, tso: 4, gso: 8 } as const;
export type Offload = keyof typeof offloadBits;

/** What decides whether, and how well, packets can be captured and sent on. */
export interface CaptureFacts {
  readonly interface: string;
  /** Addresses of vips that this machine has, with the prefix and interface of each. */
  readonly held: readonly {
    readonly address: string;
    readonly prefixLength: number;
    readonly interface: string;
  }[];
  /** Families of vips whose packets the kernel would route, too. */
  readonly forwarded: readonly (4 | 6)[];
  /** Offloads that are on. */
  readonly offloads: readonly Offload[];
  /** Whether `cap` ends the process when the interface goes down. */
  readonly asserts: boolean;
}

/** One thing that is wrong, with the command that mends it. */
export interface CaptureFinding {
  /** Stable: programs look for it. */
  readonly name: 'vip-address' | 'ip-forward' | 'receive-offload' | 'capture-ring' | 'cap-build';
  /** Whether the datapath must not start like this; else it runs, not as well as it could. */
  readonly refused: boolean;
  readonly found: string;
  readonly why: string;
  readonly fix: string;
}

const textOf = ({ family, words }: Address): string => formatAddress(family, ...words);

/** Reads what there is to know; changes nothing. */
export function captureFacts(interfaceName: string, vips: readonly Endpoint[]): CaptureFacts {
  const names = new Map(interfaces().map(({ index, name }) => [index, name]));
  const wanted = new Set(vips.map(({ address }) => textOf(address)));
  const families = [...new Set(vips.map(({ address }) => address.family))];
  const bits = native('offloads', () => addon().offloads(interfaceName));
  return {
    interface: interfaceName,
    held: addresses()
      .filter(({ address }) => wanted.has(textOf(address)))
      .map(({ address, prefixLength, ifindex }) => ({
        address: textOf(address),
        prefixLength,
        interface: names.get(ifindex) ?? String(ifindex),
      })),
    forwarded: families.filter((family) => isForwarding(interfaceName, family)),
    offloads: (Object.keys(offloadBits) as Offload[]).filter((name) => (bits & offloadBits[name]) !== 0),
    asserts: capAsserts(),
  };
}

function isForwarding(interfaceName: string, family: 4 | 6): boolean {
  try {
    return readFileSync(`/proc/sys/net/ipv${family}/conf/${interfaceName}/forwarding`, 'utf8').trim() === '1';
  } catch {
    return false;
  }
}

const isOn = (names: readonly Offload[]): string =>
  `${names.map((name) => name.toUpperCase()).join(' and ')} ${names.length > 1 ? 'are' : 'is'} on`;

/** What is wrong, the worst first. */
export function captureFindings(facts: CaptureFacts): CaptureFinding[] {
  const merging = facts.offloads.filter((name) => name === 'gro' || name === 'lro');
  const sending = facts.offloads.filter((name) => name === 'tso' || name === 'gso');
  const turnOff = (names: readonly Offload[]) =>
    `ethtool -K ${facts.interface} ${names.map((name) => `${name} off`).join(' ')}`;
  return [
    ...facts.held.map(
      ({ address, prefixLength, interface: holder }): CaptureFinding => ({
        name: 'vip-address',
        refused: true,
        found: `${address} is an address of ${holder}`,
        why: 'the kernel would answer clients itself, with resets; --answer-arp answers ARP instead',
        fix: `ip address del ${address}/${prefixLength} dev ${holder}`,
      }),
    ),
    ...facts.forwarded.map(
      (family): CaptureFinding => ({
        name: 'ip-forward',
        refused: true,
        found: `IPv${family} forwarding is on`,
        why: 'the kernel would forward the same packets once more',
        fix: `sysctl -w net.ipv${family}.conf.${facts.interface}.forwarding=0`,
      }),
    ),
    ...(merging.length > 0
      ? [
          {
            name: 'receive-offload',
            refused: true,
            found: isOn(merging),
            why: 'packets that are merged on arrival are too large to be sent on',
            fix: turnOff(merging),
          } as const,
        ]
      : []),
    ...(sending.length > 0
      ? [
          {
            name: 'capture-ring',
            refused: false,
            found: isOn(sending),
            why: 'libpcap then makes each place of its ring 64 KiB large, and a burst finds room for few frames',
            fix: turnOff(sending),
          } as const,
        ]
      : []),
    ...(facts.asserts
      ? [
          {
            name: 'cap-build',
            refused: false,
            found: 'the package cap was built with assertions',
            why: 'one of them ends the process when the interface goes down',
            fix: rebuildCommand,
          } as const,
        ]
      : []),
  ];
}

/**
 * Looks whether packets can be captured and sent on.
 * @returns what makes it run worse than it could
 * @throws InbandError `ENVIRONMENT` with the command that helps, for the first thing in the way
 */
export function checkCapture(interfaceName: string, vips: readonly Endpoint[]): CaptureFinding[] {
  const findings = captureFindings(captureFacts(interfaceName, vips));
  const refusal = findings.find(({ refused }) => refused);
  if (!refusal) return findings;
  throw new InbandError('ENVIRONMENT', `capture on ${interfaceName}: ${refusal.found}: ${refusal.why}`, {
    hint: refusal.fix,
  });
}
