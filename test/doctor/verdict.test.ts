import { describe, expect, test } from 'vitest';
import { diagnosisText } from '../../src/doctor/text.ts';
import { diagnose } from '../../src/doctor/verdict.ts';
import { InbandError } from '../../src/errors.ts';
import { colorPaint, plainPaint } from '../../src/report/terminal.ts';
import { backend, facts, machine, nic, veth, vip } from './healthy.ts';

const verdict = (changes: Parameters<typeof facts>[0]) => diagnose(facts(changes)).verdict;
const silent = backend({ neighbour: undefined });

describe('the verdict', () => {
  test('is ready, with the mode and the interface', () => {
    expect(verdict({})).toEqual({ state: 'ready', text: 'ready: xdp native on eth0', exitCode: 0 });
  });

  test('without an interface names one to look at next', () => {
    expect(verdict({ interface: undefined, vips: [], backends: [] })).toMatchObject({
      text: 'ready: this machine can run xdp; next, look at an interface: --interface eth0',
      exitCode: 0,
    });
  });

  test('of warnings is still ready', () => {
    const warned = { machine: machine({ bpffs: false }), vips: [vip({ heldBy: [] })] };
    expect(verdict(warned)).toMatchObject({ state: 'ready', exitCode: 0 });
  });

  test('says what could not be seen', () => {
    const hidden = veth({ xdp: undefined, offloads: undefined });
    expect(verdict({ interface: hidden })).toMatchObject({
      text: 'ready: xdp native on eth0, as far as can be seen (unknown: veth-peer, checksums)',
      exitCode: 0,
    });
  });

  test('is generic where the driver has no native XDP', () => {
    const probe = new InbandError('XDP_UNSUPPORTED', 'eth0: the driver has no native XDP');
    expect(verdict({ interface: nic({ probe }) })).toEqual({
      state: 'generic',
      text: 'xdp generic only: eth0 does not run it natively',
      exitCode: 0,
    });
  });

  test('is not ready, with the first reason and the number of others, and exits with 5', () => {
    expect(verdict({ backends: [silent, silent, silent] })).toEqual({
      state: 'not-ready',
      text: 'not ready: backend 10.0.0.11: neighbour: no answer to ARP (and 2 more)',
      exitCode: 5,
    });
  });

  test('is replay only where the machine cannot, and exits with 5', () => {
    expect(verdict({ machine: machine({ kernel: '4.19.0' }), backends: [silent] })).toEqual({
      state: 'replay-only',
      text: 'replay only: kernel: 4.19.0; or capture, see inband doctor --datapath capture',
      exitCode: 5,
    });
  });

  test('exits with 6 only when nothing but permission is missing', () => {
    const unprivileged = machine({ capabilities: new Set() });
    const unseen = backend({ neighbour: undefined, asked: false });
    expect(verdict({ machine: unprivileged, backends: [unseen] })).toMatchObject({
      state: 'permission',
      exitCode: 6,
    });
    expect(verdict({ machine: unprivileged, interface: nic({ link: undefined }) })).toMatchObject({
      exitCode: 5,
    });
  });
});

describe('the text', () => {
  const bad = facts({
    interface: veth({ xdp: 'none' }),
    vips: [vip({ heldBy: [] })],
    backends: [silent],
  });

  test('puts the reason and the command under what is not ok, and nothing under what is', () => {
    const text = diagnosisText(diagnose(bad), 80, plainPaint);
    expect(text).toContain(
      [
        'backend 10.0.0.11',
        '  ok       route        on the segment of eth0',
        '  failed   neighbour    no answer to ARP',
        '           frames are sent to the MAC address of the backend; is it up, and in',
        '           this segment?',
        '           run: ping -c 3 10.0.0.11',
        '',
      ].join('\n'),
    );
    expect(text).toMatch(/\n\nnot ready: interface eth0: veth-peer/);
  });

  test('fits the width, but for commands, which are there to be copied', () => {
    const lines = diagnosisText(diagnose(bad), 80, plainPaint).split('\n');
    expect(lines.filter((line) => line.length > 80 && !line.includes('run: '))).toEqual([]);
    expect(lines.find((line) => line.includes('pass.bpf.o'))).toMatch(/sec xdp\.frags$/);
  });

  test('is the same with colors, when they are taken out', () => {
    const diagnosis = diagnose(bad);
    const colored = diagnosisText(diagnosis, 80, colorPaint);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is looked for.
    expect(colored.replaceAll(/\u001b\[\d+m/g, '')).toBe(diagnosisText(diagnosis, 80, plainPaint));
    expect(colored).toContain('\u001b[33mfailed');
  });

  test('lets no name move the cursor', () => {
    const name = 'a\u001b[2Jb';
    const text = diagnosisText(
      diagnose(facts({ interface: nic({ name, link: undefined }) })),
      80,
      plainPaint,
    );
    expect(text).not.toContain('\u001b');
  });
});
