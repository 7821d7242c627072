#!/usr/bin/env node
import { CommanderError } from 'commander';
import { exitCode, InbandError } from '../errors.ts';
import { printable } from '../report/format.ts';
import { program } from './program.ts';

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
  await (await program(process.argv[2])).parseAsync();
} catch (error) {
  process.exitCode = report(error);
}
