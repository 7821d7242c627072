import { describe, expect, it } from 'vitest';
import { flowsCommand } from '../../src/cli/flows.ts';
import { reloadCommand } from '../../src/cli/reload.ts';
import { traceCommand } from '../../src/cli/trace.ts';
import { runCli } from './capture.ts';
import { aBackend, FakeDaemon } from './fake-daemon.ts';

const web = '10.0.0.100:80/tcp';
const start = () => FakeDaemon.start([aBackend(web, '10.0.0.11'), aBackend(web, '10.0.0.12')]);

describe('inband reload', () => {
  const done = {
    schema: 'inband.reload/1',
    took_ms: 12.34,
    slots_moved: 4_321,
    vips: { added: 1, removed: 0, changed: 2, unchanged: 97 },
    backends: { added: 0, removed: 0, changed: 0, unchanged: 0 },
  };

  it('says what changed', async () => {
    const daemon = await start();
    daemon.answers['/reload'] = done;
    const { text } = await runCli(reloadCommand(), '--socket', daemon.socket);
    expect(daemon.posted).toEqual([{ path: '/reload', body: {} }]);
    expect(text).toBe(
      'reloaded in 12.3ms, 4,321 slots moved\nvips: 1 added, 2 changed, 97 unchanged\nbackends: none\n',
    );
    const json = await runCli(reloadCommand(), '--json', '--socket', daemon.socket);
    expect(JSON.parse(json.text)).toEqual(done);
  });

  it('shows every mistake of a file that is refused, and exits as `check` does', async () => {
    const daemon = await start();
    const details = ['lb.yaml:3:5: vips[0].address: is not ADDR:PORT/PROTO', 'lb.yaml:9:1: tik: unknown key'];
    daemon.refusals['/reload'] = {
      status: 422,
      body: { error: 'lb.yaml has 2 mistakes', code: 'CONFIG_INVALID', hint: 'nothing changed', details },
    };
    await expect(runCli(reloadCommand(), '--socket', daemon.socket)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      exitCode: 3,
      details,
      hint: 'nothing changed',
    });
  });
});

describe('inband flows', () => {
  const flow = {
    client: '192.0.2.7:40312',
    vip: web,
    backend: '10.0.0.11',
    state: 'established',
    idle_ms: 1_500.4,
  };
  const found = { schema: 'inband.flows/1', flows: [flow], matched: 1, scanned: 2_000, truncated: false };

  it('asks for those that fit, and lists them', async () => {
    const daemon = await start();
    daemon.answers['/flows'] = found;
    const filters = ['--vip', web, '--backend', '10.0.0.11', '--client', '[2001:db8::7]:40312'];
    const { text } = await runCli(
      flowsCommand(),
      ...filters,
      ...['--state', 'established', '--limit', '5', '--socket', daemon.socket],
    );
    const query = new URL(daemon.asked[0]!, 'http://localhost').searchParams;
    expect(Object.fromEntries(query)).toEqual({
      vip: web,
      backend: '10.0.0.11',
      client: '[2001:db8::7]:40312',
      state: 'established',
      limit: '5',
    });
    expect(text).toMatch(/^client +vip +backend +state +idle\n/);
    expect(text).toMatch(/\n192\.0\.2\.7:40312 +10\.0\.0\.100:80\/tcp +10\.0\.0\.11 +established +1\.5s\n/);
    expect(text).toMatch(/\n\n1 of 2,000 flows\n$/);
  });

  it('says that there are more', async () => {
    const daemon = await start();
    daemon.answers['/flows'] = { ...found, matched: 1_999, truncated: true };
    const { text } = await runCli(flowsCommand(), '--socket', daemon.socket);
    expect(daemon.asked).toEqual(['/flows']);
    expect(text).toContain('1,999 of 2,000 flows, 1 shown; --limit shows more\n');
  });

  it('says that there are none', async () => {
    const daemon = await start();
    daemon.answers['/flows'] = { ...found, flows: [], matched: 0 };
    expect((await runCli(flowsCommand(), '--socket', daemon.socket)).text).toBe('0 of 2,000 flows\n');
  });

  it.each(['0', '-1', 'all', '1e3', '1.5', '10001'])('refuses %s as a limit', async (limit) => {
    await expect(runCli(flowsCommand(), `--limit=${limit}`)).rejects.toMatchObject({ code: 'USAGE' });
  });
});

describe('inband trace', () => {
  const trace = {
    schema: 'inband.trace/1',
    client: '192.0.2.7:40312',
    vip: web,
    flow: { backend: '10.0.0.11', state: 'established', idle_ms: 0.2 },
    slot: 4_711,
    slot_backend: '10.0.0.12',
    backend: '10.0.0.11',
    by: 'flow',
    why: ['It has a flow there, which stays.', 'A new flow would go to 10.0.0.12.'],
  };
  const run = (daemon: FakeDaemon, ...argv: string[]) =>
    runCli(traceCommand(), ...argv, '--socket', daemon.socket);

  it('tells where a client goes and why', async () => {
    const daemon = await start();
    daemon.answers['/trace'] = trace;
    const { text } = await run(daemon, '192.0.2.7:40312', '10.0.0.100:80');
    expect(daemon.asked.at(-1)).toBe(
      `/trace?${new URLSearchParams({ client: '192.0.2.7:40312', vip: web })}`,
    );
    expect(text).toBe(
      [
        `192.0.2.7:40312 to ${web} goes to 10.0.0.11`,
        '  It has a flow there, which stays.',
        '  A new flow would go to 10.0.0.12.\n',
      ].join('\n'),
    );
  });

  it('tells that it goes nowhere', async () => {
    const daemon = await start();
    daemon.answers['/trace'] = {
      ...trace,
      flow: null,
      slot_backend: null,
      backend: null,
      by: 'none',
      why: ['No backend is ready.'],
    };
    const { text } = await run(daemon, '192.0.2.7:40312', web);
    expect(text).toBe(`192.0.2.7:40312 to ${web} goes nowhere\n  No backend is ready.\n`);
  });

  it('gives the same as JSON', async () => {
    const daemon = await start();
    daemon.answers['/trace'] = trace;
    expect(JSON.parse((await run(daemon, '[2001:db8::7]:1', web, '--json')).text)).toEqual(trace);
  });

  it.each(['192.0.2.7', '192.0.2.7:0', '192.0.2.7:65536', '[192.0.2.7]:80', '2001:db8::7:80', 'host:80', ''])(
    'refuses %j as a client',
    async (client) => {
      const refused = runCli(traceCommand(), client, web, '--socket', '/nonexistent/inband.sock');
      await expect(refused).rejects.toMatchObject({
        code: 'USAGE',
        message: `'${client}' is not CLIENT:PORT`,
      });
    },
  );
});
