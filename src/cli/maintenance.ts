import type { Command } from 'commander';
import { type BackendFlags, backendCommand, change } from './remote.ts';

export function maintenanceCommand(): Command {
  return backendCommand(
    'maintenance',
    'Take a backend out: no new flows, no checks, and its flows meet what lost_flows says',
  ).action((backend: string, flags: BackendFlags) => change(flags, backend, { state: 'maintenance' }));
}
