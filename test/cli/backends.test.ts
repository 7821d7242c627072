import { describe, expect, it } from 'vitest';
import { backendsCommand } from '../../src/cli/backends.ts';
import { backendsText, formatAge } from '../../src/report/backends.ts';
import { printable } from '../../src/report/format.ts';
import { runCli } from './capture.ts';
import { aBackend, FakeDaemon } from './fake-daemon.ts';

const web = '10.0.0.100:80/tcp';
const dns = '10.0.0.100:53/udp';

describe('inband backends', () => {
  it('lists all, or those of a vip', async () => {
    const daemon = await FakeDaemon.start([aBackend(web, '10.0.0.11'), aBackend(dns, '10.0.0.21')]);
    const backends = (...argv: string[]) => runCli(backendsCommand(), '--socket', daemon.socket, ...argv);
    expect((await backends()).text).toMatch(/10\.0\.0\.11.*10\.0\.0\.21/s);
    const { text } = await backends('--vip', '10.0.0.100:53');
    expect(text).toContain('10.0.0.21');
    expect(text).not.toContain('10.0.0.11');
    const json = JSON.parse((await backends('--vip', web, '--json')).text);
    expect(json).toEqual({ schema: 'inband.backends/1', backends: [aBackend(web, '10.0.0.11')] });
    await expect(backends('--vip', '10.0.0.100:35/udp')).rejects.toMatchObject({
      code: 'USAGE',
      hint: `did you mean ${dns}?`,
    });
  });

  it('says that nobody answers', async () => {
    const nobody = runCli(backendsCommand(), '--socket', '/nonexistent/inband.sock');
    await expect(nobody).rejects.toMatchObject({ code: 'DAEMON_UNREACHABLE', exitCode: 1 });
  });
});

describe('backends in words', () => {
  const options = { width: 200, color: false };
  const nowMs = Date.parse('2026-01-01T00:03:20Z');
  const text = (...backends: ReturnType<typeof aBackend>[]) =>
    backendsText({ schema: 'inband.backends/1', backends }, options, nowMs);

  it('have a line each under their vip', () => {
    expect(text(aBackend(web, '10.0.0.11'))).toBe(
      [
        `${web}  latencies: request`,
        'backend    state  health  since  weight  share   slots  flows    p50    p99',
        '─'.repeat(75),
        '10.0.0.11  ready      up     3m       1    50%  32,768     10  300us  1.2ms',
      ].join('\n'),
    );
  });

  it('have the configured weight beside one that an operator gave', () => {
    expect(text(aBackend(web, '10.0.0.11', { weight: 2, weight_configured: 5 }))).toContain(' 2 (5) ');
  });

  it('show no latency before the first sample', () => {
    expect(text(aBackend(web, '10.0.0.11', { latency: null }))).toMatch(/10 +- +-$/);
  });

  it('say what keeps one from being used', () => {
    const health = { since: '2026-01-01T00:03:19Z', check: 'tcp', reason: 'connection refused' };
    const ejected = { until: '2026-01-01T00:03:30.000Z', reason: '3 SYNs unanswered', times: 2 };
    const shown = text(
      aBackend(web, '10.0.0.11', { health: { ...health, state: 'down', ejected: null } }),
      aBackend(web, '10.0.0.12', { health: { ...health, state: 'up', reason: '', ejected } }),
      aBackend(web, '10.0.0.13', { obstacle: 'no neighbour entry' }),
    );
    expect(shown).toMatch(/10\.0\.0\.11 +ready +down +1s/);
    expect(shown).toContain('\n10.0.0.11: down: connection refused\n');
    expect(shown).toMatch(/10\.0\.0\.12 +ready +ejected/);
    expect(shown).toContain(
      '\n10.0.0.12: ejected until 00:03:30 UTC: 3 SYNs unanswered (2 times in a row)\n',
    );
    expect(shown).toMatch(/\n10\.0\.0\.13: no neighbour entry$/);
  });

  it('move no cursor by a hostile name or reason', () => {
    const hostile = aBackend('\u001b[2J', '\u001b[1m', { obstacle: '\u009b2J' });
    for (const line of text(hostile).split('\n')) expect(line).toBe(printable(line));
  });

  it('are none where there are none', () => expect(text()).toBe('no backends'));
});

describe('an age', () => {
  it.each([
    [-5, '0s'],
    [0, '0s'],
    [119_999, '119s'],
    [120_000, '2m'],
    [7_199_999, '119m'],
    [7_200_000, '2h'],
    [172_800_000, '2d'],
    [Number.NaN, '-'],
  ])('of %d ms is %s', (ms, age) => expect(formatAge(ms)).toBe(age));
});
