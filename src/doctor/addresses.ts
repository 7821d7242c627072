import { type Address, formatAddress, formatEndpoint } from '../net/address.ts';
import type { Check } from './check.ts';
import { commandLine } from './command.ts';
import type { BackendFacts, VipFacts } from './facts.ts';

const textOf = ({ family, words }: Address): string => formatAddress(family, ...words);

/** The address with the length of a prefix that holds nothing else. */
const hostPrefix = (address: Address): string => `${textOf(address)}/${address.family === 4 ? 32 : 128}`;

/** What is said of an address that the xdp datapath, which parses no IPv6, cannot serve. */
const wrongFamily: Check = {
  name: 'family',
  state: 'failed',
  found: 'IPv6',
  why: 'the xdp datapath forwards IPv4 only',
};

/** Whether the kernel answers ARP for an address that it has on those interfaces (Documentation/networking/ip-sysctl). */
function isAnswered({ heldBy, arpIgnore }: VipFacts, interfaceName: string | undefined): boolean {
  if (arpIgnore === 0 || interfaceName === undefined) return heldBy.length > 0;
  return arpIgnore === 1 && heldBy.includes(interfaceName);
}

function arp(facts: VipFacts, interfaceName: string | undefined): Check {
  const name = 'arp';
  const { vip, heldBy, answeredBy, arpIgnore } = facts;
  const why = 'clients and routers have to find the vip at the load balancer';
  if (isAnswered(facts, interfaceName)) {
    return { name, state: 'ok', found: `answered here: it is on ${heldBy.join(', ')}`, why };
  }
  if (answeredBy !== undefined) {
    return {
      name,
      state: 'warning',
      found: `answered by another machine, ${answeredBy}`,
      why: `${why}; if that is a server, run this on it`,
      fix: commandLine(['inband', 'backend-setup', '--vip', formatEndpoint(vip), '--apply']),
    };
  }
  const found =
    heldBy.length > 0 ? `on ${heldBy.join(', ')}, silent by arp_ignore=${arpIgnore}` : 'not answered here';
  const add = ['ip', 'address', 'add', hostPrefix(vip.address), 'dev', interfaceName ?? 'lo'];
  return {
    name,
    state: 'warning',
    found,
    why: `${why}, unless a route or a static neighbour entry leads them there`,
    fix: commandLine(add),
  };
}

/** Whether clients find a vip here; `interfaceName` is where its packets are to arrive, if that is known. */
export const vipChecks = (facts: VipFacts, interfaceName: string | undefined): Check[] => [
  facts.vip.address.family === 4 ? arp(facts, interfaceName) : wrongFamily,
];

function route({ address, route: found }: BackendFacts, interfaceName: string | undefined): Check {
  const name = 'route';
  const why = 'layer-2 DSR reaches backends in the same Ethernet segment, without a router in between';
  const advice = {
    why: `${why}; if it is in the segment, say so to the kernel`,
    fix: commandLine([
      'ip',
      'route',
      'add',
      hostPrefix(address),
      'dev',
      interfaceName ?? found?.interface ?? 'eth0',
    ]),
  };
  if (!found) return { name, state: 'failed', found: 'none', ...advice };
  if (!found.unicast) return { name, state: 'failed', found: 'no address of another machine', why };
  if (found.gateway !== undefined)
    return { name, state: 'failed', found: `through the gateway ${found.gateway}`, ...advice };
  const where =
    interfaceName === undefined || found.interface === interfaceName
      ? ''
      : ', to which frames are redirected';
  return { name, state: 'ok', found: `on the segment of ${found.interface}${where}`, why };
}

function neighbour({ address, neighbour: entry, asked }: BackendFacts): Check {
  const name = 'neighbour';
  const why = 'frames are sent to the MAC address of the backend';
  if (entry?.mac !== undefined) return { name, state: 'ok', found: `${entry.mac} (${entry.state})`, why };
  const fix = commandLine(['ping', '-c', '3', textOf(address)]);
  if (!asked) {
    return { name, state: 'unknown', found: 'not known, and asking needs CAP_NET_ADMIN', why, fix };
  }
  return {
    name,
    state: 'failed',
    found: 'no answer to ARP',
    why: `${why}; is it up, and in this segment?`,
    fix,
  };
}

/** Whether a backend can be reached as the datapath does it. */
export function backendChecks(facts: BackendFacts, interfaceName: string | undefined): Check[] {
  if (facts.address.family !== 4) return [wrongFamily];
  const path = route(facts, interfaceName);
  return path.state === 'ok' ? [path, neighbour(facts)] : [path];
}
