import type { Command } from 'commander';
import { ask } from '../admin/client.ts';
import type { Why } from '../daemon.ts';
import { whyText } from '../report/why.ts';
import { type BackendFlags, backendCommand, findBackend, print } from './remote.ts';

export function whyCommand(): Command {
  return backendCommand(
    'why',
    'Why a backend of a running load balancer has the share that it has: the last decisions about it',
  ).action(async (backend: string, flags: BackendFlags) => {
    print(flags, onlyOf(await ask<Why>(flags.socket, '/why'), backend, flags.vip), whyText);
  });
}

/**
 * The same of one backend, for the vips that have it, or for one of them.
 * @throws InbandError `USAGE` with what was probably meant, if none does
 */
export function onlyOf(why: Why, text: string, vipText?: string): Why {
  const all = why.vips.flatMap(({ vip, backends }) => backends.map(({ backend }) => ({ vip, backend })));
  const wanted = findBackend(all, text, vipText);
  const vips = why.vips.flatMap((vip) => {
    const backends = vip.backends.filter((one) => one.backend === wanted.backend);
    const isWanted = backends.length > 0 && (wanted.vip === undefined || wanted.vip === vip.vip);
    return isWanted ? [{ ...vip, backends }] : [];
  });
  return { ...why, vips };
}
