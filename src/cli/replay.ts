import { writeFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { alphaDefault, Shift } from '../control/shift.ts';
import type { ReplayOptions } from '../datapath/replay/options.ts';
import type { PoolBackend } from '../datapath/replay/pool.ts';
import { replay } from '../datapath/replay/replay.ts';
import { exitCode, InbandError } from '../errors.ts';
import { flowsMax, flowsMin, flowTimeoutsDefault } from '../flow/table.ts';
import { epochDefault, timeoutsDefault } from '../latency/ensemble.ts';
import { estimatorUsage } from '../latency/registry.ts';
import { type Endpoint, parseAddress, parseEndpoint } from '../net/address.ts';
import { replayHtml } from '../report/html.ts';
import { type Progress, startProgress } from '../report/progress.ts';
import { replayText } from '../report/text.ts';
import { formatDuration, type Ns, parseDuration } from '../units.ts';

/** Flows held by default: twice what a busy capture of a minute has, 35 MB with one estimator when all are used. */
const flowsDefault = 262_144;

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
  json?: true;
  strict?: true;
}

export function replayCommand(): Command {
  return new Command('replay')
    .description(
      'Estimate response latencies from a capture of client->server packets, and what the policy would do',
    )
    .argument('<file...>', 'pcap or pcapng captures in order of time, gzipped or not; - is standard input')
    .option(
      '--vip <ADDR:PORT/PROTO>',
      'what clients connect to; repeatable (default: every endpoint that looks like a server)',
      collect((text) => parseEndpoint(text, '--vip')),
      [],
    )
    .addOption(
      new Option('--hide-server', 'ignore server->client packets, as DSR would (the default)').conflicts(
        'useServer',
      ),
    )
    .option('--use-server', 'compare with the truth that server->client packets give')
    .option(
      '--estimator <NAME,...>',
      estimatorUsage,
      list((text) => text),
      ['ensemble', 'handshake'],
    )
    .option(
      '--timeouts <DURATION,...>',
      `timeouts of fixed and ensemble (default: ${timeoutsDefault.map(formatDuration)})`,
      list((text) => parseDuration(text, '--timeouts')),
      timeoutsDefault as Ns[],
    )
    .option(
      '--epoch <DURATION>',
      'epoch of ensemble (default: 64ms)',
      (text) => parseDuration(text, '--epoch'),
      epochDefault,
    )
    .option(
      '--assign <HOW>',
      'backend of each flow: table, dst-mac, or a CSV file with client_port,server (default: table with --backend, else each vip is its own backend)',
    )
    .option('--backend <ADDR[,WEIGHT]>', 'backend of the table; repeatable', collect(parseBackend), [])
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
    .option(
      '--flow-idle <DURATION>',
      'idle time after which an established flow is forgotten (default: 900s)',
      (text) => parseDuration(text, '--flow-idle'),
      flowTimeoutsDefault.establishedNs,
    )
    .option('--json', 'print the result as one JSON object')
    .option('--strict', `exit with ${exitCode.warnings} if there was any warning`)
    .action(run);
}

async function run(files: string[], flags: Flags): Promise<void> {
  const options = toOptions(files, flags);
  const bars = new ProgressBars();
  const { result, timeline } = await replay({ ...options, onProgress: bars.update }).finally(bars.stop);
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

/** A progress bar for the file being read, one after the other. */
class ProgressBars {
  #name: string | undefined;
  #bar: Progress | undefined;

  update = (name: string, bytes: number, sizeBytes: number | undefined, packets: number): void => {
    if (name !== this.#name) {
      this.stop();
      this.#name = name;
      this.#bar = startProgress(name, sizeBytes);
    }
    this.#bar?.update(bytes, `${packets} packets`);
  };

  stop = (): void => {
    this.#bar?.stop();
    this.#bar = undefined;
  };
}

function toOptions(files: string[], flags: Flags): ReplayOptions {
  const { backend, assign } = flags;
  if (backend.length > 0 && assign !== undefined && assign !== 'table') {
    throw usage(`--backend goes with --assign table, not with --assign ${assign}`, 'leave one of them out');
  }
  if (assign === 'table' && backend.length === 0) {
    throw usage('--assign table needs backends', 'name them with --backend ADDR[,WEIGHT]');
  }
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
  };
}

function assignment(assign: string | undefined, backends: PoolBackend[]): ReplayOptions['assign'] {
  if (assign === undefined) return backends.length > 0 ? 'table' : 'vip';
  return assign === 'table' || assign === 'dst-mac' ? assign : { file: assign };
}

/** `ADDR`, `ADDR,3` or `ADDR,weight=3`. */
function parseBackend(text: string): PoolBackend {
  const match = /^([^,]+?)(?:,(?:weight=)?(\d+(?:\.\d+)?))?$/.exec(text.trim());
  const weight = Number(match?.[2] ?? 1);
  if (!match || !parseAddress(match[1]!) || !(weight > 0)) {
    throw usage(
      `--backend: '${text}' is not ADDR[,WEIGHT]`,
      'for example 10.0.0.11 or 10.0.0.11,2 with a weight above 0',
    );
  }
  return { name: match[1]!, weight };
}

function parseNumber(text: string, flag: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value))
    throw usage(`${flag}: '${text}' is not a number`, 'give a decimal number');
  return value;
}

/** Parses a repeatable flag. */
function collect<T>(parse: (text: string) => T): (text: string, before: T[]) => T[] {
  return (text, before) => [...before, parse(text)];
}

/** Parses a comma-separated flag. */
function list<T>(parse: (text: string) => T): (text: string) => T[] {
  return (text) => text.split(',').map((part) => parse(part.trim()));
}

function usage(message: string, hint: string): InbandError {
  return new InbandError('USAGE', message, { hint });
}

async function writeReport(path: string, html: string): Promise<void> {
  await writeFile(path, html).catch((cause: Error) => {
    throw new InbandError('FILE_UNWRITABLE', `${path}: ${cause.message}`, {
      hint: 'check the directory and its permissions',
      cause,
    });
  });
}
