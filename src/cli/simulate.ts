import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { unwritable } from '../datapath/replay/file-errors.ts';
import { startProgress } from '../report/progress.ts';
import { simulationHtml } from '../report/simulation-html.ts';
import { simulationText } from '../report/simulation-text.ts';
import { readScenario } from '../sim/read.ts';
import type { SimulationResult } from '../sim/result.ts';
import { simulate, simulatedPolicies } from '../sim/simulate.ts';
import { list, nameFlag, parseNumber, usage } from './flags.ts';

interface Flags {
  policy: string[];
  seed?: number;
  runs: number;
  alpha?: number;
  json?: true;
  report?: string;
}

/** Largest seed: a u32. */
const seedMax = 0xffff_ffff;
/** Each run holds its figures until the last one is done. */
const runsMax = 100;

/** `inband simulate`: what policies make of a scenario, in simulated time. */
export function simulateCommand(): Command {
  return new Command('simulate')
    .description(
      'Run control policies on a scenario of servers, clients and load balancers, in simulated time',
    )
    .argument('<scenario>', 'scenario file in YAML; config/scenarios has examples')
    .addOption(
      new Option('--policy <NAME,...>', `policies to run, of ${simulatedPolicies.join(', ')}`)
        .argParser(list((text) => text))
        .default(['static', 'balance'], 'static,balance'),
    )
    .addOption(
      new Option('--seed <NUMBER>', 'seed of all random numbers (default: the scenario has one)').argParser(
        parseSeed,
      ),
    )
    .addOption(
      new Option(
        '--runs <COUNT>',
        'runs under each policy, with seeds that follow one another, counted together',
      )
        .argParser(parseRuns)
        .default(1),
    )
    .option(
      '--alpha <FRACTION>',
      'share of traffic that one step moves, for policies that have such a setting',
      (text) => parseNumber(text, '--alpha'),
    )
    .option('--json', 'print the result as one JSON object')
    .option('--report <FILE>', 'write a self-contained HTML page with latencies and shares over time')
    .action(run);
}

function parseSeed(text: string): number {
  const seed = parseNumber(text, '--seed');
  if (Number.isInteger(seed) && seed >= 0 && seed <= seedMax) return seed;
  throw usage(`--seed: ${text} is out of range`, `give a whole number from 0 to ${seedMax}`);
}

function parseRuns(text: string): number {
  const runs = parseNumber(text, '--runs');
  if (Number.isInteger(runs) && runs >= 1 && runs <= runsMax) return runs;
  throw usage(`--runs: ${text} is out of range`, `give a whole number from 1 to ${runsMax}`);
}

async function run(path: string, { policy, seed, runs, alpha, json, report }: Flags): Promise<void> {
  if (report !== undefined && resolve(report) === resolve(path)) {
    throw usage(`--report: ${report} is the scenario`, 'name another file');
  }
  const scenario = readScenario(path);
  const progress = startProgress(scenario.name, undefined);
  let result: SimulationResult;
  try {
    result = simulate(scenario, {
      policies: policy,
      seed,
      runs,
      ...(alpha !== undefined && { settings: { alpha } }),
      onProgress: (name, part) => progress.update(0, `${name} ${Math.round(part * 100)}%`),
    });
  } catch (error) {
    return nameFlag(error);
  } finally {
    progress.stop();
  }
  if (report !== undefined) {
    await writeFile(report, simulationHtml(result)).catch((cause) => {
      throw unwritable(report, cause);
    });
  }
  const { stdout } = process;
  stdout.write(
    json
      ? `${JSON.stringify(result)}\n`
      : `${simulationText(result, { width: stdout.columns ?? 100, color: stdout.hasColors?.() ?? false })}\n`,
  );
  if (!json && report !== undefined) stdout.write(`report: ${report}\n`);
}
