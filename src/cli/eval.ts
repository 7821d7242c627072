import { writeFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { evaluate } from '../datapath/replay/eval/eval.ts';
import { type EvalOptions, evalEstimators } from '../datapath/replay/eval/options.ts';
import { unwritable } from '../datapath/replay/file-errors.ts';
import { exitCode } from '../errors.ts';
import { flowsMax, flowsMin } from '../flow/table.ts';
import { epochDefault, timeoutsDefault } from '../latency/ensemble.ts';
import { estimatorUsage } from '../latency/registry.ts';
import { type Endpoint, parseEndpoint } from '../net/address.ts';
import { evalHtml } from '../report/eval-html.ts';
import { evalText } from '../report/eval-text.ts';
import { type Ns, ns, parseDuration } from '../units.ts';
import { collect, list, nameFlag, parseNumber, usage } from './flags.ts';
import { ProgressBars } from './progress-bars.ts';

/** Windows that a controller would compare. */
const windowDefault = ns(100e6);
/** Flows that the table of each estimator holds by default: there are a dozen tables. */
const flowsDefault = 65_536;

/** Columns where standard output is no terminal: tables are not cut. */
const widthDefault = 130;

/** What captures and truths are called, which must not be written over. */
const inputName = /\.(?:pcap|pcapng|csv)(?:\.gz)?$/;

interface Flags {
  vip: Endpoint[];
  useServer?: true;
  estimator: string[];
  window: Ns;
  assign: string;
  flows: number;
  report?: string;
  json?: true;
  strict?: true;
}

export function evalCommand(): Command {
  return new Command('eval')
    .description(
      'Tell how accurate estimators are on captures whose true latencies are known, and what they cost',
    )
    .argument(
      '<path...>',
      'folders with captures, or captures: NAME.pcap[ng][.gz] beside NAME.truth.csv[.gz], or lb.pcap beside truth.csv; flows.csv and switch.txt likewise',
    )
    .addOption(
      new Option('--vip <ADDR:PORT/PROTO>', 'what clients connect to; repeatable')
        .argParser(collect((text) => parseEndpoint(text, '--vip')))
        .default([], 'every endpoint that looks like a server'),
    )
    .option(
      '--use-server',
      'where there is no truth file, take the truth from server->client packets; estimators do not see them',
    )
    .addOption(
      new Option('--estimator <NAME,...>', estimatorUsage)
        .argParser(list((text) => text))
        .default(evalEstimators, evalEstimators.join(',')),
    )
    .addOption(
      new Option('--window <DURATION>', 'windows in which estimates and truth are compared')
        .argParser((text) => parseDuration(text, '--window'))
        .default(windowDefault, '100ms'),
    )
    .addOption(
      new Option(
        '--assign <HOW>',
        'backend of each flow: flows.csv beside the capture, else the vip; or dst-mac',
      )
        .choices(['flows', 'dst-mac'])
        .default('flows'),
    )
    .option(
      '--flows <COUNT>',
      'flows that the table of each estimator holds, rounded up to a power of two',
      (text) => parseNumber(text, '--flows'),
      flowsDefault,
    )
    .option('--report <FILE>', 'write a self-contained HTML page with a panel per workload')
    .option('--json', 'print the result as one JSON object')
    .option('--strict', `exit with ${exitCode.warnings} if there was any warning`)
    .action(run);
}

async function run(paths: string[], flags: Flags): Promise<void> {
  const bars = new ProgressBars();
  const options = toOptions(paths, flags);
  const { result, timelines } = await evaluate({ ...options, onProgress: bars.update })
    .finally(bars.stop)
    .catch(nameFlag);
  const { report } = flags;
  if (report !== undefined) {
    await writeFile(report, evalHtml(result, timelines)).catch((cause) => {
      throw unwritable(report, cause);
    });
  }
  const { stdout } = process;
  stdout.write(
    flags.json
      ? `${JSON.stringify(result)}\n`
      : `${evalText(result, { width: stdout.columns ?? widthDefault, color: stdout.hasColors?.() ?? false })}\n`,
  );
  if (!flags.json && report !== undefined) stdout.write(`report: ${report}\n`);
  if (flags.strict && result.warnings.length > 0) process.exitCode = exitCode.warnings;
}

function toOptions(paths: string[], flags: Flags): EvalOptions {
  if (!(Number.isInteger(flags.flows) && flags.flows >= flowsMin && flags.flows <= flowsMax)) {
    throw usage(
      `--flows: ${flags.flows} is out of range`,
      `give a whole number from ${flowsMin} to ${flowsMax}`,
    );
  }
  if (flags.report !== undefined && inputName.test(flags.report)) {
    throw usage(`--report: ${flags.report} is called like what is read`, 'name an HTML file');
  }
  return {
    paths,
    vips: flags.vip,
    estimators: flags.estimator,
    timeoutsNs: timeoutsDefault,
    epochNs: epochDefault,
    useServer: flags.useServer === true,
    assign: flags.assign === 'dst-mac' ? 'dst-mac' : 'flows',
    windowNs: flags.window,
    flows: flags.flows,
  };
}
