import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { DashboardRecorder } from '../../src/admin/dashboard/recorder.ts';
import { Metrics } from '../../src/admin/metrics.ts';
import { AdminServer } from '../../src/admin/server.ts';
import { backendsCommand } from '../../src/cli/backends.ts';
import { bundleCommand } from '../../src/cli/bundle.ts';
import { drainCommand } from '../../src/cli/drain.ts';
import { flowsCommand } from '../../src/cli/flows.ts';
import { maintenanceCommand } from '../../src/cli/maintenance.ts';
import { readyCommand } from '../../src/cli/ready.ts';
import { reloadCommand } from '../../src/cli/reload.ts';
import { statusCommand } from '../../src/cli/status.ts';
import { topCommand } from '../../src/cli/top.ts';
import { traceCommand } from '../../src/cli/trace.ts';
import { weightCommand } from '../../src/cli/weight.ts';
import { whyCommand } from '../../src/cli/why.ts';
import { localRoutes } from '../../src/daemon/routes.ts';
import { InbandError } from '../../src/errors.ts';
import { ns } from '../../src/units.ts';
import { aStage } from '../admin/balancer.ts';
import { aControl, dns, web } from '../daemon/stage.ts';
import { slowReason } from '../support/reason.ts';
import { runCli } from './capture.ts';

/** The routes of a daemon over a datapath without packets. */
async function aDaemon() {
  const stage = aControl();
  const { control, datapath, log, state } = stage;
  const socket = join(state, 'inband.sock');
  const view = { ...aStage().balancer, services: control.services, datapath };
  const recorder = new DashboardRecorder(view);
  const server = await AdminServer.listen(
    socket,
    localRoutes({
      control,
      facts: { startedAt: new Date(), pinned: null },
      metrics: new Metrics(view),
      recorder,
      log,
      reload: async () => {
        const { slotsMoved, changes } = await control.apply(control.settings);
        return { schema: 'inband.reload/1', took_ms: 1, slots_moved: slotsMoved, ...changes };
      },
    }),
  );
  onTestFinished(() => server.close());
  control.poll();
  const [service] = control.services;
  const [b, other] = service!.numbers;
  for (let i = 0; i < 50; i++) datapath.samples.record(b!, 0, 1e6, i);
  Object.assign(datapath.traffic(b!), { held: 2, flows: 5 });
  datapath.records = [1, 2, 3].map((n) => ({
    clientAddress: '192.0.2.7',
    clientPort: 40_000 + n,
    vip: service!.place,
    backend: n < 3 ? b! : other!,
    state: 'established',
    idleNs: n * 1e6,
    estimator: 'auto',
  }));
  service!.pool.decisions.add(ns(1e9), slowReason);
  await recorder.record();
  await recorder.record();
  const run = async (command: Command, ...argv: string[]) =>
    (await runCli(command, ...argv, '--socket', socket)).text;
  const json = async (command: Command, ...argv: string[]) =>
    JSON.parse(await run(command, ...argv, '--json'));
  return { ...stage, socket, run, json };
}

let daemon: Awaited<ReturnType<typeof aDaemon>>;
beforeEach(async () => {
  daemon = await aDaemon();
});

