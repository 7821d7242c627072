import { Command } from 'commander';
import { detach } from '../datapath/xdp/detach.ts';
import { pinDirectoryOf } from '../datapath/xdp/pins.ts';
import { printable } from '../report/format.ts';

export function detachCommand(): Command {
  return new Command('detach')
    .description(
      'Take down what a load balancer that has ended left on an interface: from then on it does not forward',
    )
    .requiredOption('--interface <NAME>', 'where it runs')
    .option('--pin <DIR>', 'where it is pinned (default: /sys/fs/bpf/inband/<interface>-<network namespace>)')
    .option('--json', 'print one JSON object')
    .action((flags: { interface: string; pin?: string; json?: true }) => {
      const result = detach(flags.interface, flags.pin ?? pinDirectoryOf(flags.interface));
      const text = result.detached
        ? `${result.interface}: taken down, ${result.pin} is removed`
        : `${result.interface}: nothing runs from ${result.pin}${result.removed ? ', which is removed' : ''}`;
      process.stdout.write(`${flags.json ? JSON.stringify(result) : printable(text)}\n`);
    });
}
