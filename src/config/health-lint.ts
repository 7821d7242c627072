import { healthDefault, intervalNsMin, timeoutNsMax } from '../health/settings.ts';
import { formatEndpoint, formatProto } from '../net/address.ts';
import { ipProtoTcp } from '../net/constants.ts';
import { type Ns, parseDuration } from '../units.ts';
import type { CrossCheck } from './document.ts';
import { formatPath, type Path } from './problems.ts';
import { type Raw, type RawConfig, type RawVip, rawOf } from './raw.ts';
import { writeDuration } from './scalars.ts';

type Report = Parameters<CrossCheck>[1];

/** A section and where it is; `health` is empty where there is none. */
interface Section {
  readonly path: Path;
  readonly health: Raw;
}

/** What the schema cannot say about sections `health`: times that go together, and checks that go with their vips. */
export function lintHealth(config: RawConfig, report: Report): void {
  const common: Section = { path: ['health'], health: rawOf(config.keys.health) };
  lintTimes(common, common.health, report);
  for (const section of ownSections(config)) lintTimes(section, common.health, report);
  const told = new Set<string>();
  for (const vip of config.vips) lintCheck(vip, sectionOf(vip, config), common, told, report);
}

/** Those of pools, named or in place. */
function ownSections({ keys, vips }: RawConfig): Section[] {
  const named = Object.entries(rawOf(keys.pools)).map(([name, pool]) => at(['pools', name, 'health'], pool));
  const own = vips.flatMap(({ pool, path }) =>
    typeof pool === 'string' ? [] : [at([...path, 'pool', 'health'], pool)],
  );
  return [...named, ...own].filter(({ health }) => Object.keys(health).length > 0);
}

const at = (path: Path, pool: unknown): Section => ({ path, health: rawOf(rawOf(pool).health) });

function sectionOf({ pool, path }: RawVip, { keys }: RawConfig): Section {
  return typeof pool === 'string'
    ? at(['pools', pool, 'health'], rawOf(keys.pools)[pool])
    : at([...path, 'pool', 'health'], pool);
}

function lintTimes({ path, health }: Section, common: Raw, report: Report): void {
  const timeOf = (own: Raw, others: Raw, key: string, otherwise: Ns): Ns | undefined =>
    durationOf(own[key] ?? others[key] ?? writeDuration(otherwise));
  const interval = timeOf(health, common, 'interval', healthDefault.intervalNs);
  const timeout = timeOf(health, common, 'timeout', healthDefault.timeoutNs);
  if (interval !== undefined && timeout !== undefined && timeout > interval && isAllowed(interval, timeout)) {
    const key = health.timeout === undefined ? 'interval' : 'timeout';
    report(
      [...path, key],
      `a timeout of ${writeDuration(timeout)} is longer than the interval of ${writeDuration(interval)}`,
    );
  }
  const [passive, others] = [rawOf(health.passive), rawOf(common.passive)];
  const first = timeOf(passive, others, 'ejection', healthDefault.passive.ejectionNs);
  const most = timeOf(passive, others, 'ejection_max', healthDefault.passive.ejectionNsMax);
  if (first === undefined || most === undefined || first <= most) return;
  const key = passive.ejection === undefined ? 'ejection_max' : 'ejection';
  report([...path, 'passive', key], `the first ejection is longer than the longest, ${writeDuration(most)}`);
}

/** What is out of range is told by the schema. */
const isAllowed = (interval: Ns, timeout: Ns): boolean =>
  interval >= intervalNsMin && timeout <= timeoutNsMax;

/** A check must speak the protocol of the vip, and one by datagrams needs something to send. */
function lintCheck(
  { endpoint, path }: RawVip,
  own: Section,
  common: Section,
  told: Set<string>,
  report: Report,
): void {
  const { path: section, health } = own.health.check === undefined ? common : own;
  const { check } = health;
  const udp = own.health.udp ?? common.health.udp;
  const tell = (message: string) => {
    const where = [...section, 'check'];
    if (!told.has(formatPath(where))) report(where, message);
    told.add(formatPath(where));
  };
  if (check === 'udp' && udp === undefined) tell('what to send is missing; give it as udp: { send: ... }');
  if (!endpoint || (check !== 'tcp' && check !== 'http' && check !== 'udp')) return;
  const isTcp = endpoint.proto === ipProtoTcp;
  if ((check === 'udp') !== isTcp) return;
  tell(
    `${formatPath(path)}, ${formatEndpoint(endpoint)}, is ${formatProto(endpoint.proto)}; give auto, or its pool a check of its own`,
  );
}

function durationOf(text: unknown): Ns | undefined {
  try {
    return typeof text === 'string' ? parseDuration(text, '') : undefined;
  } catch {
    return undefined;
  }
}
