import type { Command } from 'commander';
import type { BackendsAnswer, TraceAnswer } from '../admin/answers.ts';
import { ask } from '../admin/client.ts';
import { parseAddress } from '../net/address.ts';
import { traceText } from '../report/trace.ts';
import { usage } from './flags.ts';
import { findVip, print, type RemoteFlags, remoteCommand, unique } from './remote.ts';

export function traceCommand(): Command {
  return remoteCommand('trace', 'Where packets of a client go, and why')
    .argument('<CLIENT:PORT>', 'where the client sends from: 192.0.2.7:40312, [2001:db8::7]:40312')
    .argument('<VIP>', 'what it sends to: 10.0.0.100:80/tcp')
    .action(async (client: string, vip: string, flags: RemoteFlags) => {
      checkClient(client);
      const { backends } = await ask<BackendsAnswer>(flags.socket, '/backends');
      const query = new URLSearchParams({
        client,
        vip: findVip(unique(backends.map((one) => one.vip)), vip),
      });
      print(flags, await ask<TraceAnswer>(flags.socket, `/trace?${query}`), traceText);
    });
}

/** @throws InbandError `USAGE` for what is no address with a port */
function checkClient(text: string): void {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const address = match && parseAddress(match[1] ?? match[2]!);
  const isPort = match !== null && Number(match[3]) >= 1 && Number(match[3]) <= 65535;
  if (address && isPort && (match[1] === undefined) === (address.family === 4)) return;
  throw usage(`'${text}' is not CLIENT:PORT`, 'for example 192.0.2.7:40312 or [2001:db8::7]:40312');
}
