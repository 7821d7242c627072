import type { Command } from 'commander';
import type { ReloadAnswer } from '../admin/answers.ts';
import { post } from '../admin/client.ts';
import { reloadText } from '../report/reload.ts';
import { print, type RemoteFlags, remoteCommand } from './remote.ts';

export function reloadCommand(): Command {
  return remoteCommand(
    'reload',
    'Have the daemon read its configuration file again; all or nothing, as with SIGHUP',
  ).action(async (flags: RemoteFlags) => {
    print(flags, await post<ReloadAnswer>(flags.socket, '/reload', {}), reloadText);
  });
}