describe('commands and the routes of the daemon', () => {
  it('drain, and make ready again', async () => {
    const { run, json, slotsBy } = daemon;
    const { changed } = await json(drainCommand(), '10.0.0.11');
    expect(changed.map(({ vip, state }: { vip: string; state: string }) => [vip, state])).toEqual([
      [web, 'drain'],
      [dns, 'drain'],
    ]);
    expect(slotsBy(web)['10.0.0.11']).toBe(0);
    expect(await run(backendsCommand(), '--vip', web)).toMatch(/10\.0\.0\.11 +drain .* 0% /);
    await run(readyCommand(), '10.0.0.11', '--vip', web);
    expect(slotsBy(web)['10.0.0.11']).toBeGreaterThan(0);
    expect(slotsBy(dns)['10.0.0.11']).toBe(0);
  });

  it('wait for the flows of a backend to end', async () => {
    const { datapath, control, run } = daemon;
    const traffic = datapath.traffic(control.services[0]!.numbers[0]!);
    setTimeout(() => Object.assign(traffic, { held: 0 }), 300);
    expect(await run(drainCommand(), '10.0.0.11', '--vip', web, '--wait')).toMatch(
      /2 flows held\nno flows left after /,
    );
  });

  it('change weights, to 0 and back', async () => {
    const { run, slotsBy } = daemon;
    await run(weightCommand(), '10.0.0.11', '3', '--vip', web);
    expect(slotsBy(web)['10.0.0.11']! / slotsBy(web)['10.0.0.12']!).toBeCloseTo(3, 1);
    await run(weightCommand(), '10.0.0.11', '0', '--vip', web);
    expect(slotsBy(web)['10.0.0.11']).toBe(0);
    expect(await run(weightCommand(), '10.0.0.11', 'default')).toContain('weight 1');
    expect(slotsBy(web)['10.0.0.11']).toBeGreaterThan(500);
  });

  it('find flows by what they are', async () => {
    const { json } = daemon;
    const found = async (...argv: string[]) => (await json(flowsCommand(), ...argv)).matched;
    expect(await found()).toBe(3);
    expect(await found('--backend', '10.0.0.12')).toBe(1);
    expect(await found('--client', '192.0.2.7:40001')).toBe(1);
    expect(await found('--state', 'closing')).toBe(0);
    expect((await json(flowsCommand(), '--limit', '2')).truncated).toBe(true);
    const said = vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
    onTestFinished(() => said.mockRestore());
    expect(await found('--backend', '10.0.0.21')).toBe(0);
    expect(said.mock.calls).toEqual([
      ["inband: '10.0.0.21' is not a backend of the running load balancer, did you mean 10.0.0.11?\n"],
    ]);
    await expect(found('--client', 'me')).rejects.toThrow(InbandError);
  });

  it('trace a client with a flow, and one without', async () => {
    const { run, json } = daemon;
    expect(await run(traceCommand(), '192.0.2.7:40001', web)).toMatch(
      /^192\.0\.2\.7:40001 to 10\.0\.0\.1:80\/tcp goes to 10\.0\.0\.11\n {2}The established flow/,
    );
    expect(await json(traceCommand(), '192.0.2.7:1', web)).toMatchObject({ flow: null, by: 'slot' });
    await expect(run(traceCommand(), '[2001:db8::1]:1', web)).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('put in maintenance', async () => {
    const { run } = daemon;
    expect(await run(maintenanceCommand(), '10.0.0.12')).toContain('in maintenance');
    expect(await run(statusCommand())).toMatch(/10\.0\.0\.12 +maintenance/);
  });
});

/** Paths of an object's keys; below `byName` they are names of counters and kinds. */
function keysOf(value: unknown, byName: readonly string[], path = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((one) => keysOf(one, byName, `${path}[]`));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const own = path === '' ? key : `${path}.${key}`;
    return byName.includes(path) ? keysOf(inner, byName, path) : [own, ...keysOf(inner, byName, own)];
  });
}

describe('docs/commands.md', () => {
  const text = readFileSync(new URL('../../docs/commands.md', import.meta.url), 'utf8');

  /** Words in code of the table of a schema. */
  function documented(schema: string): Set<string> {
    const table = text.split('\n\n').find((block) => block.startsWith(`| key of \`${schema}\``));
    if (table === undefined) throw new Error(`there is no table of ${schema}`);
    const words = [...table.matchAll(/`([^`]+)`/g)].map(([, word]) => word!);
    return new Set(words.map((word) => word.split(/\.|\[\]\.?/).findLast((part) => part !== '')!));
  }

  const answers: Readonly<Record<string, () => Promise<unknown>>> = {
    'inband.status/1': () => daemon.json(statusCommand()),
    'inband.top/1': () => daemon.json(topCommand(), '--once'),
    'inband.backends/1': () => daemon.json(backendsCommand()),
    'inband.flows/1': () => daemon.json(flowsCommand()),
    'inband.trace/1': () => daemon.json(traceCommand(), '192.0.2.7:40001', web),
    'inband.why/1': () => daemon.json(whyCommand(), '10.0.0.11'),
    'inband.change/1': () => daemon.json(readyCommand(), '10.0.0.11'),
    'inband.reload/1': () => daemon.json(reloadCommand()),
    'inband.bundle/1': () =>
      daemon.json(bundleCommand(), join(daemon.state, 'b.tar.gz'), '--interface', 'lo'),
  };

  it.each(Object.keys(answers))('has every key of %s', async (schema) => {
    const answer = (await answers[schema]!()) as { schema: string };
    expect(answer.schema).toBe(schema);
    const byName = [
      'packets',
      'vips[].backends[].latency',
      ...(schema === 'inband.status/1' ? ['flows'] : []),
    ];
    const known = documented(schema);
    const missing = keysOf(answer, byName).filter((path) => {
      const key = path.split('.').at(-1)!.replaceAll('[]', '');
      // What status says of health is what backends says, documented there.
      const elsewhere = schema === 'inband.status/1' && path.includes('.health.');
      return path !== 'schema' && !elsewhere && !known.has(key);
    });
    expect(missing).toEqual([]);
  });

  it('has every command that asks a daemon, and every schema', () => {
    for (const schema of Object.keys(answers)) expect(text.split(schema).length).toBeGreaterThan(2);
    expect(text).toContain('| key of `inband.drain/1`');
  });
});
