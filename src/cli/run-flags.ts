import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { formatListen, isLoopback, type Listen, parseListen } from '../admin/listen.ts';
import { loadConfig } from '../config/load.ts';
import { writeDuration } from '../config/scalars.ts';
import {
  fates,
  type LogLevel,
  logLevels,
  type RunEstimator,
  runEstimators,
  type Settings,
  settingsDefault,
  tickNsMax,
  tickNsMin,
  type VipSettings,
} from '../config/settings.ts';
import { type PolicyChoice, parsePolicy, policyNames, policySpecs } from '../control/registry.ts';
import type { Fate } from '../datapath/datapath.ts';
import { type DatapathName, datapaths } from '../datapath/open.ts';
import { type CheckChoice, checkChoices, type HealthSettings } from '../health/settings.ts';
import { type Cliff, cliffs } from '../latency/ensemble.ts';
import { type TableMethod, tableMethods } from '../maglev/builder.ts';
import { checkSize } from '../maglev/size.ts';
import { type Endpoint, formatEndpoint, parseEndpoint } from '../net/address.ts';
import { formatDuration, type Ns, parseDuration } from '../units.ts';
import { collect, list, parseNumber, parseRunBackend, type RunBackend, usage } from './flags.ts';

/** Flags of `run`; one that was not given leaves the configuration file its say, and then the default. */
export interface RunFlags {
  config?: string;
  interface?: string;
  vip: Endpoint[];
  backend: RunBackend[];
  policy?: string;
  alpha?: number;
  check?: CheckChoice;
  estimator?: RunEstimator;
  timeouts?: readonly Ns[];
  epoch?: Ns;
  cliff?: Cliff;
  tick?: Ns;
  slots?: number;
  table?: TableMethod;
  flows?: number;
  datapath?: DatapathName;
  answerArp?: boolean;
  lostFlows?: Fate;
  pin?: string;
  detach?: boolean;
  state?: string;
  socket?: string;
  http?: Listen;
  httpPublic?: boolean;
  user?: string;
  logLevel?: LogLevel;
}

const defaults = settingsDefault;
const otherwise = (value: unknown): string => `(default: ${value})`;

/** Declares the flags on a command. */
export function addRunFlags(command: Command): Command {
  addServiceFlags(command);
  addMeasureFlags(command);
  return addProcessFlags(command);
}

function addServiceFlags(command: Command): void {
  command
    .option('--config <FILE>', 'configuration file; flags override what it says')
    .option('--interface <NAME>', 'interface that client packets come in by')
    .option(
      '--vip <ADDR:PORT/PROTO>',
      'what clients connect to; repeatable',
      collect((text) => parseEndpoint(text, '--vip')),
      [],
    )
    .option(
      '--backend <ADDR[,weight=N][,encap=ipip]>',
      'server behind the vips; repeatable',
      collect(parseRunBackend),
      [],
    )
    .option(
      '--policy <NAME[:SETTING=VALUE]...>',
      `law that moves slots: ${policyNames.join(', ')} ${otherwise(defaults.policy.name)}`,
    )
    .option(
      '--alpha <FRACTION>',
      'share of all traffic that one decision moves at most (default: 0.2 for balance, 0.1 for shift)',
      (text) => parseNumber(text, '--alpha'),
    );
}

function addMeasureFlags(command: Command): void {
  command
    .addOption(
      new Option('--check <KIND>', `what backends are asked ${otherwise(defaults.health.check)}`).choices(
        checkChoices,
      ),
    )
    .addOption(
      new Option('--estimator <NAME>', 'what measures (default: the best that the datapath has)').choices(
        runEstimators,
      ),
    )
    .option(
      '--timeouts <DURATION,...>',
      `timeouts of the ensemble ${otherwise(defaults.timeoutsNs.map(formatDuration))}`,
      list((text) => parseDuration(text, '--timeouts')),
    )
    .option(
      '--epoch <DURATION>',
      `epoch of the ensemble ${otherwise(formatDuration(defaults.epochNs))}`,
      (text) => parseDuration(text, '--epoch'),
    )
    .addOption(
      new Option(
        '--cliff <READING>',
        `how the ensemble compares small sample counts ${otherwise(defaults.cliff)}`,
      ).choices(cliffs),
    )
    .option(
      '--tick <DURATION>',
      `period of the control loop, 1ms to 1s ${otherwise(formatDuration(defaults.tickNs))}`,
      (text) => parseDuration(text, '--tick'),
    )
    .option(
      '--slots <PRIME>',
      `slots of each vip's Maglev table, a prime ${otherwise(defaults.slots)}`,
      (text) => parseNumber(text, '--slots'),
    )
    .addOption(
      new Option('--table <METHOD>', `how tables follow shares ${otherwise(defaults.table)}`).choices(
        tableMethods,
      ),
    )
    .option('--flows <COUNT>', `flows that the table holds ${otherwise(defaults.flows)}`, (text) =>
      parseNumber(text, '--flows'),
    );
}

