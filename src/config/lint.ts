import ipaddr from 'ipaddr.js';
import { isLoopback, parseListen } from '../admin/listen.ts';
import { backendsMax } from '../datapath/xdp/setup.ts';
import { InbandError } from '../errors.ts';
import { inbandLimit } from '../generated/layout.ts';
import { checkTimeouts, epochDefault, timeoutsDefault } from '../latency/ensemble.ts';
import {
  checkSize,
  backendsMax as poolMax,
  slotsDefault,
  slotsMax,
  slotsPerBackendMin,
} from '../maglev/size.ts';
import { formatAddress, formatEndpoint } from '../net/address.ts';
import { type Ns, parseDuration } from '../units.ts';
import type { CrossCheck } from './document.ts';
import { lintHealth } from './health-lint.ts';
import { formatPath, type Path } from './problems.ts';
import { type RawConfig, type RawPool, rawOf, readRaw } from './raw.ts';
import { writeDuration } from './scalars.ts';
import { suggest } from './similar.ts';

type Report = Parameters<CrossCheck>[1];

/** Slots per backend that keep shares within one percent, as the Maglev paper advises. */
const slotsPerBackendGood = 100;
/** Ranges (of ipaddr.js) of addresses that no server behind a vip has, and what they are. */
const unusable: Readonly<Record<string, string>> = {
  unspecified: 'stands for no machine',
  broadcast: 'is for all machines of a segment',
  multicast: 'is for many machines',
  loopback: 'is this machine itself',
};

/** What the schema of a configuration cannot say: how its parts go together, and what is allowed but hardly meant. */
export const lint: CrossCheck = (value, report) => {
  const config = readRaw(value);
  lintVips(config, report);
  lintPoolNames(config, report);
  for (const pool of config.pools) lintPool(pool, report);
  lintDatapath(config, report);
  lintOwnAddress(config, report);
  lintSlots(config, report);
  lintHealth(config, report);
  lintEnsemble(config, report);
  lintProcess(config, report);
};

const warn = { severity: 'warning' } as const;

function lintVips({ vips }: RawConfig, report: Report): void {
  const seen = new Map<string, Path>();
  for (const { path, endpoint } of vips) {
    if (!endpoint) continue;
    const name = formatEndpoint(endpoint);
    const first = seen.get(name);
    if (first) report([...path, 'address'], `${name} is ${formatPath(first)} already; leave one out`);
    else seen.set(name, path);
    lintAddress(
      formatAddress(endpoint.address.family, ...endpoint.address.words),
      [...path, 'address'],
      report,
    );
  }
}

function lintAddress(address: string, path: Path, report: Report): void {
  const what = unusable[ipaddr.parse(address).range()];
  if (what !== undefined) report(path, `${address} ${what}; give the address of one machine`);
}

function lintPoolNames({ keys, vips }: RawConfig, report: Report): void {
  const names = Object.keys(rawOf(keys.pools));
  for (const { path, pool } of vips) {
    if (typeof pool !== 'string' || names.includes(pool)) continue;
    report([...path, 'pool'], `no pool is named '${pool}'; ${suggest(pool, names)}`);
  }
  const used = new Set(vips.map(({ pool }) => pool));
  const isUnderstood = vips.every(({ pool }) => names.includes(String(pool)) || hasBackends(pool));
  if (vips.length === 0 || !isUnderstood) return;
  for (const name of names) {
    if (!used.has(name)) report(['pools', name], 'no vip uses this pool', { ...warn, key: true });
  }
}

const hasBackends = (pool: unknown): boolean => {
  const { backends } = rawOf(pool);
  return Array.isArray(backends) && backends.length > 0;
};

function lintPool({ path, backends }: RawPool, report: Report): void {
  const seen = new Map<string, Path>();
  for (const backend of backends) {
    const { name } = backend;
    if (name === undefined) continue;
    const first = seen.get(name);
    if (first) {
      report(backend.path, `${name} is ${formatPath(first)} already; leave one out, or give it more weight`);
    } else seen.set(name, backend.path);
    lintAddress(name, backend.path, report);
  }
  if (backends.length === 1) report(path, 'with one backend there is nothing to balance', warn);
}

/** What the chosen datapath cannot do. */
function lintDatapath({ keys, vips, backends }: RawConfig, report: Report): void {
  const { datapath = 'auto', answer_arp } = keys;
  if (datapath === 'xdp' && answer_arp === true) {
    report(['answer_arp'], 'the xdp datapath answers no ARP; leave it out, or take datapath: capture');
  }
  for (const { name, path, encap } of backends) {
    if (encap === 'ipip' && datapath === 'xdp') {
      report(path, 'the xdp datapath has no encap: ipip; leave it out, or take datapath: capture');
    }
    if (encap === 'ipip' && name?.includes(':')) report(path, `encap: ipip carries IPv4; ${name} is not`);
    else if (name?.includes(':') && datapath !== 'capture') report(path, ipv4Only(name));
  }
  for (const { endpoint, path } of vips) {
    if (endpoint?.address.family !== 6 || datapath === 'capture') continue;
    report([...path, 'address'], ipv4Only(formatEndpoint(endpoint)));
  }
}

