import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { settingsDefault } from '../../src/config/settings.ts';
import { pinRoot } from '../../src/datapath/xdp/pins.ts';
import { exitCode } from '../../src/errors.ts';

const folder = new URL('../../config/systemd/', import.meta.url).pathname;
const read = (name: string) => readFileSync(join(folder, name), 'utf8');
const unit = read('inband.service');

/** Values of a setting, in order. */
const setting = (name: string): string[] =>
  [...unit.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value]) => value!);
const words = (name: string): string[] => setting(name).flatMap((value) => value.split(' '));

/** What systemd 252 does not know; it leaves those lines out. */
const later = ['notify-reload', 'RestartSteps', 'RestartMaxDelaySec'];

describe('what systemd says of the unit', () => {
  const { status, stdout } = spawnSync('systemd-analyze', ['--version'], { encoding: 'utf8' });
  const version = Number(/^systemd (\d+)/.exec(stdout ?? '')?.[1]);
  beforeEach(({ skip }) => {
    if (status !== 0) skip('systemd-analyze is not there; apt-get install systemd');
  });

  test('it is right', () => {
    const result = spawnSync('systemd-analyze', ['verify', '--man=no', join(folder, 'inband.service')], {
      encoding: 'utf8',
    });
    const complaints = result.stderr.split('\n').filter((line) => line.includes('inband.service'));
    const unexpected =
      version >= 254 ? complaints : complaints.filter((line) => !later.some((word) => line.includes(word)));
    expect(unexpected).toEqual([]);
  });

  test('a setting that there is not would be found', () => {
    const copy = mkdtempSync(join(tmpdir(), 'inband-unit-'));
    writeFileSync(join(copy, 'inband.service'), unit.replace('ProtectHome=', 'ProtectHouse='));
    const result = spawnSync('systemd-analyze', ['verify', '--man=no', join(copy, 'inband.service')], {
      encoding: 'utf8',
    });
    rmSync(copy, { recursive: true });
    expect(result.stderr).toContain('ProtectHouse');
  });

  test('it is exposed little', () => {
    const args = ['security', '--offline=true', '--threshold=30', join(folder, 'inband.service')];
    const result = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
    expect(result.stdout).toMatch(/Overall exposure level for inband.service: [0-2]\.\d/);
    expect(result.status).toBe(0);
  });
});

describe('the unit agrees with the daemon', () => {
  test('where the socket, the state and the configuration are', () => {
    expect(`/run/${setting('RuntimeDirectory')[0]}/${basename(settingsDefault.socket)}`).toBe(
      settingsDefault.socket,
    );
    expect(`/var/lib/${setting('StateDirectory')[0]}`).toBe(settingsDefault.state);
    expect(setting('ExecStart')[0]).toBe('/usr/bin/env inband run --config /etc/inband/inband.yaml');
    expect(setting('ConfigurationDirectory')).toEqual(['inband']);
  });

  test('where pins are, which are made for the user that the service runs as', () => {
    expect(setting('BindPaths')).toEqual([pinRoot]);
    const [user] = setting('User');
    expect(read('tmpfiles.conf')).toMatch(
      new RegExp(`^d +${pinRoot} +0700 +${user} +${setting('Group')[0]} +-$`, 'm'),
    );
    expect(read('sysusers.conf')).toMatch(new RegExp(`^u +${user} +- `, 'm'));
  });

  test('capabilities are ambient, as the user is not root, and there are no others', () => {
    expect(words('AmbientCapabilities')).toEqual(words('CapabilityBoundingSet'));
    expect(words('AmbientCapabilities')).toEqual(['CAP_BPF', 'CAP_NET_ADMIN', 'CAP_PERFMON', 'CAP_NET_RAW']);
  });

  test('it is not started again after what does not mend itself', () => {
    const { usage, config, permission, abiMismatch } = exitCode;
    expect(words('RestartPreventExitStatus').map(Number)).toEqual([usage, config, permission, abiMismatch]);
  });

  test('systemd hears of readiness, reloads and the control loop from the daemon alone', () => {
    expect(setting('Type')).toEqual(['notify-reload']);
    expect(setting('NotifyAccess')).toEqual(['main']);
    expect(setting('WatchdogSec')[0]).toMatch(/^\d+s$/);
  });
});

test('sysusers and tmpfiles are read without complaint', ({ skip }) => {
  if (spawnSync('systemd-sysusers', ['--version']).status !== 0)
    skip('systemd-sysusers is not there; apt-get install systemd');
  const target = mkdtempSync(join(tmpdir(), 'inband-root-'));
  mkdirSync(join(target, 'etc'));
  const users = spawnSync('systemd-sysusers', [`--root=${target}`, join(folder, 'sysusers.conf')], {
    encoding: 'utf8',
  });
  const { stderr } = users;
  const made = stderr === '' || /Creating (user|group) 'inband'/.test(stderr);
  const passwd = readFileSync(join(target, 'etc/passwd'), 'utf8');
  rmSync(target, { recursive: true });
  expect(made, stderr).toBe(true);
  expect(passwd).toMatch(/^inband:x:\d+:\d+:inband, a layer-4 load balancer:\/var\/lib\/inband:/m);
});