function addProcessFlags(command: Command): Command {
  return command
    .addOption(
      new Option('--datapath <NAME>', `what forwards packets ${otherwise(defaults.datapath)}`).choices(
        datapaths,
      ),
    )
    .addOption(
      new Option(
        '--lost-flows <FATE>',
        `what flows meet whose backend was removed, is down or in maintenance ${otherwise(defaults.lostFlows)}`,
      ).choices(fates),
    )
    .option(
      '--pin <DIR>',
      'directory in bpffs by which forwarding outlives the daemon (default: one per interface)',
    )
    .option('--detach', 'end forwarding with the daemon, pin nothing')
    .option(
      '--state <DIR>',
      `directory that keeps drains, maintenance and weights over restarts ${otherwise(defaults.state)}`,
    )
    .option('--answer-arp', 'answer ARP for the vips (capture datapath)')
    .option('--socket <PATH>', `local socket for status and samples ${otherwise(defaults.socket)}`)
    .option(
      '--http <ADDR:PORT>',
      'serve metrics and the dashboard there too, such as 127.0.0.1:9464 (default: nowhere)',
      (text) => parseListen(text, '--http'),
    )
    .option('--http-public', 'let --http be an address that other machines reach')
    .option('--user <NAME>', 'user to become after set-up')
    .addOption(
      new Option('--log-level <LEVEL>', `least important log line ${otherwise(defaults.logLevel)}`).choices(
        logLevels,
      ),
    );
}

/**
 * What flags and the configuration file say together.
 * @param warn called with each warning about the file, a line
 * @throws InbandError `USAGE` for flags, `CONFIG_INVALID` for slots that no pool can have; as `loadConfig` does
 */
export function settingsOf(flags: RunFlags, warn?: (line: string) => void): Settings {
  const file = flags.config === undefined ? undefined : loadConfig(flags.config, warn);
  const base = file ?? defaults;
  const name = flags.interface ?? file?.interface;
  if (name === undefined)
    throw usage('--interface is missing', 'name where client packets come in: --interface eth0');
  const { tick = base.tickNs } = flags;
  if (tick < tickNsMin || tick > tickNsMax) {
    throw usage(
      `--tick: ${formatDuration(tick)} is out of range`,
      `give ${writeDuration(tickNsMin)} to ${writeDuration(tickNsMax)}`,
    );
  }
  const vips = vipsOf(flags, file, base);
  const { slots = base.slots, user = base.user, estimator = base.estimator } = flags;
  const pin = flags.pin === undefined ? base.pin : resolve(flags.pin);
  for (const { backends } of vips) checkSize(slots, backends.length);
  return {
    ...httpOf(flags, base),
    interface: name,
    datapath: flags.datapath ?? base.datapath,
    answerArp: flags.answerArp ?? base.answerArp,
    vips: vips.map((vip) => ({
      ...vip,
      policy: policyOf(flags, vip.policy),
      health: healthOf(flags, vip.health),
      lostFlows: flags.lostFlows ?? vip.lostFlows,
    })),
    policy: policyOf(flags, base.policy),
    health: healthOf(flags, base.health),
    ...(file?.healthSource !== undefined && { healthSource: file.healthSource }),
    ...(estimator !== undefined && { estimator }),
    timeoutsNs: flags.timeouts ?? base.timeoutsNs,
    epochNs: flags.epoch ?? base.epochNs,
    cliff: flags.cliff ?? base.cliff,
    tickNs: tick,
    slots,
    table: flags.table ?? base.table,
    flows: flags.flows ?? base.flows,
    lostFlows: flags.lostFlows ?? base.lostFlows,
    ...(pin !== undefined && { pin }),
    detach: flags.detach ?? base.detach,
    state: flags.state === undefined ? base.state : resolve(flags.state),
    socket: flags.socket ?? base.socket,
    logLevel: flags.logLevel ?? base.logLevel,
    ...(user !== undefined && { user }),
  };
}

/** @throws InbandError `USAGE` for an address that others reach, unless that was asked for */
function httpOf(
  flags: RunFlags,
  base: Pick<Settings, 'http' | 'httpPublic'>,
): Pick<Settings, 'http' | 'httpPublic'> {
  const { http = base.http, httpPublic = base.httpPublic } = flags;
  if (http && !isLoopback(http) && !httpPublic) {
    throw usage(
      `--http: ${formatListen(http)} can be reached by other machines`,
      'whoever reaches it reads metrics and addresses; give 127.0.0.1, or add --http-public',
    );
  }
  return { ...(http && { http }), httpPublic };
}

/** Vips of the flags, each with all backends of the flags, or else those of the file. */
function vipsOf(
  { vip, backend }: RunFlags,
  file: Settings | undefined,
  { policy, health, lostFlows }: Pick<Settings, 'policy' | 'health' | 'lostFlows'>,
): readonly VipSettings[] {
  if (file && vip.length === 0 && backend.length === 0) return file.vips;
  if (vip.length === 0) {
    throw usage('--vip is missing', 'name what clients connect to: --vip 10.0.0.1:80/tcp');
  }
  if (backend.length === 0) {
    throw usage('--backend is missing', 'name the servers: --backend 10.0.0.11 --backend 10.0.0.12');
  }
  if (repeated(vip.map(formatEndpoint)) !== undefined) {
    throw usage('--vip: one vip was given twice', 'leave one out');
  }
  const again = repeated(backend.map((one) => one.name));
  if (again !== undefined) {
    throw usage(`--backend: ${again} was given twice`, 'leave one out, or give one of them more weight');
  }
  return vip.map((endpoint) => ({ endpoint, backends: backend, policy, health, lostFlows }));
}

const repeated = (names: readonly string[]): string | undefined =>
  names.find((name, i) => names.indexOf(name) !== i);

/** What `--check` says goes for all vips. */
const healthOf = ({ check }: RunFlags, own: HealthSettings): HealthSettings =>
  check === undefined ? own : { ...own, check };

/** The policy of the flags, or else the vip's own; `--alpha` counts where the policy takes it. */
function policyOf({ policy, alpha }: RunFlags, own: PolicyChoice): PolicyChoice {
  if (policy !== undefined) return parsePolicy(policy, { alpha });
  if (alpha === undefined || !('alpha' in policySpecs[own.name]!)) return own;
  return { name: own.name, settings: { ...own.settings, alpha } };
}
