import { InbandError } from '../errors.ts';
import { type Checked, checkDocument, checkText } from './document.ts';
import { toHealth } from './health-schema.ts';
import { lint } from './lint.ts';
import { invalidDocument, problemLines } from './problems.ts';
import { type ConfigFile, configSchema } from './schema.ts';
import type { Settings } from './settings.ts';

/**
 * Checks a configuration file.
 * @throws InbandError `FILE_UNREADABLE`
 */
export function checkConfig(path: string): Checked<Settings> {
  return resolved(checkDocument(path, configSchema, lint));
}

/** Checks the text of a configuration; `file` is what problems call it. */
export function checkConfigText(text: string, file: string): Checked<Settings> {
  return resolved(checkText(text, file, configSchema, lint));
}

/**
 * The settings that a configuration file gives.
 * @param warn called with each warning, a line
 * @throws InbandError `FILE_UNREADABLE`, or `CONFIG_INVALID` with every problem as a line of its details
 */
export function loadConfig(path: string, warn: (line: string) => void = () => {}): Settings {
  const { value, problems } = checkConfig(path);
  if (value !== undefined) {
    for (const line of problemLines(problems)) warn(line);
    return value;
  }
  throw invalidDocument(path, problems, 'docs/configuration.md describes every key');
}

/**
 * The settings of a running daemon, from what it serves. Flags may have given it what a file is not allowed.
 * @throws InbandError `DAEMON_UNREACHABLE` if it has settings that this version does not know
 */
export function readRunning(document: unknown, socket: string): Settings {
  const parsed = configSchema.safeParse(document);
  if (parsed.success) return toSettings(parsed.data);
  throw new InbandError(
    'DAEMON_UNREACHABLE',
    `${socket}: the daemon runs with settings that are not known here`,
    {
      hint: 'is the daemon of the same version?',
    },
  );
}

const resolved = ({ value, problems }: Checked<ConfigFile>): Checked<Settings> => ({
  value: value && toSettings(value),
  problems,
});

function toSettings(file: ConfigFile): Settings {
  const health = toHealth(file.health);
  const poolOf = (pool: ConfigFile['vips'][number]['pool']) =>
    typeof pool === 'string' ? file.pools[pool]! : pool;
  return {
    interface: file.interface,
    datapath: file.datapath,
    answerArp: file.answer_arp,
    vips: file.vips.map(({ address, pool, policy = file.policy }) => ({
      endpoint: address,
      backends: poolOf(pool).backends,
      policy,
      lostFlows: poolOf(pool).lost_flows ?? file.lost_flows,
      health: toHealth(poolOf(pool).health, health),
    })),
    policy: file.policy,
    health,
    ...(file.health?.source !== undefined && { healthSource: file.health.source }),
    ...(file.estimator !== undefined && { estimator: file.estimator }),
    timeoutsNs: file.ensemble.timeouts,
    epochNs: file.ensemble.epoch,
    cliff: file.ensemble.cliff,
    tickNs: file.tick,
    slots: file.slots,
    table: file.table,
    flows: file.flows,
    lostFlows: file.lost_flows,
    ...(file.pin !== undefined && { pin: file.pin }),
    detach: file.detach,
    state: file.state,
    socket: file.admin.socket,
    ...(file.admin.http !== undefined && { http: file.admin.http }),
    httpPublic: file.admin.http_public,
    logLevel: file.log.level,
    ...(file.user !== undefined && { user: file.user }),
  };
}
