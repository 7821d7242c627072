import type { Command } from 'commander';
import { type BackendFlags, backendCommand, change } from './remote.ts';

export function readyCommand(): Command {
  return backendCommand('ready', 'Give a backend new flows again, after drain or maintenance').action(
    (backend: string, flags: BackendFlags) => change(flags, backend, { state: 'ready' }),
  );
}
