import { describe, expect, test } from 'vitest';
import { checkReloadable, Reloads } from '../../src/daemon/reload.ts';
import { settingsOf, web } from './stage.ts';

const vips = { [web]: '10.0.0.11, 10.0.0.12' };
const before = settingsOf(vips);

describe('what a running daemon takes', () => {
  test.each([
    ['another policy', { policy: { name: 'balance', settings: {} } }],
    ['what flows meet that are lost', { lostFlows: 'reset' as const }],
    ['another tick', { tickNs: 5e6 as never }],
    ['another log level', { logLevel: 'debug' as const }],
    ['other checks', { health: { ...before.health, rise: 9 } }],
    ['other vips', { vips: [] }],
    ['nothing else', {}],
  ])('%s', (_what, change) => {
    expect(() => checkReloadable(before, { ...before, ...change })).not.toThrow();
  });
});

describe('what it needs a restart for', () => {
  test.each([
    ['interface', { interface: 'eth9' }, 'interface: "nowhere0" -> "eth9"'],
    ['datapath', { datapath: 'capture' as const }, 'datapath: "auto" -> "capture"'],
    ['answer_arp', { answerArp: true }, 'answer_arp: false -> true'],
    ['slots', { slots: 2003 }, 'slots: 1009 -> 2003'],
    ['table', { table: 'stateless' as const }, 'table: "minimal" -> "stateless"'],
    ['flows', { flows: 5 }, 'flows: 1000000 -> 5'],
    ['pin', { pin: '/sys/fs/bpf/x' }, 'pin: not given -> "/sys/fs/bpf/x"'],
    ['detach', { detach: true }, 'detach: false -> true'],
    ['state', { state: '/tmp/x' }, 'state: "/var/lib/inband" -> "/tmp/x"'],
    ['admin.socket', { socket: '/tmp/s' }, 'admin.socket: "/run/inband/inband.sock" -> "/tmp/s"'],
    ['admin.http', { http: { address: '127.0.0.1', port: 1 } }, 'admin.http: not given -> "127.0.0.1:1"'],
    ['estimator', { estimator: 'ensemble' as const }, 'estimator: not given -> "ensemble"'],
    ['ensemble.epoch', { epochNs: 32e6 as never }, 'ensemble.epoch: "64ms" -> "32ms"'],
    ['health.source', { healthSource: '10.0.0.9' }, 'health.source: not given -> "10.0.0.9"'],
    ['user', { user: 'nobody' }, 'user: not given -> "nobody"'],
  ])('%s', (key, change, detail) => {
    let thrown: unknown;
    try {
      checkReloadable(before, { ...before, ...change });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({
      code: 'CONFIG_INVALID',
      message: `what cannot change while the daemon runs: ${key}`,
      details: [detail],
    });
  });

  test('several at once are all told', () => {
    expect(() => checkReloadable(before, { ...before, flows: 5, slots: 2003 })).toThrow(
      'what cannot change while the daemon runs: slots, flows',
    );
  });
});

test('how it went is counted, and the time is that of the configuration that runs', () => {
  const reloads = new Reloads();
  const { timeS } = reloads;
  reloads.note(false);
  expect(reloads).toMatchObject({ succeeded: 0, failed: 1, lastSucceeded: false, timeS });
  reloads.note(true);
  expect(reloads).toMatchObject({ succeeded: 1, failed: 1, lastSucceeded: true });
  expect(reloads.timeS).toBeGreaterThanOrEqual(timeS);
});
