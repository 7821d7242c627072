import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { doctorCommand } from '../../src/cli/doctor.ts';
import { hookHolder, nativeDirectory } from '../../src/datapath/xdp/native.ts';
import { interfaces } from '../../src/datapath/xdp/neighbours.ts';
import { commandLine } from '../../src/doctor/command.ts';
import { enterLab, ip, needsXdp } from '../native/support.ts';
import { becomeNobody, runCli } from './capture.ts';

const doctor = (...argv: string[]) => runCli(doctorCommand(), ...argv);

interface Report {
  schema: string;
  checks: { subject: string; name: string; state: string; found: string; why: string; fix: string | null }[];
  verdict: { state: string; text: string; exit_code: number };
}

async function report(...argv: string[]): Promise<Report & { states: Record<string, string> }> {
  const { text, exitCode } = await doctor('--json', ...argv);
  const parsed = JSON.parse(text) as Report;
  expect(parsed.schema).toBe('inband.doctor/1');
  expect(parsed.verdict.exit_code).toBe(exitCode);
  const states = Object.fromEntries(
    parsed.checks.map(({ subject, name, state }) => [`${subject} ${name}`, state]),
  );
  return { ...parsed, states };
}

/** A load balancer's namespace, entered, and one behind `peer0` in which nothing is set up for XDP. */
function segment(): { name: string; peer: string } {
  const namespaces = enterLab();
  ip('-n', namespaces.name, 'address', 'add', '10.9.0.1/24', 'dev', 'lb0');
  ip('-n', namespaces.peer, 'address', 'add', '10.9.0.11/24', 'dev', 'peer0');
  return namespaces;
}

// `ip netns exec` gives ip mounts of its own, so that the bpffs it mounts does not stay.
const attachPass = (namespace: string, device: string, mode: string) =>
  ip(
    'netns',
    'exec',
    namespace,
    'ip',
    'link',
    'set',
    'dev',
    device,
    mode,
    'obj',
    `${nativeDirectory}pass.bpf.o`,
    'sec',
    'xdp.frags',
  );

/** Runs the command that a check names, in the shell of someone who pastes it. */
async function paste(command: string): Promise<void> {
  const [status] = await once(spawn('sh', ['-ec', command], { stdio: 'ignore' }), 'exit');
  expect(status).toBe(0);
}

const fixOf = ({ checks }: Report, name: string) => checks.find((check) => check.name === name)!.fix!;

describe('inband doctor', () => {
  test.each([
    [['--vip', '10.0.0.1'], /--vip: '10.0.0.1' is not ADDR:PORT\/PROTO/],
    [['--backend', 'server'], /--backend: 'server' is not ADDR/],
  ])('refuses %j', async (argv, message) => {
    await expect(doctor(...argv)).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(message),
    });
  });
});