const ipv4Only = (what: string): string =>
  `${what} is not IPv4, which is all that the xdp datapath forwards; take datapath: capture`;

/** A backend at a vip's address would get its own packets back. */
function lintOwnAddress({ vips, backends }: RawConfig, report: Report): void {
  const taken = new Map(
    vips.flatMap(({ endpoint, path }) =>
      endpoint ? [[formatAddress(endpoint.address.family, ...endpoint.address.words), path]] : [],
    ),
  );
  for (const { name, path } of backends) {
    const vip = name === undefined ? undefined : taken.get(name);
    if (vip) report(path, `${name} is the address of ${formatPath(vip)}; give the server's own`);
  }
}

function lintSlots(config: RawConfig, report: Report): void {
  const { keys, pools } = config;
  const { slots = slotsDefault } = keys;
  const most = Math.max(1, ...pools.map(({ backends }) => Math.min(poolMax, backends.length)));
  if (
    typeof slots === 'number' &&
    Number.isInteger(slots) &&
    slots >= slotsPerBackendMin &&
    slots <= slotsMax
  ) {
    const refusal = refusalOf(() => checkSize(slots, most));
    if (refusal !== undefined) report(['slots'], refusal);
    else if (slots < most * slotsPerBackendGood) {
      report(['slots'], `${slots} slots for ${most} backends make shares coarse; better 100 for each`, warn);
    }
    for (const pool of pools) lintWeights(pool, slots, report);
  }
  const total = backendsOfVips(config);
  if (total > backendsMax) {
    report(['vips'], `the vips have ${total} backends together; at most ${backendsMax}`);
  }
}

function lintWeights({ backends }: RawPool, slots: number, report: Report): void {
  const total = backends.reduce((sum, { weight }) => sum + weight, 0);
  for (const { name, path, weight } of backends) {
    if (name === undefined || (weight / total) * slots >= 1) continue;
    report(path, `of ${slots} slots the weight ${weight} gives it less than one`, warn);
  }
}

/** Backends of all vips, one of two vips counted twice. */
function backendsOfVips({ vips, pools }: RawConfig): number {
  const sizes = new Map(pools.map(({ path, backends }) => [formatPath(path), backends.length]));
  return vips.reduce((sum, { path, pool }) => {
    const at = typeof pool === 'string' ? ['pools', pool] : [...path, 'pool'];
    return sum + (sizes.get(formatPath([...at, 'backends'])) ?? 0);
  }, 0);
}

function lintEnsemble({ keys }: RawConfig, report: Report): void {
  const { timeouts, epoch } = rawOf(keys.ensemble);
  const timeoutsNs = Array.isArray(timeouts) ? timeouts.map(durationOf) : timeoutsDefault;
  if (timeoutsNs.some((timeout) => timeout === undefined)) return;
  const known = timeoutsNs as readonly Ns[];
  const refusal = refusalOf(() => checkTimeouts(known, inbandLimit.timeoutsMax));
  if (refusal !== undefined) {
    report(['ensemble', 'timeouts'], refusal.replace(/^timeouts: /, ''));
    return;
  }
  const epochNs = epoch === undefined ? epochDefault : durationOf(epoch);
  if (epochNs !== undefined && epochNs < known.at(-1)!) {
    const path = epoch === undefined ? ['ensemble', 'timeouts'] : ['ensemble', 'epoch'];
    report(path, `an epoch of ${writeDuration(epochNs)} is shorter than the largest timeout`, warn);
  }
}

function lintProcess({ keys }: RawConfig, report: Report): void {
  const { user, admin } = keys;
  const { socket, http, http_public } = rawOf(admin);
  if (user === 'root') report(['user'], 'root keeps every right; name a user who has none', warn);
  if (typeof socket === 'string' && socket !== '' && !socket.startsWith('/')) {
    report(['admin', 'socket'], 'not an absolute path: it depends on where the daemon is started', warn);
  }
  if (typeof http === 'string' && http_public !== true && isPublic(http)) {
    report(['admin', 'http'], `${http} can be reached by others; give 127.0.0.1, or add http_public: true`);
  }
}

/** An address that is none is told by the schema. */
function isPublic(text: string): boolean {
  try {
    return !isLoopback(parseListen(text, ''));
  } catch {
    return false;
  }
}

function durationOf(text: unknown): Ns | undefined {
  try {
    return typeof text === 'string' ? parseDuration(text, '') : undefined;
  } catch {
    return undefined;
  }
}

/** What a check throws, with its hint; undefined if it is content. */
function refusalOf(check: () => void): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (!(error instanceof InbandError)) throw error;
    return `${error.message}; ${error.hint}`;
  }
}
