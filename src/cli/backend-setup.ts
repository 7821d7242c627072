import { Command, Option } from 'commander';
import { applyPlan, type Step } from '../doctor/backend-apply.ts';
import { type BackendPlan, planBackend, planCommands, planScript } from '../doctor/backend-plan.ts';
import { type Endpoint, formatEndpoint, parseEndpoint } from '../net/address.ts';
import { collect, usage } from './flags.ts';

interface Flags {
  vip: Endpoint[];
  apply?: true;
  json?: true;
}

export function backendSetupCommand(): Command {
  return new Command('backend-setup')
    .description(
      'Print what a server behind the load balancer needs to answer clients directly, or set it up',
    )
    .addOption(
      new Option('--vip <ADDR:PORT/PROTO>', 'what clients connect to; repeatable')
        .argParser(collect((text) => parseEndpoint(text, '--vip')))
        .default([], 'none'),
    )
    .option('--apply', 'set up this machine, until it restarts, and verify it; needs root')
    .option('--json', 'print the result as one JSON object')
    .action(run);
}

function run({ vip, apply, json }: Flags): void {
  if (vip.length === 0) throw usage('backend-setup needs a vip', 'name it: --vip 10.0.0.1:80/tcp');
  const plan = planBackend(vip);
  const steps = apply ? applyPlan(plan) : undefined;
  if (json) print(JSON.stringify(toJson(vip, plan, steps)));
  else if (steps) print(stepLines(steps).join('\n'));
  else print(planScript(plan, vip));
}

const print = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

function stepLines(steps: readonly Step[]): string[] {
  const width = Math.max(...steps.map(({ what }) => what.length));
  const lines = steps.map(({ what, state, found }) => `${state.padEnd(7)}  ${what.padEnd(width)}  ${found}`);
  return [...lines, '', 'set up until the next restart; without --apply, this says how to keep it'];
}

const toJson = (vips: readonly Endpoint[], plan: BackendPlan, steps: readonly Step[] | undefined) => ({
  schema: 'inband.backend-setup/1',
  vips: [...new Set(vips.map(formatEndpoint))],
  commands: planCommands(plan),
  applied: steps ?? null,
});
