import type { Command } from 'commander';
import { weightMax } from '../config/settings.ts';
import { usage } from './flags.ts';
import { type BackendFlags, backendCommand, change } from './remote.ts';

export function weightCommand(): Command {
  return backendCommand('weight', 'Change the weight of a backend without touching the configuration file')
    .argument('<WEIGHT>', `0, for no new flows, to ${weightMax}, or 'default': as configured`)
    .action((backend: string, weight: string, flags: BackendFlags) =>
      change(flags, backend, { weight: parseWeight(weight) }),
    );
}

function parseWeight(text: string): number | null {
  if (text === 'default') return null;
  const weight = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (weight <= weightMax) return weight;
  throw usage(`'${text}' is not a weight`, `give a number from 0 to ${weightMax}, or default`);
}
