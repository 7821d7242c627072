import { Command } from 'commander';
import { ask } from '../admin/client.ts';
import { type Difference, difference, type FlowsOf } from '../config/difference.ts';
import { loadConfig, readRunning } from '../config/load.ts';
import type { Settings } from '../config/settings.ts';
import type { Status } from '../daemon.ts';
import { differenceText } from '../report/config-difference.ts';

interface Flags {
  socket?: string;
  json?: true;
}

export function diffCommand(): Command {
  return new Command('diff')
    .description('What a configuration file would change, in vips, backends and slots')
    .argument('<file>', 'configuration file; with a second one, the one before')
    .argument('[new]', 'configuration file to compare with, instead of with the running daemon')
    .option('--socket <PATH>', "socket of the daemon (default: the file's)")
    .option('--json', 'print the result as one JSON object')
    .action(async (file: string, next: string | undefined, flags: Flags) => {
      const found =
        next === undefined ? await withDaemon(loadConfig(file), flags.socket) : between(file, next);
      const { stdout } = process;
      const options = { width: stdout.columns ?? 100, color: stdout.hasColors?.() ?? false };
      const text = flags.json
        ? JSON.stringify({ schema: 'inband.diff/1', ...found })
        : differenceText(found, options);
      stdout.write(`${text}\n`);
    });
}

const between = (file: string, next: string): Difference => difference(loadConfig(file), loadConfig(next));

/** What settings change in the daemon that answers on a socket. */
async function withDaemon(after: Settings, socket = after.socket): Promise<Difference> {
  const { config } = await ask<{ config: unknown }>(socket, '/config');
  const status = await ask<Status>(socket, '/status');
  return difference(readRunning(config, socket), after, flowsIn(status));
}

function flowsIn({ vips }: Status): FlowsOf {
  const flows = new Map(
    vips.flatMap(({ vip, backends }) =>
      backends.map(({ backend, held, flows }) => [`${vip} ${backend}`, { held, begun: flows }]),
    ),
  );
  return (vip, backend) => flows.get(`${vip} ${backend}`) ?? null;
}
