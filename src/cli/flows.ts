import { type Command, Option } from 'commander';
import {
  type BackendsAnswer,
  type FlowState,
  type FlowsAnswer,
  flowStates,
  flowsLimit,
} from '../admin/answers.ts';
import { ask } from '../admin/client.ts';
import { InbandError } from '../errors.ts';
import { flowsText } from '../report/flows.ts';
import { printable } from '../report/format.ts';
import { usage } from './flags.ts';
import { findBackend, print, type RemoteFlags, remoteCommand } from './remote.ts';

interface Flags extends RemoteFlags {
  readonly vip?: string;
  readonly backend?: string;
  readonly client?: string;
  readonly state?: FlowState;
  readonly limit?: number;
}

export function flowsCommand(): Command {
  return remoteCommand('flows', 'The flows that a running load balancer knows')
    .option('--vip <VIP>', 'only those to this vip')
    .option('--backend <BACKEND>', 'only those of this backend')
    .option('--client <ADDR[:PORT]>', 'only those from this client')
    .addOption(new Option('--state <STATE>', 'only those in this state').choices(flowStates))
    .option(
      '--limit <COUNT>',
      `print no more than these, at most ${flowsLimit.most} (default: ${flowsLimit.usual})`,
      parseLimit,
    )
    .action(async (flags: Flags) => {
      const answer = await ask<FlowsAnswer>(flags.socket, `/flows${queryOf(flags)}`);
      print(flags, answer, flowsText);
      if (answer.matched === 0 && flags.backend !== undefined) await noteUnknown(flags.socket, flags.backend);
    });
}

/** A backend that was removed may still hold flows: that one is not configured is said, and is no mistake. */
async function noteUnknown(socket: string, backend: string): Promise<void> {
  const { backends } = await ask<BackendsAnswer>(socket, '/backends');
  try {
    findBackend(backends, backend);
  } catch (error) {
    if (!(error instanceof InbandError)) throw error;
    process.stderr.write(`inband: ${printable(error.message)}, ${printable(error.hint ?? '')}\n`);
  }
}

function queryOf(flags: Flags): string {
  const query = new URLSearchParams();
  for (const key of ['vip', 'backend', 'client', 'state', 'limit'] as const) {
    if (flags[key] !== undefined) query.set(key, String(flags[key]));
  }
  return query.size > 0 ? `?${query}` : '';
}

function parseLimit(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text) && Number(text) <= flowsLimit.most) return Number(text);
  throw usage(`--limit: '${text}' is no number of flows`, `give a number from 1 to ${flowsLimit.most}`);
}
