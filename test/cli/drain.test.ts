import { describe, expect, it, vi } from 'vitest';
import { drainCommand } from '../../src/cli/drain.ts';
import { DrainProgress, drainLine } from '../../src/report/drain.ts';
import { runCli } from './capture.ts';
import { aBackend, FakeDaemon } from './fake-daemon.ts';
import { inband, main } from './inband.ts';

const web = '10.0.0.100:80/tcp';
const tls = '10.0.0.100:443/tcp';
const pools = () => [
  aBackend(web, '10.0.0.11', { flows_held: 2 }),
  aBackend(tls, '10.0.0.11', { flows_held: 1 }),
  aBackend(web, '10.0.0.12'),
];
const drain = (daemon: FakeDaemon, ...argv: string[]) =>
  runCli(drainCommand(), '10.0.0.11', '--socket', daemon.socket, ...argv);

/** Lets one flow of the backend end with each look at it, in the first vip that still has some. */
function endOneByOne(daemon: FakeDaemon): void {
  daemon.onBackends = () => {
    if (daemon.posted.length === 0) return;
    const next = daemon.backends.find((one) => one.state === 'drain' && one.flows_held > 0);
    daemon.backends = daemon.backends.map((one) =>
      one === next ? { ...one, flows_held: one.flows_held - 1 } : one,
    );
  };
}

describe('inband drain', () => {
  it('asks for it and returns at once', async () => {
    const daemon = await FakeDaemon.start(pools());
    const { text } = await drain(daemon, '--vip', web);
    expect(daemon.posted).toEqual([
      { path: '/backend', body: { backend: '10.0.0.11', vip: web, state: 'drain' } },
    ]);
    expect(text).toBe(`10.0.0.11 of ${web}: draining, gets no new flows, weight 1, 2 flows held\n`);
    const json = JSON.parse((await drain(daemon, '--json')).text);
    expect(json).toMatchObject({ schema: 'inband.change/1', kept: true });
  });

  it('waits for the last flow in all vips', async () => {
    const daemon = await FakeDaemon.start(pools());
    endOneByOne(daemon);
    const { text, exitCode } = await drain(daemon, '--wait');
    expect(text).toMatch(/\nno flows left after [\d.]+m?s\n$/);
    expect(exitCode).toBeUndefined();
    expect(daemon.backends.map((one) => one.flows_held)).toEqual([0, 0, 10]);
  });

  it('gives how that ended as JSON', async () => {
    const daemon = await FakeDaemon.start(pools());
    endOneByOne(daemon);
    const result = JSON.parse((await drain(daemon, '--wait', '--json')).text);
    expect(result).toMatchObject({ schema: 'inband.drain/1', end: 'drained', flows_left: 0, kept: true });
    expect(result.waited_ms).toBeGreaterThan(0);
    expect(result.changed).toHaveLength(2);
  });

  it('fails at the time-out with how many flows are left, and prints that for programs too', async () => {
    const daemon = await FakeDaemon.start(pools());
    const write = vi.spyOn(process.stdout, 'write').mockImplementation(() => true);
    try {
      const ended = drainCommand().parseAsync(
        ['10.0.0.11', '--wait', '--timeout', '20ms', '--json', '--socket', daemon.socket],
        { from: 'user' },
      );
      await expect(ended).rejects.toMatchObject({
        code: 'NOT_DRAINED',
        exitCode: 1,
        message: '10.0.0.11 still has flows after 20ms: 3 flows left',
      });
      expect(JSON.parse(String(write.mock.calls[0]![0]))).toMatchObject({ end: 'timeout', flows_left: 3 });
    } finally {
      write.mockRestore();
    }
  });

  it('does not wait for what somebody made ready again', async () => {
    const daemon = await FakeDaemon.start(pools());
    daemon.onBackends = () => {
      if (daemon.posted.length > 0) {
        daemon.backends = daemon.backends.map((one) => ({ ...one, state: 'ready' as const }));
      }
    };
    await expect(drain(daemon, '--wait')).rejects.toMatchObject({
      code: 'NOT_DRAINED',
      message: '10.0.0.11 was made ready by somebody else meanwhile, 3 flows left',
    });
  });

  it('does not wait for what a reload removed', async () => {
    const daemon = await FakeDaemon.start(pools());
    daemon.onBackends = () => {
      if (daemon.posted.length > 0)
        daemon.backends = daemon.backends.filter((one) => one.backend !== '10.0.0.11');
    };
    const { code, stderr } = await inband(['drain', '10.0.0.11', '--wait', '--socket', daemon.socket]);
    expect(code).toBe(0);
    expect(stderr).toBe('inband: 10.0.0.11 is not configured any more, it had 3 flows left\n');
  });

  it('goes on waiting while the daemon is started again', async () => {
    const daemon = await FakeDaemon.start(pools());
    endOneByOne(daemon);
    const ended = drain(daemon, '--wait');
    await vi.waitFor(() => expect(daemon.posted).toHaveLength(1));
    await daemon.close();
    await new Promise((resolve) => setTimeout(resolve, 700));
    await daemon.listen();
    expect((await ended).text).toContain('no flows left after');
  });

  it('leaves it draining when interrupted, and says so', async () => {
    const daemon = await FakeDaemon.start(pools());
    const { spawn } = await import('node:child_process');
    const child = spawn(process.execPath, [main, 'drain', '10.0.0.11', '--wait', '--socket', daemon.socket]);
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
    await vi.waitFor(
      () => expect(daemon.asked.filter((path) => path === '/backends').length).toBeGreaterThan(1),
      {
        timeout: 20_000,
      },
    );
    child.kill('SIGINT');
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect(stderr).toBe(
      'inband: 10.0.0.11 goes on draining, 3 flows left; `inband ready 10.0.0.11` ends it\n',
    );
    expect(code).toBe(130);
    expect(daemon.backends[0]!.state).toBe('drain');
  });

  it('has nothing to wait for without --wait', async () => {
    const refused = runCli(
      drainCommand(),
      '10.0.0.11',
      '--timeout',
      '5s',
      '--socket',
      '/nonexistent/inband.sock',
    );
    await expect(refused).rejects.toMatchObject({ code: 'USAGE', hint: 'add --wait' });
  });
});

