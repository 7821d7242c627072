import { Command } from 'commander';
import { InbandError } from '../errors.ts';
import { packageVersion } from '../version.ts';
import { backendSetupCommand } from './backend-setup.ts';
import { backendsCommand } from './backends.ts';
import { bundleCommand } from './bundle.ts';
import { checkCommand } from './check.ts';
import { completionCommand } from './completion.ts';
import { configSchemaCommand } from './config-schema.ts';
import { demoCommand } from './demo.ts';
import { detachCommand } from './detach.ts';
import { diffCommand } from './diff.ts';
import { doctorCommand } from './doctor.ts';
import { drainCommand } from './drain.ts';
import { evalCommand } from './eval.ts';
import { flowsCommand } from './flows.ts';
import { labCommand } from './lab.ts';
import { maintenanceCommand } from './maintenance.ts';
import { readyCommand } from './ready.ts';
import { reloadCommand } from './reload.ts';
import { replayCommand } from './replay.ts';
import { runCommand } from './run.ts';
import { samplesCommand } from './samples.ts';
import { simulateCommand } from './simulate.ts';
import { statusCommand } from './status.ts';
import { traceCommand } from './trace.ts';
import { weightCommand } from './weight.ts';
import { whyCommand } from './why.ts';

/** The `inband` command with all below it. Man pages and completions are made from it. */
export function program(): Command {
  const inband = new Command('inband')
    .description('Latency-aware layer-4 load balancer: direct server return, Maglev, in-band feedback')
    .version(packageVersion())
    .configureHelp({ showGlobalOptions: true });
  const commands = [
    runCommand(),
    detachCommand(),
    checkCommand(),
    diffCommand(),
    configSchemaCommand(),
    reloadCommand(),
    statusCommand(),
    backendsCommand(),
    flowsCommand(),
    traceCommand(),
    whyCommand(),
    samplesCommand(),
    drainCommand(),
    readyCommand(),
    maintenanceCommand(),
    weightCommand(),
    doctorCommand(),
    bundleCommand(),
    backendSetupCommand(),
    demoCommand(),
    replayCommand(),
    evalCommand(),
    simulateCommand(),
    labCommand(),
    completionCommand(),
  ];
  for (const command of commands) inband.addCommand(command);
  throwUsage(inband, 'inband');
  return inband;
}

/** Makes a command line that cannot be understood an error like any other, for a command and all below it. */
function throwUsage(command: Command, path: string): void {
  command.configureOutput({ outputError: () => {} });
  command.exitOverride((error) => {
    if (error.code.startsWith('commander.help') || error.exitCode === 0) throw error;
    const [message, suggestion] = error.message.replace(/^error: /, '').split('\n');
    const hint = suggestion ? suggestion.replace(/^\((.*)\)$/, '$1') : `${path} --help shows what is allowed`;
    throw new InbandError('USAGE', message!, { hint });
  });
  for (const below of command.commands) throwUsage(below, `${path} ${below.name()}`);
}
