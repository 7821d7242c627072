import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { ask } from '../../src/admin/client.ts';
import { diffCommand } from '../../src/cli/diff.ts';
import { settingsOf } from '../../src/cli/run-flags.ts';
import { toDocument } from '../../src/config/write.ts';
import type { Status } from '../../src/daemon.ts';
import { healthDefault } from '../../src/health/settings.ts';
import { Lab } from '../../src/lab/lab.ts';
import { serverPort } from '../../src/lab/plan.ts';
import { labDirectory } from '../../src/lab/records.ts';
import { parseEndpoint } from '../../src/net/address.ts';
import { ns } from '../../src/units.ts';
import { temporaryFile } from '../datapath/replay/support.ts';
import { daemonUnavailable } from '../lab/require.ts';
import { runCli } from './capture.ts';
import { inband, main } from './inband.ts';

const file = () =>
  temporaryFile(
    'lb.yaml',
    `interface: eth0
vips:
  - { address: 10.0.0.1:80/tcp, pool: { backends: [10.0.0.11, 10.0.0.12] } }
  - { address: 10.0.0.2:80/tcp, pool: { backends: [10.0.0.13] }, policy: static }
policy: { name: l3, penalty: 300ms }
slots: 251
log: { level: warn }
`,
  );
const flags = { vip: [], backend: [], config: '' };

describe('flags and a file together', () => {
  test('what no flag says is as the file has it', () => {
    const settings = settingsOf({ ...flags, config: file() });
    expect(settings).toMatchObject({
      interface: 'eth0',
      slots: 251,
      logLevel: 'warn',
      tickNs: 1e6,
      epochNs: 64e6,
    });
    expect(settings.vips.map(({ backends, policy }) => [backends.length, policy.name])).toEqual([
      [2, 'l3'],
      [1, 'static'],
    ]);
  });

  test('warnings about the file are handed on', () => {
    const path = file();
    const warnings: string[] = [];
    settingsOf({ ...flags, config: path }, (line) => warnings.push(line));
    expect(warnings).toEqual([
      `${path}:4:51: vips[1].pool.backends: warning: with one backend there is nothing to balance`,
    ]);
  });

  test('a flag overrides the file', () => {
    const settings = settingsOf({
      ...flags,
      config: file(),
      interface: 'lb0',
      slots: 257,
      tick: ns(2e6),
      logLevel: 'info',
    });
    expect(settings).toMatchObject({ interface: 'lb0', slots: 257, logLevel: 'info', tickNs: 2e6 });
    expect(settings.vips).toHaveLength(2);
  });

  test('--vip and --backend replace all vips and pools, and the common policy stays', () => {
    const vip = [parseEndpoint('10.0.0.9:80/tcp', '--vip'), parseEndpoint('10.0.0.9:443/tcp', '--vip')];
    const backend = [{ name: '10.0.0.21', weight: 2 }];
    const { vips } = settingsOf({ ...flags, config: file(), vip, backend });
    expect(vips).toEqual(
      vip.map((endpoint) => ({
        endpoint,
        backends: backend,
        policy: { name: 'l3', settings: { penalty: 300e6 } },
        health: healthDefault,
        lostFlows: 'keep',
      })),
    );
    expect(() => settingsOf({ ...flags, config: file(), vip })).toThrow('--backend is missing');
    expect(() => settingsOf({ ...flags, config: file(), backend })).toThrow('--vip is missing');
  });

  test('--policy is for every vip, and --alpha for those whose policy has it', () => {
    const all = settingsOf({ ...flags, config: file(), policy: 'shift', alpha: 0.3 });
    expect(all.vips.map(({ policy }) => policy)).toEqual([
      { name: 'shift', settings: { alpha: 0.3 } },
      { name: 'shift', settings: { alpha: 0.3 } },
    ]);
    const own = settingsOf({ ...flags, config: file(), alpha: 0.3 });
    expect(own.vips.map(({ policy }) => policy.settings)).toEqual([{ penalty: 300e6 }, {}]);
  });

  test('without a file flags are all there is', () => {
    const { config: _, ...none } = flags;
    expect(() => settingsOf(none)).toThrow('--interface is missing');
    expect(() => settingsOf({ ...none, interface: 'eth0' })).toThrow('--vip is missing');
    const vip = [parseEndpoint('10.0.0.9:80/tcp', '--vip')];
    const backend = [{ name: '10.0.0.21', weight: 1 }];
    expect(settingsOf({ ...none, interface: 'eth0', vip, backend })).toMatchObject({
      slots: 65_537,
      datapath: 'auto',
    });
    expect(() => settingsOf({ ...none, interface: 'eth0', vip, backend, slots: 12 })).toThrow(
      'cannot have 12 slots',
    );
  });
});

