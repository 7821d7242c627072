import { describe, expect, it } from 'vitest';
import { maintenanceCommand } from '../../src/cli/maintenance.ts';
import { readyCommand } from '../../src/cli/ready.ts';
import { findBackend, findVip } from '../../src/cli/remote.ts';
import { weightCommand } from '../../src/cli/weight.ts';
import { runCli } from './capture.ts';
import { aBackend, FakeDaemon } from './fake-daemon.ts';

const web = '10.0.0.100:80/tcp';
const tls = '10.0.0.100:443/tcp';
const pools = () => [
  aBackend(web, '10.0.0.11', { flows_held: 1234 }),
  aBackend(web, '10.0.0.12'),
  aBackend(tls, '10.0.0.11', { flows_held: 5, weight: 3, weight_configured: 2 }),
];

describe('a command that changes a backend', () => {
  it('changes it in all vips that have it, and says so', async () => {
    const daemon = await FakeDaemon.start(pools());
    const { text } = await runCli(maintenanceCommand(), '10.0.0.11', '--socket', daemon.socket);
    expect(daemon.posted).toEqual([
      { path: '/backend', body: { backend: '10.0.0.11', state: 'maintenance' } },
    ]);
    expect(text).toContain(`10.0.0.11 of ${web}: in maintenance, gets no new flows`);
    expect(text).toContain('1,234 flows held');
    expect(text).toContain('in 2 vips; --vip chooses one of them\n');
  });

  it('changes it in one vip if that is named, with or without the protocol', async () => {
    const daemon = await FakeDaemon.start(pools());
    for (const vip of [tls, '10.0.0.100:443']) {
      const { text } = await runCli(readyCommand(), '10.0.0.11', '--vip', vip, '--socket', daemon.socket);
      expect(daemon.posted.pop()!.body).toEqual({ backend: '10.0.0.11', vip: tls, state: 'ready' });
      expect(text).toBe(`10.0.0.11 of ${tls}: ready, gets new flows, weight 3, 5 flows held\n`);
    }
  });

  it('gives a weight, and the configured one back', async () => {
    const daemon = await FakeDaemon.start(pools());
    const weight = (...argv: string[]) => runCli(weightCommand(), ...argv, '--socket', daemon.socket);
    expect((await weight('10.0.0.11', '0.5', '--vip', web)).text).toContain('weight 0.5');
    expect((await weight('10.0.0.11', 'default', '--vip', tls)).text).toContain('weight 2');
    expect((await weight('10.0.0.12', '0')).text).toContain('ready, but gets no new flows, weight 0');
    expect(daemon.posted.map(({ body }) => body)).toEqual([
      { backend: '10.0.0.11', vip: web, weight: 0.5 },
      { backend: '10.0.0.11', vip: tls, weight: null },
      { backend: '10.0.0.12', weight: 0 },
    ]);
  });

  it('says why a restart does not keep it', async () => {
    const daemon = await FakeDaemon.start(pools());
    daemon.note = 'the state directory is full';
    const { text } = await runCli(readyCommand(), '10.0.0.12', '--socket', daemon.socket);
    expect(text).toContain('\nthe state directory is full\n');
  });

  it('prints what the daemon answers as JSON', async () => {
    const daemon = await FakeDaemon.start(pools());
    const { text } = await runCli(weightCommand(), '10.0.0.12', '4', '--json', '--socket', daemon.socket);
    expect(JSON.parse(text)).toEqual({
      schema: 'inband.change/1',
      changed: [{ vip: web, backend: '10.0.0.12', state: 'ready', weight: 4, flows_held: 10 }],
      kept: true,
    });
  });

  it.each([
    ['1e3', "'1e3' is not a weight", 'give a number from 0 to 1000000, or default'],
    ['1000001', "'1000001' is not a weight", 'give a number from 0 to 1000000, or default'],
    ['Default', "'Default' is not a weight", 'give a number from 0 to 1000000, or default'],
  ])('refuses %s as a weight before anybody is asked', async (weight, message, hint) => {
    const refused = runCli(weightCommand(), '10.0.0.11', weight, '--socket', '/nonexistent/inband.sock');
    await expect(refused).rejects.toMatchObject({ code: 'USAGE', message, hint });
  });

  it('passes on what the daemon refuses, with its code', async () => {
    const daemon = await FakeDaemon.start(pools());
    daemon.refusals['/backend'] = {
      status: 429,
      body: { error: 'too many changes', code: 'LIMIT', hint: 'wait', details: ['first', 'second'] },
    };
    await expect(runCli(readyCommand(), '10.0.0.12', '--socket', daemon.socket)).rejects.toMatchObject({
      code: 'LIMIT',
      message: 'too many changes',
      hint: 'wait',
      details: ['first', 'second'],
    });
  });

  it('takes a refusal without a code for a daemon of another version', async () => {
    const daemon = await FakeDaemon.start(pools());
    for (const body of [
      { error: 'no such path' },
      'not JSON',
      'null',
      { code: 'NOBODY_KNOWS', error: 'x' },
    ]) {
      daemon.refusals['/backend'] = { status: 404, body };
      await expect(runCli(readyCommand(), '10.0.0.12', '--socket', daemon.socket)).rejects.toMatchObject({
        code: 'DAEMON_UNREACHABLE',
        message: `${daemon.socket}: /backend was answered with 404`,
        hint: 'is the daemon of the same version?',
      });
    }
  });
});

describe('the name of a backend', () => {
  it('may be written in any way that is that address', () => {
    const backends = [aBackend(web, '2001:db8::1')];
    expect(findBackend(backends, '2001:0DB8:0::1')).toEqual({ backend: '2001:db8::1' });
    expect(findBackend(pools(), ' 10.0.0.12 ', web)).toEqual({ backend: '10.0.0.12', vip: web });
  });

  it.each([
    ['10.0.0.21', undefined, "'10.0.0.21' is not a backend", 'did you mean 10.0.0.11?'],
    ['web-1', undefined, "'web-1' is not a backend", 'there is 10.0.0.11, 10.0.0.12'],
    ['192.0.2.1', tls, "'192.0.2.1' is not a backend", 'there is 10.0.0.11'],
    ['10.0.0.12', tls, `10.0.0.12 is not a backend of ${tls}`, `it is one of ${web}`],
    ['10.0.0.11', '10.0.0.100:81/tcp', "'10.0.0.100:81/tcp' is not a vip", `did you mean ${web}?`],
  ])('%s of %s is refused with what was meant', (backend, vip, message, hint) => {
    const refused = () => findBackend(pools(), backend, vip);
    expect(refused).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(message), hint }),
    );
  });
});

describe('the name of a vip', () => {
  it('needs its protocol where both are served', () => {
    const vips = ['10.0.0.100:53/tcp', '10.0.0.100:53/udp'];
    expect(findVip(vips, '10.0.0.100:53/UDP')).toBe('10.0.0.100:53/udp');
    expect(() => findVip(vips, '10.0.0.100:53')).toThrow(
      expect.objectContaining({
        code: 'USAGE',
        hint: expect.stringMatching(/^did you mean 10\.0\.0\.100:53\//),
      }),
    );
  });
});
