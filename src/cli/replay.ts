import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import type { PoolBackend } from '../control/pool.ts';
import { alphaDefault, Shift } from '../control/shift.ts';
import { backendsMax } from '../datapath/replay/backends.ts';
import { unwritable } from '../datapath/replay/file-errors.ts';
import type { ReplayOptions } from '../datapath/replay/options.ts';
import { replay } from '../datapath/replay/replay.ts';
import { exitCode } from '../errors.ts';
import { flowsMax, flowsMin, flowTimeoutsDefault } from '../flow/table.ts';
import { epochDefault, timeoutsDefault } from '../latency/ensemble.ts';
import { samplesPerPrefixMax } from '../latency/prefix.ts';
import { estimatorUsage } from '../latency/registry.ts';
import { type Endpoint, parseEndpoint } from '../net/address.ts';
import { replayHtml } from '../report/html.ts';
import { replayText } from '../report/text.ts';
import { formatDuration, type Ns, parseDuration } from '../units.ts';
import { collect, list, nameFlag, parseBackend, parseNumber, usage } from './flags.ts';
import { ProgressBars } from './progress-bars.ts';

/** Flows held by default: twice what a busy capture of a minute has, 35 MB with one estimator when all are used. */
const flowsDefault = 262_144;

/** What the load balancer would use, and what the paper has. */
const estimatorsDefault = ['auto', 'ensemble'];

interface Flags {
  vip: Endpoint[];
  hideServer?: true;
  useServer?: true;
  estimator: string[];
  timeouts: readonly Ns[];
  epoch: Ns;
  assign?: string;
  backend: PoolBackend[];
  alpha: number;
  truth?: string;
  samples?: string;
  report?: string;
  flows: number;
  flowIdle: Ns;
  samplesPerPrefix: number;
  json?: true;
  strict?: true;
}

export function replayCommand(): Command {
  return new Command('replay')
    .description(
      'Estimate response latencies from a capture of client->server packets, and what the policy would do',
    )
    .argument('<file...>', 'pcap or pcapng captures in order of time, gzipped or not; - is standard input')
    .addOption(
      new Option('--vip <ADDR:PORT/PROTO>', 'what clients connect to; repeatable')
        .argParser(collect((text) => parseEndpoint(text, '--vip')))
        .default([], 'every endpoint that looks like a server'),
    )
    .addOption(
      new Option('--hide-server', 'ignore server->client packets, as DSR would (the default)').conflicts(
        'useServer',
      ),
    )
    .option('--use-server', 'compare with the truth that server->client packets give')
    .addOption(
      new Option('--estimator <NAME,...>', estimatorUsage)
        .argParser(list((text) => text))
        .default(estimatorsDefault, estimatorsDefault.join(',')),
    )
    .addOption(
      new Option('--timeouts <DURATION,...>', 'timeouts of fixed and ensemble')
        .argParser(list((text) => parseDuration(text, '--timeouts')))
        .default(timeoutsDefault, '64us doubling to 4.096ms'),
    )
    .addOption(
      new Option('--epoch <DURATION>', 'epoch of ensemble')
        .argParser((text) => parseDuration(text, '--epoch'))
        .default(epochDefault, formatDuration(epochDefault)),
    )
    .option(
      '--assign <HOW>',
      'backend of each flow: table, dst-mac, or a CSV file with client_port,server (default: table with --backend, else each vip is its own backend)',
    )
    .addOption(
      new Option('--backend <ADDR[,WEIGHT]>', 'backend of the table; repeatable')
        .argParser(collect(parseBackend))
        .default([], 'none'),
    )
    .option(
      '--alpha <FRACTION>',
      'share of traffic that the policy shifts per sample',
      (text) => parseNumber(text, '--alpha'),
      alphaDefault,
    )
    .option('--truth <FILE>', 'CSV file with true latencies to compare with')
    .option('--samples <FILE>', 'write every sample to this CSV file')
    .option('--report <FILE>', 'write a self-contained HTML page with latencies and shares over time')
    .option(
      '--flows <COUNT>',
      'flows that the table holds, rounded up to a power of two',
      (text) => parseNumber(text, '--flows'),
      flowsDefault,
    )
    .addOption(
      new Option('--flow-idle <DURATION>', 'idle time after which an established flow is forgotten')
        .argParser((text) => parseDuration(text, '--flow-idle'))
        .default(flowTimeoutsDefault.establishedNs, formatDuration(flowTimeoutsDefault.establishedNs)),
    )
    .option(
      '--samples-per-prefix <COUNT>',
      `samples of a kind that one client prefix (/24, IPv6 /56) may add to a backend in 8.4 ms, up to ${samplesPerPrefixMax}; 0 is no limit`,
      (text) => parseNumber(text, '--samples-per-prefix'),
      0,
    )
    .option('--json', 'print the result as one JSON object')
    .option('--strict', `exit with ${exitCode.warnings} if there was any warning`)
    .action(run);
}

