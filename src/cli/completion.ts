import { Argument, Command } from 'commander';
import { completions, type Shell, shells } from '../manual/manual.ts';
import { syntaxOf } from '../manual/syntax.ts';
import { program } from './program.ts';

export function completionCommand(): Command {
  return new Command('completion')
    .description('Print what completes the command line of inband in a shell')
    .addArgument(new Argument('<shell>', 'the shell').choices(shells))
    .action(async (shell: Shell) => {
      process.stdout.write(completions[shell](syntaxOf(await program())));
    });
}
