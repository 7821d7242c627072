import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import { backendSetupCommand } from '../../src/cli/backend-setup.ts';
import { enterLab, ip, ipJson, needsXdp } from '../native/support.ts';
import { becomeNobody, runCli } from './capture.ts';

const setup = (...argv: string[]) => runCli(backendSetupCommand(), ...argv);
const vip = ['--vip', '10.9.0.100:80/tcp', '--vip', '10.9.0.100:443/tcp', '--vip', '[2001:db8::1]:443/udp'];

const setting = (name: string) => Number(readFileSync(`/proc/sys/net/ipv4/conf/${name}`, 'utf8'));
const loopback = (): string[] =>
  JSON.parse(ip('-j', 'address', 'show', 'dev', 'lo'))[0].addr_info.map(
    ({ local, prefixlen }: { local: string; prefixlen: number }) => `${local}/${prefixlen}`,
  );

/** Which of the addresses are answered for by ARP, in the order in which they are asked for; the last one must be. */
async function answering(namespace: string, asked: readonly string[]): Promise<string[]> {
  ip('-n', namespace, 'neighbour', 'flush', 'dev', 'peer0', 'nud', 'all');
  const program = `
    const socket = require('node:dgram').createSocket('udp4');
    const send = (address) => address === undefined ? socket.close() : socket.send('', 9, address, () => send(rest.shift()));
    const rest = ${JSON.stringify(asked)};
    send(rest.shift());`;
  ip('netns', 'exec', namespace, process.execPath, '--eval', program);
  const known = (): string[] => {
    const entries = ipJson('-n', namespace, 'neighbour', 'show', 'dev', 'peer0');
    return asked.filter((address) =>
      entries.some(({ dst, lladdr }: { dst: string; lladdr?: string }) => dst === address && lladdr),
    );
  };
  await expect.poll(known).toContain(asked.at(-1));
  return known();
}

describe('inband backend-setup', () => {
  test('prints a script and, with --json, the same commands as words', async () => {
    const { text } = await setup(...vip);
    expect(text).toMatch(/^ip address replace 10\.9\.0\.100\/32 dev lo$/m);
    const json = JSON.parse((await setup(...vip, '--json')).text);
    expect(json).toMatchObject({ schema: 'inband.backend-setup/1', applied: null });
    expect(json.vips).toEqual(['10.9.0.100:80/tcp', '10.9.0.100:443/tcp', '[2001:db8::1]:443/udp']);
    for (const argv of json.commands) expect(text).toContain(`\n${argv.join(' ')}\n`);
  });

  test.each([
    [[], /needs a vip/],
    [['--vip', '10.9.0.100:80/tcp; reboot'], /is not ADDR:PORT\/PROTO/],
  ])('refuses %j', async (argv, message) => {
    await expect(setup(...argv)).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(message),
    });
  });
});

describe('inband backend-setup --apply', () => {
  beforeEach(needsXdp);

  test('sets the machine up, and a second time finds nothing to do', async () => {
    enterLab();
    const first = JSON.parse((await setup(...vip, '--apply', '--json')).text);
    const states = (applied: { state: string }[]) => new Set(applied.map(({ state }) => state));
    expect(states(first.applied)).toEqual(new Set(['done']));
    expect(first.applied).toHaveLength(6);
    for (const scope of ['all', 'lo']) {
      expect(setting(`${scope}/arp_ignore`)).toBe(1);
      expect(setting(`${scope}/arp_announce`)).toBe(2);
    }
    expect(loopback()).toEqual(expect.arrayContaining(['10.9.0.100/32', '2001:db8::1/128']));

    const before = ip('address');
    const second = JSON.parse((await setup(...vip, '--apply', '--json')).text);
    expect(states(second.applied)).toEqual(new Set(['already']));
    expect(ip('address')).toBe(before);
    expect((await setup(...vip, '--apply')).text).toMatch(
      /^already {2}net\.ipv4\.conf\.all\.arp_ignore +1\n/,
    );
  });

  test('makes a server stop answering ARP for the vip', async () => {
    const { peer } = enterLab();
    ip('link', 'set', 'dev', 'lo', 'up');
    ip('address', 'add', '10.9.0.11/24', 'dev', 'lb0');
    ip('address', 'add', '10.9.0.100/32', 'dev', 'lo');
    ip('-n', peer, 'address', 'add', '10.9.0.1/24', 'dev', 'peer0');
    const both = ['10.9.0.100', '10.9.0.11'];
    expect(await answering(peer, both)).toEqual(both);
    await setup('--vip', '10.9.0.100:80/tcp', '--apply');
    expect(await answering(peer, both)).toEqual(['10.9.0.11']);
  });

  test('leaves a stricter setting as it is', async () => {
    const { name } = enterLab();
    ip('netns', 'exec', name, 'sysctl', '-qw', 'net.ipv4.conf.all.arp_ignore=8');
    await setup('--vip', '10.9.0.100:80/tcp', '--apply');
    expect(setting('all/arp_ignore')).toBe(8);
  });

  test('refuses a machine that has the vip where it answers ARP, and changes nothing there', async () => {
    enterLab();
    ip('address', 'add', '10.9.0.100/24', 'dev', 'lb0');
    await expect(setup(...vip, '--apply')).rejects.toMatchObject({
      code: 'ENVIRONMENT',
      message: '10.9.0.100 is on lb0, where this machine answers ARP for it',
      hint: expect.stringMatching(/ip address del 10\.9\.0\.100\/24 dev lb0/),
    });
    expect(setting('all/arp_ignore')).toBe(0);
    expect(loopback()).toEqual([]);
  });

  test('says in one line which command failed and why', async () => {
    const { name } = enterLab();
    ip('netns', 'exec', name, 'sysctl', '-qw', 'net.ipv6.conf.lo.disable_ipv6=1');
    await expect(setup('--vip', '[2001:db8::1]:443/udp', '--apply')).rejects.toMatchObject({
      code: 'ENVIRONMENT',
      exitCode: 5,
      message: expect.stringMatching(/^ip -6 address replace 2001:db8::1\/128 dev lo nodad: .*IPv6.*$/),
    });
  });

  test('needs root', async () => {
    enterLab();
    becomeNobody();
    await expect(setup(...vip, '--apply')).rejects.toMatchObject({ code: 'PERMISSION', exitCode: 6 });
  });
});
