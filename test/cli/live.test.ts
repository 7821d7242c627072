import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BackendsAnswer, FlowAnswer, FlowsAnswer, TraceAnswer } from '../../src/admin/answers.ts';
import { backendsCommand } from '../../src/cli/backends.ts';
import { flowsCommand } from '../../src/cli/flows.ts';
import { readyCommand } from '../../src/cli/ready.ts';
import { topCommand } from '../../src/cli/top.ts';
import { traceCommand } from '../../src/cli/trace.ts';
import { Daemon } from '../../src/demo/daemon.ts';
import { Lab } from '../../src/lab/lab.ts';
import { type ConnectionRecord, startLoad } from '../../src/lab/load.ts';
import { serverPort } from '../../src/lab/plan.ts';
import { labDirectory } from '../../src/lab/records.ts';
import type { TopView } from '../../src/report/top-view.ts';
import { daemonUnavailable, skipAll } from '../lab/require.ts';
import { runCli } from './capture.ts';
import { main } from './inband.ts';

const unavailable = daemonUnavailable();
skipAll(unavailable);

describe('commands against a daemon with traffic', () => {
  let lab: Lab;
  let daemon: Daemon;

  beforeAll(async () => {
    if (unavailable !== undefined) return;
    lab = await Lab.up({ servers: 3, clients: 1, application: 'kv', delayLines: false });
    daemon = await Daemon.start(lab, 'static', ['--datapath', 'xdp', '--flows', '65536']);
    await until(async () => {
      const { backends } = await json<BackendsAnswer>(backendsCommand());
      return backends.every(({ health }) => health.state === 'up');
    });
  });
  afterAll(async () => {
    await daemon?.stop();
    await lab?.down();
  });

  const json = async <T>(command: Command, ...argv: string[]): Promise<T> => {
    const socket = join(labDirectory(lab.id), 'inband.sock');
    return JSON.parse((await runCli(command, ...argv, '--json', '--socket', socket)).text);
  };

  async function until(isSo: () => Promise<boolean>): Promise<void> {
    for (const giveUp = performance.now() + 20_000; !(await isSo()); await sleep(50)) {
      if (performance.now() > giveUp) throw new Error('it never came to that');
    }
  }

  const vip = () => `${lab.vip}:${serverPort}/tcp`;
  const addressOf = ({ server }: ConnectionRecord) =>
    lab.servers.find(({ name }) => name === server)!.address;

  test('flows and trace name the server that each client really talks to', async () => {
    const load = startLoad(lab, lab.clients[0]!, {
      connections: 24,
      thinkUs: 2_000,
      durationMs: 30_000,
      account: true,
    });
    await until(async () => {
      const { matched } = await json<FlowsAnswer>(flowsCommand(), '--state', 'established');
      return matched >= 24;
    });
    const { flows } = await json<FlowsAnswer>(flowsCommand(), '--state', 'established');
    const { backends } = await json<BackendsAnswer>(backendsCommand());
    const [first] = backends;
    const own = await json<FlowsAnswer>(
      flowsCommand(),
      '--backend',
      first!.backend,
      '--state',
      'established',
    );
    expect(own.flows.map(({ client }) => client).sort()).toEqual(
      flows
        .filter(({ backend }) => backend === first!.backend)
        .map(({ client }) => client)
        .sort(),
    );
    const traces = new Map<string, TraceAnswer>();
    for (const { client } of flows.slice(0, 5)) {
      traces.set(client, await json<TraceAnswer>(traceCommand(), client, vip()));
    }
    await sleep(2_200);
    const top = await json<TopView>(topCommand(), '--once');
    expect(top.vips[0]!.packets_per_s).toBeGreaterThan(0);
    load.stop();
    const { connections } = await load.done;
    const known = new Map(flows.map((flow): [string, FlowAnswer] => [flow.client, flow]));
    const address = lab.clients[0]!.address;
    expect(connections).toHaveLength(24);
    for (const connection of connections) {
      const client = `${address}:${connection.port}`;
      expect(known.get(client)).toMatchObject({ vip: vip(), backend: addressOf(connection) });
      const trace = traces.get(client);
      if (trace) expect(trace).toMatchObject({ backend: addressOf(connection), by: 'flow' });
    }
    // A new flow from the same place goes where its slot says, which is where the first one went.
    for (const trace of traces.values()) expect(trace.slot_backend).toBe(trace.flow!.backend);
  });

  test('drain --wait ends when the last client left, breaks none and lets no new one in', async () => {
    const [drained] = lab.servers;
    const load = startLoad(lab, lab.clients[0]!, {
      connections: 24,
      requestsPerConnection: 20,
      thinkUs: 2_000,
      durationMs: 60_000,
      account: true,
    });
    await until(async () => {
      const { backends } = await json<BackendsAnswer>(backendsCommand());
      return backends.every(({ flows_held }) => flows_held > 0);
    });
    const socket = join(labDirectory(lab.id), 'inband.sock');
    const argv = ['drain', drained!.address, '--wait', '--json', '--socket', socket];
    const ended = promisify(execFile)(process.execPath, [main, ...argv], { timeout: 80_000 });
    await until(async () => {
      const { backends } = await json<BackendsAnswer>(backendsCommand());
      return backends.find(({ backend }) => backend === drained!.address)!.slots === 0;
    });
    const sinceNs = Number(process.hrtime.bigint());
    expect(JSON.parse((await ended).stdout)).toMatchObject({ end: 'drained', flows_left: 0 });
    load.stop();
    const { connections } = await load.done;
    const ends = new Set(connections.map(({ end }) => end));
    expect([...ends].filter((end) => end !== 'completed' && end !== 'kept')).toEqual([]);
    const late = connections.filter(({ startedNs }) => startedNs > sinceNs);
    expect(late.length).toBeGreaterThan(0);
    expect(late.filter(({ server }) => server === drained!.name)).toEqual([]);
    const before = connections.filter(({ server }) => server === drained!.name);
    expect(before.length).toBeGreaterThan(0);
    await json(readyCommand(), drained!.address);
    const { backends } = await json<BackendsAnswer>(backendsCommand());
    expect(backends.find(({ backend }) => backend === drained!.address)!.state).toBe('ready');
  }, 90_000);
});
