#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { exitCode, InbandError } from '../errors.ts';
import { printable } from '../report/format.ts';
import { packageVersion } from '../version.ts';
import { backendSetupCommand } from './backend-setup.ts';
import { checkCommand } from './check.ts';
import { configSchemaCommand } from './config-schema.ts';
import { demoCommand } from './demo.ts';
import { diffCommand } from './diff.ts';
import { doctorCommand } from './doctor.ts';
import { evalCommand } from './eval.ts';
import { labCommand } from './lab.ts';
import { replayCommand } from './replay.ts';
import { runCommand } from './run.ts';
import { samplesCommand } from './samples.ts';
import { simulateCommand } from './simulate.ts';
import { statusCommand } from './status.ts';
import { whyCommand } from './why.ts';

function program(): Command {
  const inband = new Command('inband')
    .description('Latency-aware layer-4 load balancer: direct server return, Maglev, in-band feedback')
    .version(packageVersion())
    .configureHelp({ showGlobalOptions: true });
  const commands = [
    runCommand(),
    checkCommand(),
    diffCommand(),
    configSchemaCommand(),
    statusCommand(),
    whyCommand(),
    samplesCommand(),
    doctorCommand(),
    backendSetupCommand(),
    demoCommand(),
    replayCommand(),
    evalCommand(),
    simulateCommand(),
    labCommand(),
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

/** One line for what happened and one for what to do, as exit code what kind of failure it was. */
function report(error: unknown): number {
  if (error instanceof InbandError) {
    for (const line of error.details) process.stderr.write(`${printable(line)}\n`);
    process.stderr.write(`inband: ${printable(error.message)} [${error.code}]\n`);
    if (error.hint !== undefined) process.stderr.write(`hint: ${printable(error.hint)}\n`);
    return error.exitCode;
  }
  // Commander has already written the help: asked for, or in place of a command that is missing.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.ok : exitCode.usage;
  process.stderr.write(`inband: internal error: ${error instanceof Error ? error.stack : error}\n`);
  return exitCode.failure;
}

// A reader that went away (`inband ... | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCode.ok);
  process.exit(
    report(new InbandError('FILE_UNWRITABLE', `standard output: cannot be written (${error.code})`)),
  );
});

try {
  await program().parseAsync();
} catch (error) {
  process.exitCode = report(error);
}
