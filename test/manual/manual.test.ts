import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Argument, Command, Option } from 'commander';
import fc from 'fast-check';
import { beforeEach, describe, expect, type TestContext, test } from 'vitest';
import { program } from '../../src/cli/program.ts';
import { schemaText } from '../../src/config/reference.ts';
import { exitCode } from '../../src/errors.ts';
import { commandPage } from '../../src/manual/command-pages.ts';
import { details } from '../../src/manual/details.ts';
import { examples } from '../../src/manual/examples.ts';
import { manualFiles } from '../../src/manual/manual.ts';
import { page, paragraph, plain, prose, tagged, title } from '../../src/manual/roff.ts';
import { allCommands, syntaxOf } from '../../src/manual/syntax.ts';

const root = new URL('../../', import.meta.url).pathname;
const files = manualFiles(await program());
const pages = Object.entries(files).filter(([path]) => path.startsWith('docs/man/'));
const commands = allCommands(syntaxOf(await program()));
const hasGroff = spawnSync('groff', ['--version']).status === 0;

function needsGroff({ skip }: TestContext): void {
  if (!hasGroff) skip('groff is not there to read pages; apt-get install groff-base');
}

/** Names of all keys that a JSON Schema has, but for those that tell which of several mappings one is. */
function keysOf(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const { properties = {} } = schema as { properties?: Record<string, { const?: unknown }> };
  const own = Object.entries(properties).filter(([, key]) => key.const === undefined);
  return [...own.map(([name]) => name), ...Object.values(schema).flatMap(keysOf)];
}

/** A page as a terminal shows it, without emphasis and line breaks, and what groff warns of. */
function shown(text: string): { text: string; warnings: string } {
  const args = ['-man', '-Tutf8', '-ww', '-Wbreak', '-rLL=300n', '-P-cbou'];
  const { stdout, stderr } = spawnSync('groff', args, { input: text, encoding: 'utf8' });
  return { text: stdout.replaceAll(/\s+/g, ' '), warnings: stderr };
}

describe('what is made from the definitions of the command line', () => {
  test.each(Object.keys(files))('%s is fresh; if not: node scripts/manual.mjs', (path) => {
    expect(readFileSync(join(root, path), 'utf8')).toBe(files[path]);
  });

  test('nothing is left of commands that are gone', () => {
    for (const folder of ['docs/man', 'config/completions']) {
      for (const name of readdirSync(join(root, folder))) expect(files).toHaveProperty([`${folder}/${name}`]);
    }
  });

  test('every command, every option and every exit code has its place', () => {
    for (const command of commands.slice(1)) {
      const path = `docs/man/${command.path.slice(0, 2).join('-')}.1`;
      expect(files).toHaveProperty([path]);
      for (const { long } of command.options) expect(files[path]).toContain(plain(long));
      for (const { name } of command.arguments) expect(files[path]).toContain(`\\fI${plain(name)}\\fR`);
    }
    for (const code of Object.values(exitCode))
      expect(files['docs/man/inband.1']).toContain(`\n\\fB${code}\\fR\n`);
  });

  test('every key of the configuration has its place, with what it means', () => {
    const text = files['docs/man/inband.yaml.5']!;
    const keys = keysOf(JSON.parse(schemaText()));
    expect(keys.length).toBeGreaterThan(30);
    for (const key of new Set(keys)) {
      expect(
        text.split('\n').filter((line) => line.startsWith(`\\fB${plain(key)}\\fR: `)),
        key,
      ).not.toEqual([]);
    }
  });

  test('examples are of commands that exist and take their options', () => {
    for (const [name, list] of Object.entries(examples)) {
      const owner = commands.find(({ path }) => path.slice(1).join(' ') === name);
      expect(owner, name).toBeDefined();
      for (const line of list.flatMap(([, text]) => text.replaceAll('\\\n', '').split('\n'))) {
        const words = line.replaceAll(/[()<]/g, ' ').split(/\s+/);
        const called = commands.find(
          ({ path }) => path.length === 2 && path[1] === words[words.indexOf('inband') + 1],
        );
        const known = called?.options.map(({ long }) => long) ?? [];
        for (const word of words.filter((one) => one.startsWith('--'))) expect(known, line).toContain(word);
      }
    }
  });

  test('what pages say beyond the help is about commands that exist', () => {
    const names = commands.map(({ path }) => path.slice(1).join(' '));
    for (const name of Object.keys(details)) expect(names).toContain(name);
  });
});

describe('groff', () => {
  beforeEach(needsGroff);
  test.each(pages)('reads %s without a warning', (_, text) => {
    expect(shown(text).warnings).toBe('');
  });
});

describe('a page', () => {
  beforeEach(needsGroff);
  const command = new Command('fetch')
    .description('Get "it" from C:\\temp - or .hidden')
    .addArgument(new Argument('<what...>', 'what to get').choices(['all', 'none']))
    .addOption(new Option('--speed <N>', "how 'fast'").default(3))
    .addOption(new Option('--secret').hideHelp())
    .option('-q, --quiet', 'say nothing')
    .addHelpText('after', '\nFirst note.\n\nSecond note.');
  const text = commandPage(syntaxOf(command, ['inband']));

  test('shows what was written, whatever roff would make of it', () => {
    const result = shown(text);
    expect(result.warnings).toBe('');
    expect(result.text).toContain('inband-fetch - Get "it" from C:\\temp - or .hidden');
    expect(result.text).toContain('inband fetch [option]... what...');
    expect(result.text).toContain("--speed N How 'fast'. Default: 3.");
    expect(result.text).toContain('what What to get. One of all, none.');
    expect(result.text).toContain('-q, --quiet Say nothing.');
    expect(result.text).toContain('First note. Second note.');
    expect(result.text).not.toContain('secret');
  });

  test('any printable text comes out as it went in', () => {
    const words = fc.stringMatching(/^[!-~]{1,12}$/).filter((word) => !word.includes('`'));
    fc.assert(
      fc.property(fc.array(words, { minLength: 1, maxLength: 5 }), (list) => {
        const result = shown(
          page(title('x', 1), paragraph(list.join(' ')), tagged(prose(list[0]!), list.join(' '))),
        );
        expect(result.warnings).toBe('');
        expect(result.text).toContain(list.join(' '));
      }),
      { numRuns: 40 },
    );
  });
});

describe('what values are', () => {
  const kinds = Object.fromEntries(
    commands.flatMap(({ path, options, arguments: list }) => [
      ...options.flatMap(({ long, value }) => (value ? [[`${path.join(' ')} ${long}`, value.kind]] : [])),
      ...list.map(({ name, kind }) => [`${path.join(' ')} ${name}`, kind]),
    ]),
  );

  test.each([
    ['inband run --config', 'file'],
    ['inband run --interface', 'interface'],
    ['inband run --user', 'user'],
    ['inband run --vip', 'text'],
    ['inband run --tick', 'text'],
    ['inband check file', 'file'],
    ['inband replay --report', 'file'],
    ['inband status --socket', 'file'],
    ['inband why BACKEND', 'backend'],
    ['inband doctor --backend', 'text'],
  ])('%s takes a %s', (name, kind) => {
    expect(kinds).toHaveProperty([name], kind);
  });
});
