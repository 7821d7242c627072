import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { planBackend, planCommands, planScript } from '../../src/doctor/backend-plan.ts';
import { parseEndpoint } from '../../src/net/address.ts';

const vips = (...texts: string[]) => texts.map((text) => parseEndpoint(text, '--vip'));
const commands = (...texts: string[]) =>
  planCommands(planBackend(vips(...texts))).map((argv) => argv.join(' '));

describe('what a backend needs', () => {
  test('is quiet about the vip before it has it', () => {
    expect(commands('10.0.0.100:80/tcp')).toEqual([
      'sysctl -w net.ipv4.conf.all.arp_ignore=1',
      'sysctl -w net.ipv4.conf.all.arp_announce=2',
      'sysctl -w net.ipv4.conf.lo.arp_ignore=1',
      'sysctl -w net.ipv4.conf.lo.arp_announce=2',
      'ip address replace 10.0.0.100/32 dev lo',
    ]);
  });

  test('is one address for several ports of a vip', () => {
    const lines = commands('10.0.0.100:80/tcp', '10.0.0.100:443/udp', '10.0.0.101:80/tcp');
    expect(lines.filter((line) => line.startsWith('ip '))).toEqual([
      'ip address replace 10.0.0.100/32 dev lo',
      'ip address replace 10.0.0.101/32 dev lo',
    ]);
  });

  test('is only the address for IPv6', () => {
    expect(commands('[2001:db8::1]:443/udp')).toEqual(['ip -6 address replace 2001:db8::1/128 dev lo nodad']);
  });
});

describe('the script', () => {
  const given = vips('10.0.0.100:80/tcp', '[2001:db8::1]:443/udp');
  const plan = planBackend(given);
  const script = planScript(plan, given);

  test('is for a shell, which runs the same commands and nothing else', () => {
    expect(spawnSync('sh', ['-n'], { input: script }).status).toBe(0);
    const run = script.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    expect(run.sort()).toEqual(
      planCommands(plan)
        .map((argv) => argv.join(' '))
        .sort(),
    );
    expect(run).toHaveLength(6);
  });

  test('fits 80 columns', () => {
    expect(script.split('\n').filter((line) => line.length > 80)).toEqual([]);
  });

  test('says how to keep it, where to listen, and that the MTU stays', () => {
    for (const text of [
      '/etc/sysctl.d/60-inband.conf',
      'Address=2001:db8::1/128',
      'up ip address replace 10.0.0.100/32 dev lo',
      'port 80/tcp, 443/udp',
      'MTU and MSS',
      'neighbour discovery',
    ])
      expect(script).toContain(text);
  });

  test('of IPv6 alone names no setting', () => {
    const six = vips('[2001:db8::1]:443/udp');
    expect(planScript(planBackend(six), six)).not.toMatch(/sysctl/);
  });
});
