import { Argument, Command } from 'commander';
import { completions, type Shell, shells } from '../manual/manual.ts';
import { syntaxOf } from '../manual/syntax.ts';

export function completionCommand(): Command {
  return new Command('completion')
    .description('Print what completes the command line of inband in a shell')
    .addArgument(new Argument('<shell>', 'the shell').choices(shells))
    .action((shell: Shell, _: unknown, command: Command) => {
      process.stdout.write(completions[shell](syntaxOf(command.parent!)));
    });
}
