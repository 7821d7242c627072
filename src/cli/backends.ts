import type { Command } from 'commander';
import type { BackendsAnswer } from '../admin/answers.ts';
import { ask } from '../admin/client.ts';
import { backendsText } from '../report/backends.ts';
import { type BackendFlags, findVip, print, remoteCommand, unique } from './remote.ts';

export function backendsCommand(): Command {
  return remoteCommand(
    'backends',
    'The backends of a running load balancer: state, health, share, flows, latency',
  )
    .option('--vip <VIP>', 'only those of this vip')
    .action(async (flags: BackendFlags) => {
      const answer = await ask<BackendsAnswer>(flags.socket, '/backends');
      print(flags, ofVip(answer, flags.vip), backendsText);
    });
}

/** @throws InbandError `USAGE` for a vip that is not there */
function ofVip(answer: BackendsAnswer, text: string | undefined): BackendsAnswer {
  if (text === undefined) return answer;
  const vip = findVip(unique(answer.backends.map((one) => one.vip)), text);
  return { ...answer, backends: answer.backends.filter((one) => one.vip === vip) };
}
