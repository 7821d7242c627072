import { Command, Option } from 'commander';
import pino, { type Logger } from 'pino';
import pretty from 'pino-pretty';
import { socketDefault } from '../admin/server.ts';
import { createPolicy, policyNames } from '../control/registry.ts';
import { LoadBalancer, type RunOptions } from '../daemon.ts';
import { datapaths } from '../datapath/open.ts';
import { type Cliff, cliffs, epochDefault, timeoutsDefault } from '../latency/ensemble.ts';
import { slotsDefault } from '../maglev/size.ts';
import { type Endpoint, parseEndpoint } from '../net/address.ts';
import { formatDuration, type Ns, ns, parseDuration } from '../units.ts';
import { collect, list, parseNumber, parseRunBackend, type RunBackend, usage } from './flags.ts';
import { dropTo, primaryGroup } from './privileges.ts';

/** Flows of a busy node; 128 MB of memory. */
const flowsDefault = 1_000_000;
const tickDefault = ns(1e6);
/** Bounds of `--tick`: Node's timers count in ms, and control slower than a second is no control. */
const tickNsMin = 1e6;
const tickNsMax = 1e9;
const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'silent'];

interface Flags {
  interface: string;
  vip: Endpoint[];
  backend: RunBackend[];
  policy: string;
  alpha?: number;
  timeouts: readonly Ns[];
  epoch: Ns;
  cliff: Cliff;
  tick: Ns;
  slots: number;
  flows: number;
  datapath: RunOptions['datapath'];
  answerArp: boolean;
  socket: string;
  user?: string;
  logLevel: string;
}

export function runCommand(): Command {
  return new Command('run')
    .description('Run the load balancer on an interface until SIGTERM or SIGINT')
    .requiredOption('--interface <NAME>', 'interface that client packets come in by')
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
      `law that moves slots: ${policyNames.join(', ')}`,
      'balance',
    )
    .option(
      '--alpha <FRACTION>',
      'share of all traffic that one decision moves at most (default: 0.2 for balance, 0.1 for shift)',
      (text) => parseNumber(text, '--alpha'),
    )
    .option(
      '--timeouts <DURATION,...>',
      `timeouts of the ensemble (default: ${timeoutsDefault.map(formatDuration)})`,
      list((text) => parseDuration(text, '--timeouts')),
      timeoutsDefault as Ns[],
    )
    .option(
      '--epoch <DURATION>',
      'epoch of the ensemble (default: 64ms)',
      (text) => parseDuration(text, '--epoch'),
      epochDefault,
    )
    .addOption(
      new Option('--cliff <READING>', 'how the ensemble compares small sample counts')
        .choices(cliffs)
        .default('damped'),
    )
    .option(
      '--tick <DURATION>',
      'period of the control loop, 1ms to 1s (default: 1ms)',
      (text) => parseDuration(text, '--tick'),
      tickDefault,
    )
    .option(
      '--slots <PRIME>',
      "slots of each vip's Maglev table, a prime",
      (text) => parseNumber(text, '--slots'),
      slotsDefault,
    )
    .option(
      '--flows <COUNT>',
      'flows that the table holds',
      (text) => parseNumber(text, '--flows'),
      flowsDefault,
    )
    .addOption(new Option('--datapath <NAME>', 'what forwards packets').choices(datapaths).default('auto'))
    .option('--answer-arp', 'answer ARP for the vips (capture datapath)', false)
    .option('--socket <PATH>', 'local socket for status and samples', socketDefault)
    .option('--user <NAME>', 'user to become after set-up')
    .addOption(
      new Option('--log-level <LEVEL>', 'least important log line').choices(logLevels).default('info'),
    )
    .action(run);
}

async function run(flags: Flags): Promise<void> {
  const options = toOptions(flags);
  if (flags.user !== undefined) primaryGroup(flags.user);
  const log = logger(flags.logLevel);
  const balancer = await LoadBalancer.start(options, log);
  try {
    if (flags.user !== undefined) dropTo(flags.user);
    const signal = await ended();
    log.info({ event: 'stopping', signal });
  } finally {
    await balancer.stop();
  }
}

function toOptions(flags: Flags): RunOptions {
  const { tick, vip, backend, policy, alpha } = flags;
  if (vip.length === 0)
    throw usage('--vip is missing', 'name what clients connect to: --vip 10.0.0.1:80/tcp');
  if (backend.length === 0)
    throw usage('--backend is missing', 'name the servers: --backend 10.0.0.11 --backend 10.0.0.12');
  if (tick < tickNsMin || tick > tickNsMax)
    throw usage(`--tick: ${formatDuration(tick)} is out of range`, 'give 1ms to 1s');
  const twice = vip.find((one, i) => vip.findIndex((other) => sameVip(one, other)) !== i);
  if (twice) throw usage('--vip: one vip was given twice', 'leave one out');
  const again = backend.find(({ name }, i) => backend.findIndex((other) => other.name === name) !== i);
  if (again)
    throw usage(`--backend: ${again.name} was given twice`, 'leave one out, or give one of them more weight');
  return {
    interface: flags.interface,
    datapath: flags.datapath,
    answerArp: flags.answerArp,
    vips: vip.map((endpoint) => ({ endpoint, backends: backend, policy: createPolicy(policy, { alpha }) })),
    slots: flags.slots,
    timeoutsNs: flags.timeouts,
    epochNs: flags.epoch,
    cliff: flags.cliff,
    flows: flags.flows,
    tickNs: tick,
    socket: flags.socket,
  };
}

const sameVip = (a: Endpoint, b: Endpoint): boolean =>
  a.port === b.port && a.proto === b.proto && a.address.words.every((word, i) => word === b.address.words[i]);

/** JSON lines, or lines for people on a terminal. */
function logger(level: string): Logger {
  if (!process.stderr.isTTY) return pino({ level, base: null }, pino.destination({ fd: 2, sync: true }));
  return pino(
    { level, base: null },
    pretty({ destination: 2, sync: true, translateTime: 'SYS:HH:MM:ss.l', messageKey: 'event' }),
  );
}

/** Resolves with the signal that asks to stop. */
function ended(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve);
  });
}