test('inband run with a file that is not valid tells every mistake and runs nothing', async () => {
  const path = temporaryFile('lb.yaml', 'interface: lo\nvips: []\ntick: 1h\n');
  const { code, stdout, stderr } = await inband(['run', '--config', path]);
  expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
  expect(stderr).toBe(
    `${path}:2:7: vips: empty; give at least one
${path}:3:7: tick: '1h' is out of range; give 1ms to 1s
inband: ${path}: 2 errors [CONFIG_INVALID]
hint: docs/configuration.md describes every key
`,
  );
});

const reason = daemonUnavailable();

describe('inband run --config with two vips before servers of their own', () => {
  let lab: Lab;
  let socket: string;
  let path: string;
  let stop: () => Promise<unknown>;
  const vips = () => [`${lab.vip}:${serverPort}/tcp`, `${lab.vip}:${serverPort + 1}/tcp`];
  const config = (second: string, more = '') => {
    const [one, two, three] = lab.servers.map(({ address }) => address);
    const last = second === 'own' ? three : second;
    return `interface: ${lab.lb.interface}
vips:
  - { address: ${vips()[0]}, pool: both }
  - { address: ${vips()[1]}, pool: { backends: [${last}] }, policy: static }
pools:
  both: { backends: [{ address: ${one}, weight: 3 }, ${two}] }
slots: 1009
admin: { socket: ${socket} }
detach: true
state: ${join(labDirectory(lab.id), 'state')}
log: { level: error }
${more}`;
  };

  beforeAll(async () => {
    if (reason !== undefined) return;
    lab = await Lab.up({ servers: 3, clients: 1 });
    const directory = labDirectory(lab.id);
    socket = join(directory, 'inband.sock');
    path = join(directory, 'lb.yaml');
    writeFileSync(path, config('own'));
    const command = ['run', '--config', path, '--tick', '2ms'];
    const child = lab.spawn(lab.lb, [process.execPath, main, ...command], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const ended = new Promise((resolve) => child.once('close', resolve));
    stop = () => {
      child.kill('SIGTERM');
      return ended;
    };
    await lab.throughLoadBalancer();
    await vi.waitFor(
      async () => {
        const { vips: all } = await ask<Status>(socket, '/status');
        expect(all.flatMap(({ backends }) => backends).every(({ state }) => state === 'up')).toBe(true);
      },
      { timeout: 10_000, interval: 50 },
    );
  });
  afterAll(async () => {
    await stop?.();
    await lab?.down();
  });

  const status = () => ask<Status>(socket, '/status');

  test('each vip has its pool, its weights and its policy', async (context) => {
    if (reason !== undefined) context.skip(reason);
    const { vips: all, policy } = await status();
    const [one, two, three] = lab.servers.map(({ address }) => address);
    expect(
      all.map((vip) => [vip.vip, vip.policy, vip.slots, vip.backends.map(({ backend }) => backend)]),
    ).toEqual([
      [vips()[0], 'balance', 1009, [one, two]],
      [vips()[1], 'static', 1009, [three]],
    ]);
    expect(all[0]!.backends.map(({ weight }) => weight)).toEqual([3, 1]);
    expect(policy.tick_ms).toBe(2);
  });

  test('packets of a vip go to its own servers alone', async (context) => {
    if (reason !== undefined) context.skip(reason);
    const connections = `const net = require('node:net');
      for (const port of [${serverPort}, ${serverPort + 1}]) {
        for (let i = 0; i < 40; i++) net.connect(port, '${lab.vip}').on('error', () => {});
      }
      setTimeout(() => process.exit(), 500);`;
    await lab.exec(lab.clients[0]!, [process.execPath, '-e', connections]);
    const { vips: all } = await status();
    const flows = all.map(({ backends }) => backends.map((one) => one.flows));
    expect(flows[0]![0]).toBeGreaterThan(flows[0]![1]!);
    expect(flows[0]![1]).toBeGreaterThan(0);
    expect(flows[0]![0]! + flows[0]![1]!).toBe(40);
    expect(flows[1]).toEqual([40]);
  });

  test('it serves what it runs with, and diff tells what another file would change', async (context) => {
    if (reason !== undefined) context.skip(reason);
    const running = settingsOf({ ...flags, config: path, tick: ns(2e6) });
    expect(await ask(socket, '/config')).toEqual({ schema: 'inband.config/1', config: toDocument(running) });
    const same = await runCli(diffCommand(), path, '--json');
    expect(JSON.parse(same.text)).toMatchObject({
      vips: [],
      vips_unchanged: 2,
      settings: [{ key: 'tick', before: '2ms', after: '1ms' }],
    });
    const next = temporaryFile('lb.yaml', config(lab.servers[1]!.address, 'tick: 2ms'));
    const { vips: changes, settings } = JSON.parse((await runCli(diffCommand(), next, '--json')).text);
    expect(settings).toEqual([]);
    expect(changes).toHaveLength(1);
    expect(changes[0]).toMatchObject({ vip: vips()[1], change: 'changed', slots_moved: 1009 });
    expect(changes[0].backends[0]).toMatchObject({ change: 'removed', slots_before: 1009 });
    expect(changes[0].backends[0].flows_begun).toBeGreaterThanOrEqual(0);
  });
});
