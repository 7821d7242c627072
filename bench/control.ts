import { readdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { policyNames } from '../src/control/registry.ts';
import { readScenario } from '../src/sim/read.ts';
import type { SimulationResult } from '../src/sim/result.ts';
import { simulate } from '../src/sim/simulate.ts';
import { controlFigures } from './control-figure.ts';
import { controlPage } from './control-page.ts';
import { controlTargets } from './control-targets.ts';
import { type BenchResult, type Row, rounded } from './result.ts';

export const name = 'control';

const root = resolve(import.meta.dirname, '../../..');
const folder = join(root, 'config/scenarios');

/** Scenarios up to this long and of this many load balancers run so often; for the others one run is long enough. */
const shortS = 60;
const fewBalancers = 16;
const runsOfShort = 3;

/** What the simulator's speed is measured with: an open loop, which needs two events for each request. */
const speedScenario = 'gc-pauses';
const speedAsked = 1e6;

/** Requests per second of CPU time that one core simulates under one policy, the best of some runs. */
function speed(): number {
  const scenario = readScenario(join(folder, `${speedScenario}.yaml`));
  let best = 0;
  for (let round = 0; round < 3; round++) {
    const before = process.cpuUsage();
    const { policies } = simulate(scenario, { policies: ['balance'] });
    const { user, system } = process.cpuUsage(before);
    best = Math.max(best, (policies[0]!.requests / (user + system)) * 1e6);
  }
  return best;
}

/** Runs every policy on one scenario; says on stderr how far it is. */
function runScenario(file: string, at: string): SimulationResult {
  const scenario = readScenario(join(folder, file));
  const from = performance.now();
  const isShort = scenario.durationNs <= shortS * 1e9 && scenario.balancers < fewBalancers;
  const result = simulate(scenario, {
    policies: [...policyNames, 'oracle'],
    runs: isShort ? runsOfShort : 1,
  });
  process.stderr.write(`${at} ${scenario.name}: ${((performance.now() - from) / 1e3).toFixed(1)}s\n`);
  return result;
}

/**
 * Every policy on every scenario, in simulated time; writes docs/control.md and its figures. Takes about 5 minutes on one
 * core. All figures but the simulator's speed are the same on every run.
 */
export function run(): BenchResult {
  const files = readdirSync(folder)
    .filter((file) => file.endsWith('.yaml'))
    .sort();
  const perSecond = speed();
  const results = files.map((file, i) => runScenario(file, `${i + 1}/${files.length}`));
  const targets = controlTargets(results);
  for (const { path, svg } of controlFigures(results)) writeFileSync(join(root, 'docs', path), svg);
  writeFileSync(join(root, 'docs/control.md'), controlPage(results, targets));
  const speedTarget = {
    what: 'simulated requests per second of one core, one policy',
    asked: `>= ${speedAsked / 1e6} M`,
    measured: `${rounded(perSecond / 1e6)} M`,
    met: perSecond >= speedAsked,
  };
  return {
    name,
    rows: results.map(summaryRow),
    targets: [...targets, speedTarget],
    notes: [
      'p99 in ms over the whole of each scenario, by policy; docs/control.md has all figures.',
      `Speed: ${speedScenario} under balance, requests by CPU time, the best of 3 runs.`,
    ],
  };
}

const summaryRow = ({ scenario, policies }: SimulationResult): Row => ({
  scenario,
  ...Object.fromEntries(
    policies.map(({ policy, overall }) => [policy, rounded((overall.p99_ns ?? Number.NaN) / 1e6)]),
  ),
});