describe('inband doctor, in network namespaces', () => {
  beforeEach(needsXdp);

  test('names what a new veth lacks, and is content once its commands were run', async () => {
    segment();
    ip('address', 'add', '10.9.0.100/32', 'dev', 'lb0');
    const argv = ['--interface', 'lb0', '--vip', '10.9.0.100:80/tcp', '--backend', '10.9.0.11'];
    const before = await report(...argv);
    expect(before.verdict).toMatchObject({ state: 'not-ready', exit_code: 5 });
    expect(before.states).toMatchObject({
      'interface lb0 link': 'ok',
      'interface lb0 xdp-hook': 'ok',
      'interface lb0 native-xdp': 'ok',
      'interface lb0 veth-peer': 'failed',
      'interface lb0 checksums': 'failed',
      'vip 10.9.0.100:80/tcp arp': 'ok',
      'backend 10.9.0.11 route': 'ok',
      'backend 10.9.0.11 neighbour': 'ok',
    });

    // Run in a mount namespace of its own, so that the bpffs that ip mounts does not stay.
    await paste(commandLine(['unshare', '--mount', 'sh', '-ec', fixOf(before, 'veth-peer')]));
    await paste(fixOf(before, 'checksums'));
    const after = await report(...argv);
    expect(after.verdict).toEqual({ state: 'ready', text: 'ready: xdp native on lb0', exit_code: 0 });
  });

  test('leaves nothing attached, and attaches nothing when told so', async () => {
    segment();
    const target = interfaces().find(({ name }) => name === 'lb0')!;
    expect((await report('--interface', 'lb0')).states['interface lb0 native-xdp']).toBe('ok');
    expect(hookHolder(target)).toBeUndefined();
    const { checks } = await report('--interface', 'lb0', '--no-probe');
    expect(checks.find(({ name }) => name === 'native-xdp')).toMatchObject({
      state: 'unknown',
      found: 'not tried; veth is known to have it',
    });
  });

  test('says who holds the hook, and leaves it alone', async () => {
    const { name } = segment();
    attachPass(name, 'lb0', 'xdpgeneric');
    const found = await report('--interface', 'lb0');
    expect(found.states).toMatchObject({
      'interface lb0 xdp-hook': 'failed',
      'interface lb0 native-xdp': 'unknown',
    });
    expect(found.verdict).toMatchObject({
      exit_code: 5,
      text: expect.stringMatching(/inband_pass \(id \d+, generic\)/),
    });
    expect(hookHolder(interfaces().find((link) => link.name === 'lb0')!)).toMatchObject({ mode: 'generic' });
    await paste(fixOf(found, 'xdp-hook'));
    expect((await report('--interface', 'lb0')).states['interface lb0 xdp-hook']).toBe('ok');
  });

  test('an interface that does not exist is a check, not an error', async () => {
    segment();
    const { text, exitCode } = await doctor('--interface', 'eth9');
    expect(text).toMatch(/failed {3}link {9}there is no interface eth9\n/);
    expect(text).toMatch(/not ready: interface eth9: link: there is no interface eth9\n$/);
    expect(exitCode).toBe(5);
  });

  test('an interface without native XDP is left the generic mode', async () => {
    segment();
    ip('link', 'set', 'dev', 'lo', 'up');
    const { verdict, states } = await report('--interface', 'lo');
    expect(states['interface lo native-xdp']).toBe('warning');
    expect(verdict).toMatchObject({ state: 'generic', exit_code: 0 });
  });

  test('backends that do not answer, are not on the segment or are no others are told apart', async () => {
    segment();
    ip('route', 'add', '10.8.0.0/24', 'via', '10.9.0.11');
    const backends = ['10.9.0.12', '10.8.0.1', '10.7.0.1', '10.9.0.1'];
    const { checks, verdict } = await report(...backends.flatMap((backend) => ['--backend', backend]));
    const found = Object.fromEntries(
      checks.filter(({ state }) => state === 'failed').map((check) => [check.subject, check.found]),
    );
    expect(found).toEqual({
      'backend 10.9.0.12': 'no answer to ARP',
      'backend 10.8.0.1': 'through the gateway 10.9.0.11',
      'backend 10.7.0.1': 'none',
      'backend 10.9.0.1': 'no address of another machine',
    });
    expect(verdict).toMatchObject({ state: 'not-ready', exit_code: 5 });
  });

  test('a vip that a server answers for is told apart from one that nobody does', async () => {
    const { peer } = segment();
    ip('-n', peer, 'address', 'add', '10.9.0.100/32', 'dev', 'lo');
    ip('-n', peer, 'link', 'set', 'dev', 'lo', 'up');
    const argv = ['--interface', 'lb0', '--vip', '10.9.0.100:80/tcp', '--vip', '10.9.0.101:80/tcp'];
    const { checks } = await report(...argv);
    const [served, unserved] = checks.filter(({ name }) => name === 'arp');
    const mac = JSON.parse(ip('-n', peer, '-j', 'link', 'show', 'peer0'))[0].address;
    expect(served).toMatchObject({ state: 'warning', found: `answered by another machine, ${mac}` });
    expect(unserved).toMatchObject({ state: 'warning', found: 'not answered here' });
  });

  test('the other end in a namespace without a name is seen, and commands name it', async () => {
    const { name } = enterLab();
    const keeper = spawn('unshare', ['--net', 'sh', '-c', 'echo; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => {
      keeper.kill('SIGKILL');
    });
    await once(keeper.stdout, 'data');
    ip('-n', name, 'link', 'add', 'lb1', 'type', 'veth', 'peer', 'name', 'far1', 'netns', String(keeper.pid));
    const found = await report('--interface', 'lb1');
    expect(found.states).toMatchObject({
      'interface lb1 veth-peer': 'failed',
      'interface lb1 checksums': 'unknown',
    });
    expect(fixOf(found, 'checksums')).toBe('ethtool -K far1 tx off');
  });

  test('without root only permission is missing, and what can be seen is', async () => {
    segment();
    becomeNobody();
    const { verdict, states } = await report('--interface', 'lb0', '--backend', '10.9.0.12');
    expect(verdict).toMatchObject({ state: 'permission', exit_code: 6 });
    expect(states).toMatchObject({
      'machine privileges': 'failed',
      'machine bpf': 'unknown',
      'machine btf': 'ok',
      'interface lb0 link': 'ok',
      'interface lb0 xdp-hook': 'ok',
      'interface lb0 native-xdp': 'unknown',
      'interface lb0 veth-peer': 'unknown',
      'backend 10.9.0.12 neighbour': 'unknown',
    });
  });
});
