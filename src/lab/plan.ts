import ipaddr from 'ipaddr.js';
import { InbandError } from '../errors.ts';

/** Limits of a lab. Addresses, names and interface indexes are laid out for them. */
export const labLimits = {
  servers: 64,
  clients: 16,
  /** Both kinds of delay; frames that wait longer than this would fill the delay line's ring. */
  delayUs: 1_000_000,
} as const;

/** The port on which the servers answer memcached's protocol. */
export const serverPort = 11211;

/** What a lab is made of. */
export interface LabOptions {
  /** Servers behind the vip, 1 to 64. */
  servers: number;
  /** Clients, 1 to 16. */
  clients: number;
  /** How names of namespaces begin: a letter, then at most 7 letters, digits or hyphens. */
  prefix: string;
  /** An address of 10.77.0.0/24 that no host has. Every server has it on its loopback interface. */
  vip: string;
  /**
   * Who answers ARP for the vip: nobody, clients then have a static neighbour entry that points to the load balancer;
   * or the kernel of the load balancer, which must be one that takes packets before the kernel does (XDP), as the
   * kernel would reset connections.
   */
  vipArp: 'static' | 'lb';
  /** Whether the path to each server has a delay line. It adds 3 us at a delay of 0. */
  delayLines: boolean;
  /** Delay of the path to each server in us at the start; needs delay lines. */
  delayUs: number;
  /** What the servers run; `auto` is memcached when it is installed, else the built-in key-value server. */
  application: 'auto' | 'memcached' | 'kv' | 'none';
  /** Time in us that a server takes for each command, one after the other; makes the application `kv`. */
  processingDelayUs: number | undefined;
}

export const labDefaults: LabOptions = {
  servers: 2,
  clients: 1,
  prefix: 'inb-',
  vip: '10.77.0.100',
  vipArp: 'static',
  delayLines: true,
  delayUs: 0,
  application: 'auto',
  processingDelayUs: undefined,
};

/** A host of the lab: one namespace, reachable through `interface`, which is plugged into `port` of the switch. */
export interface Host {
  role: 'lb' | 'client' | 'server';
  name: string;
  netns: string;
  interface: string;
  ifindex: number;
  mac: string;
  address: string;
  /** The other end of its cable, in the namespace of the switch. */
  port: string;
  portIfindex: number;
}

/** Everything about a lab that follows from its identifier and options. */
export interface Plan {
  id: string;
  options: LabOptions;
  switch: string;
  lb: Host;
  clients: Host[];
  servers: Host[];
}

const applications: readonly LabOptions['application'][] = ['auto', 'memcached', 'kv', 'none'];
const roleNumbers = { lb: 0, client: 1, server: 2 } as const;
/** The last byte of the address of a role's first host. */
const firstAddress = { lb: 2, client: 201, server: 11 } as const;

function host(id: string, role: Host['role'], number: number): Host {
  const name = role === 'lb' ? 'lb' : `${role === 'client' ? 'c' : 's'}${number}`;
  return {
    role,
    name,
    netns: `${id}-${name}`,
    interface: 'eth0',
    ifindex: 2,
    mac: `02:77:00:0${roleNumbers[role]}:00:${number.toString(16).padStart(2, '0')}`,
    address: `10.77.0.${firstAddress[role] + number - 1}`,
    port: name,
    portIfindex: 100 + roleNumbers[role] * 100 + number,
  };
}

const hosts = (id: string, role: Host['role'], count: number): Host[] =>
  Array.from({ length: count }, (_, index) => host(id, role, index + 1));

function requireInteger(value: number, what: string, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new InbandError('USAGE', `lab: ${what} is ${value}`, {
    hint: `give an integer from ${min} to ${max}`,
  });
}

function requireVip(vip: string, taken: readonly Host[]): void {
  const isFree =
    ipaddr.IPv4.isValidFourPartDecimal(vip) &&
    /^10\.77\.0\.([1-9]\d*)$/.test(vip) &&
    vip !== '10.77.0.255' &&
    !taken.some((host) => host.address === vip);
  if (isFree) return;
  throw new InbandError('USAGE', `lab: the vip '${vip}' is not a free address of 10.77.0.0/24`, {
    hint: 'leave it out for 10.77.0.100',
  });
}

/** Checks the options. @throws InbandError `USAGE` naming the one that is wrong. */
export function planLab(id: string, options: LabOptions): Plan {
  requireInteger(options.servers, 'the number of servers', 1, labLimits.servers);
  requireInteger(options.clients, 'the number of clients', 1, labLimits.clients);
  requireInteger(options.delayUs, 'the delay in us', 0, labLimits.delayUs);
  requireInteger(options.processingDelayUs ?? 0, 'the processing delay in us', 0, labLimits.delayUs);
  if (!/^[a-z][a-z0-9-]{0,7}$/.test(options.prefix)) {
    throw new InbandError('USAGE', `lab: the prefix '${options.prefix}' cannot begin a namespace's name`, {
      hint: 'give a letter, then at most 7 letters, digits or hyphens',
    });
  }
  if (!applications.includes(options.application)) {
    throw new InbandError('USAGE', `lab: there is no application '${options.application}'`, {
      hint: `give one of ${applications.join(', ')}`,
    });
  }
  if (options.delayUs > 0 && !options.delayLines) {
    throw new InbandError('USAGE', 'lab: a delay needs delay lines', { hint: 'leave delayLines on' });
  }
  if (options.processingDelayUs !== undefined && !['auto', 'kv'].includes(options.application)) {
    throw new InbandError('USAGE', `lab: ${options.application} has no processing delay`, {
      hint: 'leave the application out, or make it kv',
    });
  }
  const lb = host(id, 'lb', 1);
  const clients = hosts(id, 'client', options.clients);
  const servers = hosts(id, 'server', options.servers);
  requireVip(options.vip, [lb, ...clients, ...servers]);
  return { id, options, switch: `${id}-switch`, lb, clients, servers };
}
