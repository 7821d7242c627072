import type { Command } from 'commander';
import { weightMax } from '../config/settings.ts';
import { usage } from './flags.ts';
import { type BackendFlags, backendCommand, change } from './remote.ts';

export function weightCommand(): Command {
  return backendCommand('weight', 'Change the weight of a backend without touching the configuration file')
    .argument('<WEIGHT>', `above 0 and at most ${weightMax}, or 'default': as configured`)
    .action((backend: string, weight: string, flags: BackendFlags) =>
      change(flags, backend, { weight: parseWeight(weight) }),
    );
}

function parseWeight(text: string): number | null {
  if (text === 'default') return null;
  const weight = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (weight > 0 && weight <= weightMax) return weight;
  if (weight === 0) throw usage('a weight is above 0', '`inband drain` gives a backend no new flows');
  throw usage(`'${text}' is not a weight`, `give a number above 0 and at most ${weightMax}, or default`);
}
