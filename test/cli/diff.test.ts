import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { AdminServer } from '../../src/admin/server.ts';
import { diffCommand } from '../../src/cli/diff.ts';
import { loadConfig } from '../../src/config/load.ts';
import { toDocument } from '../../src/config/write.ts';
import { temporaryDirectory, temporaryFile } from '../datapath/replay/support.ts';
import { runCli } from './capture.ts';

const config = (backends: string, more = '') =>
  temporaryFile(
    'lb.yaml',
    `interface: eth0\nvips: [{ address: 10.0.0.1:80/tcp, pool: { backends: [${backends}] } }]\n${more}`,
  );
const old = () => config('10.0.0.11, 10.0.0.12');
const diff = (...argv: string[]) => runCli(diffCommand(), ...argv);

describe('inband diff between two files', () => {
  test('says what changes, or that nothing does', async () => {
    const { text } = await diff(old(), config('10.0.0.11, 10.0.0.13', 'tick: 5ms\n'));
    expect(text).toMatch(/^~ 10\.0\.0\.1:80\/tcp: [\d,]+ of 65,537 slots move/);
    expect(text).toContain('- 10.0.0.12 ');
    expect(text).toContain('+ 10.0.0.13 ');
    expect(text).toContain('~ tick: 1ms -> 5ms\n');
    expect((await diff(old(), old())).text).toBe('nothing changes\n');
  });

  test('gives the same as JSON', async () => {
    const { text } = await diff('--json', old(), config('10.0.0.11, 10.0.0.13'));
    const found = JSON.parse(text);
    expect(found).toMatchObject({ schema: 'inband.diff/1', vips_unchanged: 0, settings: [] });
    expect(found.vips[0]).toMatchObject({ vip: '10.0.0.1:80/tcp', change: 'changed', slots_before: 65_537 });
    expect(found.vips[0].backends.map((one: { flows_begun: unknown }) => one.flows_begun)).toContain(null);
  });

  test('compares nothing with a file that is not valid', async () => {
    const broken = config('10.0.0.11, 10.0.0.11');
    for (const files of [
      [old(), broken],
      [broken, old()],
    ]) {
      await expect(diff(...files)).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        details: [expect.stringContaining('10.0.0.11 is vips[0].pool.backends[0] already')],
      });
    }
  });
});

describe('inband diff against a daemon', () => {
  let server: AdminServer | undefined;
  afterEach(async () => {
    await server?.close();
    server = undefined;
  });

  /** A daemon that runs with what a file says, as far as diff looks at it; its socket. */
  async function daemon(running: unknown): Promise<string> {
    const socket = join(temporaryDirectory(), 'inband.sock');
    const backends = ['10.0.0.11', '10.0.0.12'].map((backend, i) => ({
      backend,
      flows: 100 + i,
      held: 10 + i,
    }));
    server = await AdminServer.listen(socket, {
      '/config': { json: () => ({ schema: 'inband.config/1', config: running }) },
      '/status': { json: () => ({ vips: [{ vip: '10.0.0.1:80/tcp', backends }] }) },
    });
    return socket;
  }

  test('tells the flows of what changes', async () => {
    const socket = await daemon(toDocument(loadConfig(old())));
    const { text } = await diff('--json', '--socket', socket, config('10.0.0.11, 10.0.0.13'));
    const [vip] = JSON.parse(text).vips;
    const [removed, added] = ['10.0.0.12', '10.0.0.13'].map((name) =>
      vip.backends.find(({ backend }: { backend: string }) => backend === name),
    );
    expect(removed).toMatchObject({ flows_held: 11, flows_begun: 101 });
    expect(added).toMatchObject({ flows_held: null, flows_begun: null });
    const words = await diff('--socket', socket, config('10.0.0.11, 10.0.0.13'));
    expect(words.text).toMatch(/backend +weight +slots +flows held +encap/);
    expect(words.text).toMatch(/- 10\.0\.0\.12 .* 11 +l2/);
  });

  test("asks at the file's own socket unless told otherwise", async () => {
    const socket = await daemon(toDocument(loadConfig(old())));
    const { text } = await diff(config('10.0.0.11, 10.0.0.12', `admin: { socket: ${socket} }\n`));
    expect(text).toBe(`~ admin.socket: /run/inband/inband.sock -> ${socket}\n1 vip unchanged\n`);
  });

  test('takes from a daemon what no file may say, such as one backend given to its own address', async () => {
    const running = toDocument(loadConfig(old())) as {
      vips: { pool: { backends: { address: string }[] } }[];
    };
    running.vips[0]!.pool.backends[0]!.address = '10.0.0.1';
    const { text } = await diff('--socket', await daemon(running), old());
    expect(text).toContain('- 10.0.0.1 ');
  });

  test('says so when the daemon is of another version, or there is none', async () => {
    const socket = await daemon({ ...toDocument(loadConfig(old())), gravity: 9.81 });
    await expect(diff('--socket', socket, old())).rejects.toMatchObject({
      code: 'DAEMON_UNREACHABLE',
      hint: 'is the daemon of the same version?',
    });
    await expect(diff('--socket', '/nonexistent/inband.sock', old())).rejects.toMatchObject({
      code: 'DAEMON_UNREACHABLE',
      message: expect.stringContaining('ENOENT'),
    });
  });
});
