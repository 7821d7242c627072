#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { exitCode, InbandError } from '../errors.ts';
import { replayCommand } from './replay.ts';

/** Version in package.json, the only place that has it. */
function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

function program(): Command {
  const inband = new Command('inband')
    .description('Latency-aware layer-4 load balancer: direct server return, Maglev, in-band feedback')
    .version(version())
    .showHelpAfterError('(--help shows what is allowed)')
    .configureHelp({ showGlobalOptions: true });
  for (const command of [replayCommand()]) inband.addCommand(command);
  for (const command of [inband, ...inband.commands]) command.exitOverride();
  return inband;
}

/** One line for what happened and one for what to do, as exit code what kind of failure it was. */
function report(error: unknown): number {
  if (error instanceof InbandError) {
    process.stderr.write(`inband: ${error.message} [${error.code}]\n`);
    if (error.hint !== undefined) process.stderr.write(`hint: ${error.hint}\n`);
    return error.exitCode;
  }
  // Commander has already written what was wrong, or the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.ok : exitCode.usage;
  process.stderr.write(`inband: internal error: ${error instanceof Error ? error.stack : error}\n`);
  return exitCode.failure;
}

// A reader that went away (`inband ... | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? exitCode.ok : exitCode.failure);
});

try {
  await program().parseAsync();
} catch (error) {
  process.exitCode = report(error);
}
