import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fixture, main } from '../cli/inband.ts';

const root = new URL('../../', import.meta.url).pathname;

interface Instruction {
  readonly keyword: string;
  readonly text: string;
}

/** Instructions of each stage, lines that are continued joined. */
const stages: Instruction[][] = [];
for (const line of readFileSync(join(root, 'Dockerfile'), 'utf8')
  .replaceAll(/^#.*\n/gm, '')
  .replaceAll(/\\\n/g, ' ')
  .split('\n')) {
  const [, keyword, text] = /^([A-Z]+) +(.*)$/.exec(line) ?? [];
  if (keyword === undefined || text === undefined) continue;
  if (keyword === 'FROM') stages.push([]);
  stages.at(-1)!.push({ keyword, text: text.trim() });
}

const of = (stage: number, keyword: string) =>
  stages[stage]!.filter((one) => one.keyword === keyword).map(({ text }) => text);

test('it has a stage that builds and one that runs, of the same distribution', () => {
  expect(stages.map(([from]) => from!.text.split(' ')[0])).toEqual([
    'node:22-bookworm-slim',
    'node:22-bookworm-slim',
  ]);
});

test('everything that is copied is there, and nothing of it is left out of the context', () => {
  const ignored = readFileSync(join(root, '.dockerignore'), 'utf8').trim().split('\n');
  const copied = [...of(0, 'COPY'), ...of(1, 'COPY').filter((text) => !text.startsWith('--from'))];
  const sources = copied.flatMap((text) => text.split(' ').slice(0, -1));
  expect(sources.length).toBeGreaterThan(5);
  for (const source of sources) {
    expect(existsSync(join(root, source)), source).toBe(true);
    expect(ignored).not.toContain(source);
  }
});

test('npm finds what its scripts need when they run', () => {
  const [first] = stages;
  const install = first!.findIndex(({ text }) => text.includes('npm ci'));
  const before = first!
    .slice(0, install)
    .filter(({ keyword }) => keyword === 'COPY')
    .map(({ text }) => text);
  for (const needed of ['package.json', 'package-lock.json', '.npmrc', 'native']) {
    expect(
      before.some((text) => text.split(' ').includes(needed)),
      needed,
    ).toBe(true);
  }
});

describe('what the last stage has', () => {
  let image: string;
  let problem: string | undefined;
  beforeAll(() => {
    if (!existsSync(main)) problem = 'dist is not built; run: npm run setup';
    if (problem) return;
    image = mkdtempSync(join(tmpdir(), 'inband-image-'));
    for (const text of of(1, 'COPY')) {
      const words = text.replace('--from=build /src/', '').split(' ');
      const [source, target] = [words[0]!, words[1] === './' ? words[0]! : words[1]!];
      mkdirSync(dirname(join(image, target)), { recursive: true });
      if (source === 'node_modules') symlinkSync(join(root, source), join(image, target));
      else cpSync(join(root, source), join(image, target), { recursive: true });
    }
  });
  afterAll(() => {
    if (image) rmSync(image, { recursive: true, force: true });
  });

  test('is enough to run', ({ skip }) => {
    if (problem) skip(problem);
    const run = (...args: string[]) =>
      spawnSync(process.execPath, [join(image, 'dist/cli/main.js'), ...args], { encoding: 'utf8' });
    expect(run('--version').status).toBe(0);
    expect(run('replay', fixture('two-servers/lb.pcap.gz')).status).toBe(0);
    const checks = JSON.parse(run('doctor', '--json').stdout).checks as { name: string; state: string }[];
    const built = existsSync(join(root, 'build/native/inband.node'));
    expect(checks.find(({ name }) => name === 'native')!.state).toBe(built ? 'ok' : 'failed');
  });

  test('the command is where the image and the probes of the DaemonSet call it', () => {
    const home = of(1, 'WORKDIR')[0];
    expect(of(1, 'RUN').join(' ')).toContain(`ln -s ${home}/dist/cli/main.js /usr/local/bin/inband`);
    expect(of(0, 'RUN').join(' ')).toContain('chmod +x dist/cli/main.js');
    expect(of(1, 'ENTRYPOINT')).toEqual(['["inband"]']);
  });
});
