import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { program } from '../../src/cli/program.ts';
import { short } from '../../src/manual/shells.ts';
import { syntaxOf } from '../../src/manual/syntax.ts';
import { inband } from '../cli/inband.ts';

const folder = new URL('../../config/completions/', import.meta.url).pathname;
const shells = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof shells)[number];
const missing = shells.filter((shell) => spawnSync(shell, ['--version']).status !== 0);

let home: string;

/** A folder to complete in, with some files, and an `inband` that knows of two backends. */
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'inband-completion-'));
  for (const name of ['lb.yaml', 'lb.pcap']) writeFileSync(join(home, name), '');
  const status = {
    vips: [{ vip: '10.0.0.100:80/tcp', backends: [{ backend: '10.0.0.11' }, { backend: '10.0.0.12' }] }],
  };
  writeFileSync(
    join(home, 'inband'),
    `#!/bin/sh\ntest "$*" = 'status --json' && echo '${JSON.stringify(status)}'\n`,
  );
  chmodSync(join(home, 'inband'), 0o755);
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

function run(shell: Shell, args: readonly string[]): string {
  const env = { ...process.env, PATH: `${home}:${process.env.PATH}`, HOME: home, XDG_CONFIG_HOME: home };
  const { status, stdout, stderr, error } = spawnSync(shell, args, {
    cwd: home,
    env,
    encoding: 'utf8',
    timeout: 50_000,
  });
  if (status !== 0 || error) throw new Error(`${shell}: ${error ?? stderr}`);
  return stdout;
}

const bashDriver = `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _inband; printf '%s\\n' "\${COMPREPLY[@]}"`;
const zshDriver = new URL('complete.zsh', import.meta.url).pathname;

/** The words that a shell offers at the end of a line, sorted. */
function offered(shell: Shell, line: string): readonly string[] {
  let text: string;
  if (shell === 'bash')
    text = run(shell, ['--norc', '-c', bashDriver, join(folder, 'inband'), ...line.split(' ')]);
  else if (shell === 'fish') {
    text = run(shell, ['--no-config', '-c', `source ${join(folder, 'inband.fish')}; complete -C '${line}'`]);
  } else {
    const result = join(home, 'result');
    rmSync(result, { force: true });
    run(shell, ['-f', zshDriver, folder, line, result]);
    text = readFileSync(result, 'utf8');
  }
  const words = text.split('\n').map((word) => word.split('\t')[0]!);
  return [...new Set(words.filter((word) => word !== '' && word !== 'END'))].sort();
}

const root = syntaxOf(await program());
const names = (words: readonly { path: readonly string[] }[]) => words.map(({ path }) => path.at(-1)!).sort();
const lab = root.commands.find(({ path }) => path.at(-1) === 'lab')!;
const longOf = (words: readonly { long: string }[]) => words.map(({ long }) => long).sort();

describe.each(shells)('in %s', (shell) => {
  const cases: [string, readonly string[]][] = [
    ['inband ', names(root.commands)],
    ['inband repl', ['replay']],
    ['inband lab ', names(lab.commands)],
    ['inband lab up --', longOf(lab.commands.find(({ path }) => path.at(-1) === 'up')!.options)],
    ['inband run --datapath ', ['auto', 'capture', 'xdp']],
    ['inband run --interface l', ['lo']],
    ['inband run --interface eth0 --answer-arp --config lb.y', ['lb.yaml']],
    ['inband replay lb.pcap lb.p', ['lb.pcap']],
    ['inband completion ', ['bash', 'fish', 'zsh']],
    ['inband why ', ['10.0.0.11', '10.0.0.12']],
    ['inband simulate --policy lab ', ['inband', 'lb.pcap', 'lb.yaml']],
  ];
  beforeEach(({ skip }) => {
    if (missing.includes(shell)) skip(`${shell} is not there; apt-get install ${shell}`);
  });
  test.each(cases)('"%s" offers what there is', (line, words) => {
    const found = offered(shell, line).filter((word) => word !== 'result' && word !== 'fish/');
    expect(found).toEqual(words);
  });
});

describe('inband completion', () => {
  test.each([
    ['bash', 'inband'],
    ['zsh', '_inband'],
    ['fish', 'inband.fish'],
  ])('prints what %s reads', async (shell, name) => {
    const { code, stdout } = await inband(['completion', shell]);
    expect(code).toBe(0);
    expect(stdout).toBe(readFileSync(join(folder, name), 'utf8'));
  });

  test('knows no other shell', async () => {
    const { code, stderr } = await inband(['completion', 'tcsh']);
    expect(code).toBe(2);
    expect(stderr).toContain('Allowed choices are bash, zsh, fish');
  });
});

test('a description in a list is one short line', () => {
  expect(short('what moves `slots` (default: balance); and more')).toBe('what moves slots');
  const long = short('a '.repeat(100));
  expect(long.length).toBeLessThanOrEqual(72);
  expect(long.endsWith(' ...')).toBe(true);
});