describe('how far a drain is', () => {
  it.each([
    [1_234, undefined, '1,234 flows left'],
    [1, 0, '1 flow left'],
    [1_234, 56.2, '1,234 flows left, 56 end each second, about 22s more'],
    [3, 0.25, '3 flows left, 0.25 end each second, about 12s more'],
    [0, 5, '0 flows left, 5 end each second'],
    [20, -3, '20 flows left'],
  ])('with %d left and %s ending each second is "%s %s"', (left, rate, line) =>
    expect(drainLine(left, rate)).toBe(line),
  );

  it('is one line on a terminal, which goes away', () => {
    const written: string[] = [];
    const terminal = { isTTY: true, columns: 40, write: (text: string) => written.push(text) };
    const progress = new DrainProgress(terminal as unknown as NodeJS.WriteStream, false);
    progress.show(100, 0);
    progress.show(50, 1_000);
    progress.stop();
    expect(written).toEqual([
      '\r100 flows left\u001b[K',
      '\r50 flows left, 50 end each second, abo…\u001b[K',
      '\r\u001b[K',
    ]);
  });

  it('is a line now and then where lines stay, and none for programs', () => {
    for (const isQuiet of [false, true]) {
      const written: string[] = [];
      const file = { isTTY: false, write: (text: string) => written.push(text) };
      const progress = new DrainProgress(file as unknown as NodeJS.WriteStream, isQuiet);
      for (let atMs = 0; atMs <= 21_000; atMs += 500) progress.show(1_000 - atMs / 100, atMs);
      progress.stop();
      const lines = [
        '900 flows left, 10 end each second, about 90s more\n',
        '800 flows left, 10 end each second, about 80s more\n',
      ];
      expect(written).toEqual(isQuiet ? [] : lines);
    }
  });
});
