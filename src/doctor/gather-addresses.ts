import { setTimeout as sleep } from 'node:timers/promises';
import {
  addresses,
  type InterfaceAddress,
  type NetInterface,
  neighbour,
  resolve,
  routeTo,
} from '../datapath/xdp/neighbours.ts';
import { type Address, type Endpoint, formatAddress } from '../net/address.ts';
import type { BackendFacts, Facts, VipFacts } from './facts.ts';
import { problemOf, readNumber } from './read.ts';

/** A neighbour in the same segment answers in well under a millisecond; a machine that wakes up takes longer. */
const answerMsMax = 1000;
const pollMs = 20;

const textOf = ({ family, words }: Address): string => formatAddress(family, ...words);
const macText = (mac: Uint8Array): string =>
  [...mac].map((byte) => byte.toString(16).padStart(2, '0')).join(':');

/** What there is to know of vips and backends; asks all neighbours at the same time. */
export async function addressFacts(
  vips: readonly Endpoint[],
  backends: readonly Address[],
  interfaceName: string | undefined,
  all: readonly NetInterface[],
): Promise<Pick<Facts, 'vips' | 'backends'>> {
  const own = addresses();
  const [vipFacts, backendFacts] = await Promise.all([
    Promise.all(vips.map((vip) => vipFactsOf(vip, own, interfaceName, all))),
    Promise.all(backends.map((backend) => backendFactsOf(backend, all))),
  ]);
  return { vips: vipFacts, backends: backendFacts };
}

const nameOf = (all: readonly NetInterface[], ifindex: number): string =>
  all.find(({ index }) => index === ifindex)?.name ?? `interface ${ifindex}`;

async function vipFactsOf(
  vip: Endpoint,
  own: readonly InterfaceAddress[],
  interfaceName: string | undefined,
  all: readonly NetInterface[],
): Promise<VipFacts> {
  const { address } = vip;
  const holders = own.filter((held) => textOf(held.address) === textOf(address));
  const settings = ['all', ...(interfaceName === undefined ? [] : [interfaceName])];
  const ignore = settings.map((name) => readNumber(`/proc/sys/net/ipv4/conf/${name}/arp_ignore`) ?? 0);
  const arrival = all.find(({ name }) => name === interfaceName);
  return {
    vip,
    heldBy: [...new Set(holders.map(({ ifindex }) => nameOf(all, ifindex)))],
    // The kernel takes the larger one of what is set for all interfaces and for this one.
    arpIgnore: interfaceName === undefined ? 0 : Math.max(...ignore),
    answeredBy: holders.length === 0 && arrival ? await answererOf(address, arrival) : undefined,
  };
}

/** The link address of another machine in the segment of an interface that has an address. */
async function answererOf(address: Address, { index }: NetInterface): Promise<string | undefined> {
  const route = routeTo(address);
  if (route?.ifindex !== index || route.gateway || !route.unicast) return undefined;
  const { entry } = await ask(index, address);
  const isLearned = entry && entry.state !== 'permanent' && entry.state !== 'noarp';
  return isLearned && entry.mac ? macText(entry.mac) : undefined;
}

/** Has the kernel ask for a neighbour and waits for the answer; `asked` is whether it could be told to. */
async function ask(ifindex: number, address: Address) {
  const asked = problemOf(() => resolve(ifindex, address)) === undefined;
  const deadlineMs = performance.now() + answerMsMax;
  let entry = neighbour(ifindex, address);
  while (asked && !entry?.mac && entry?.state !== 'failed' && performance.now() < deadlineMs) {
    await sleep(pollMs);
    entry = neighbour(ifindex, address);
  }
  return { asked, entry };
}

async function backendFactsOf(address: Address, all: readonly NetInterface[]): Promise<BackendFacts> {
  const route = routeTo(address);
  if (!route) return { address, route: undefined, neighbour: undefined, asked: false };
  const isOnLink = route.unicast && !route.gateway;
  const { asked, entry } = isOnLink ? await ask(route.ifindex, address) : { asked: false, entry: undefined };
  return {
    address,
    route: {
      interface: nameOf(all, route.ifindex),
      gateway: route.gateway && textOf(route.gateway),
      unicast: route.unicast,
    },
    neighbour: entry && { state: entry.state, mac: entry.mac && macText(entry.mac) },
    asked,
  };
}
