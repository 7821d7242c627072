import { Command } from 'commander';
import { ask } from '../admin/client.ts';
import { socketDefault } from '../admin/server.ts';
import type { Why } from '../daemon.ts';
import { whyText } from '../report/why.ts';
import { usage } from './flags.ts';

export function whyCommand(): Command {
  return new Command('why')
    .description(
      'Why a backend of a running load balancer has the share that it has: the last decisions about it',
    )
    .argument('<BACKEND>', 'address of the backend')
    .option('--socket <PATH>', 'socket of the daemon', socketDefault)
    .option('--json', 'print one JSON object')
    .action(async (backend: string, { socket, json }: { socket: string; json?: true }) => {
      const why = onlyOf(await ask<Why>(socket, '/why'), backend);
      const color = process.stdout.hasColors?.() ?? false;
      process.stdout.write(`${json ? JSON.stringify(why) : whyText(why, { color })}\n`);
    });
}

/**
 * The same of one backend, for the vips that have it.
 * @throws InbandError `USAGE` with those that there are, if none does
 */
export function onlyOf(why: Why, backend: string): Why {
  const vips = why.vips.flatMap((vip) => {
    const backends = vip.backends.filter((one) => one.backend === backend);
    return backends.length > 0 ? [{ ...vip, backends }] : [];
  });
  if (vips.length > 0) return { ...why, vips };
  const names = [...new Set(why.vips.flatMap(({ backends }) => backends.map((one) => one.backend)))];
  throw usage(`'${backend}' is not a backend of the running load balancer`, `one of ${names.join(', ')}`);
}
