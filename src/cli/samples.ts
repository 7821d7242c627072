import { Command } from 'commander';
import { follow } from '../admin/client.ts';
import { socketDefault } from '../admin/server.ts';

export function samplesCommand(): Command {
  return new Command('samples')
    .description('Print latency samples of a running load balancer as they are taken, one JSON object a line')
    .option('--socket <PATH>', 'socket of the daemon', socketDefault)
    .requiredOption('--follow', 'go on until interrupted')
    .action(async ({ socket }: { socket: string }) => {
      for await (const sample of follow(socket, '/samples'))
        process.stdout.write(`${JSON.stringify(sample)}\n`);
    });
}