async function run(files: string[], flags: Flags): Promise<void> {
  const { result, timeline } = await measure(files, flags).catch(nameFlag);
  if (flags.report !== undefined) await writeReport(flags.report, replayHtml(result, timeline));
  const { stdout } = process;
  stdout.write(
    flags.json
      ? `${JSON.stringify(result)}\n`
      : `${replayText(result, { width: stdout.columns ?? 100, color: stdout.hasColors?.() ?? false })}\n`,
  );
  if (!flags.json && flags.report !== undefined) stdout.write(`report: ${flags.report}\n`);
  if (flags.strict && result.warnings.length > 0) process.exitCode = exitCode.warnings;
}

async function measure(files: string[], flags: Flags): ReturnType<typeof replay> {
  const options = toOptions(files, flags);
  const bars = new ProgressBars();
  return replay({ ...options, onProgress: bars.update }).finally(bars.stop);
}

function toOptions(files: string[], flags: Flags): ReplayOptions {
  const { backend, assign } = flags;
  checkBackends(backend, assign);
  checkOutputs(files, flags);
  if (flags.truth !== undefined && flags.useServer) {
    throw usage('--truth and --use-server are two truths', 'give one of them');
  }
  if (!(Number.isInteger(flags.flows) && flags.flows >= flowsMin && flags.flows <= flowsMax)) {
    throw usage(
      `--flows: ${flags.flows} is out of range`,
      `give a whole number from ${flowsMin} to ${flowsMax}`,
    );
  }
  if (files.filter((file) => file === '-').length > 1) {
    throw usage('- was given more than once', 'standard input can be read once');
  }
  return {
    files,
    vips: flags.vip,
    useServer: flags.useServer === true,
    estimators: flags.estimator,
    timeoutsNs: flags.timeouts,
    epochNs: flags.epoch,
    assign: assignment(assign, backend),
    backends: backend,
    policy: new Shift(flags.alpha),
    alpha: flags.alpha,
    truth: flags.truth,
    samples: flags.samples,
    timeline: flags.report !== undefined,
    flows: flags.flows,
    flowIdleNs: flags.flowIdle,
    samplesPerPrefix: flags.samplesPerPrefix,
  };
}

function checkBackends(backend: PoolBackend[], assign: string | undefined): void {
  if (backend.length > 0 && assign !== undefined && assign !== 'table') {
    throw usage(`--backend goes with --assign table, not with --assign ${assign}`, 'leave one of them out');
  }
  if (assign === 'table' && backend.length === 0) {
    throw usage('--assign table needs backends', 'name them with --backend ADDR[,WEIGHT]');
  }
  const names = backend.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) throw usage(`--backend: '${twice}' was given twice`, 'name each backend once');
  if (backend.length >= backendsMax) {
    throw usage(`--backend: ${backend.length} are too many`, `give at most ${backendsMax - 1}`);
  }
}

/** A file that is written must not be one that is read, which would be gone, nor be written twice. */
function checkOutputs(files: string[], { truth, assign, samples, report }: Flags): void {
  const taken = new Set(
    [...files, truth, assign].flatMap((path) => (path === undefined ? [] : resolve(path))),
  );
  for (const [flag, path] of [
    ['--samples', samples],
    ['--report', report],
  ] as const) {
    if (path === undefined) continue;
    if (taken.has(resolve(path)))
      throw usage(`${flag}: ${path} has another use in this command`, 'name another file');
    taken.add(resolve(path));
  }
}

function assignment(assign: string | undefined, backends: PoolBackend[]): ReplayOptions['assign'] {
  if (assign === undefined) return backends.length > 0 ? 'table' : 'vip';
  return assign === 'table' || assign === 'dst-mac' ? assign : { file: assign };
}

async function writeReport(path: string, html: string): Promise<void> {
  await writeFile(path, html).catch((cause) => {
    throw unwritable(path, cause);
  });
}
