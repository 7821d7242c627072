import { Command } from 'commander';
import { ask } from '../admin/client.ts';
import { socketDefault } from '../admin/server.ts';
import type { Status } from '../daemon.ts';
import { statusText } from '../report/status.ts';

export function statusCommand(): Command {
  return new Command('status')
    .description('What a running load balancer does: vips, backends, shares, latencies, counters')
    .option('--socket <PATH>', 'socket of the daemon', socketDefault)
    .option('--json', 'print one JSON object')
    .action(async ({ socket, json }: { socket: string; json?: true }) => {
      const status = await ask<Status>(socket, '/status');
      const { stdout } = process;
      const options = { width: stdout.columns ?? 100, color: stdout.hasColors?.() ?? false };
      stdout.write(`${json ? JSON.stringify(status) : statusText(status, options)}\n`);
    });
}
