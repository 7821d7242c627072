import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { program } from '../../src/cli/program.ts';
import { exitCode } from '../../src/errors.ts';
import { allCommands, syntaxOf } from '../../src/manual/syntax.ts';

const root = new URL('../../', import.meta.url).pathname;
const commands = allCommands(syntaxOf(await program()));
const docs = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)].filter((name) =>
  name.endsWith('.md'),
);

/** Every call of `inband` in the code of a page, without what follows it in a pipe, a list or a comment. */
function callsIn(text: string): string[] {
  const blocks = [...text.matchAll(/^```sh[^\n]*\n([\s\S]*?)^```/gm)].map(([, block]) =>
    block!.replaceAll('\\\n', ' '),
  );
  const spans = [...text.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/`([^`]+)`/g)].map(([, span]) =>
    span!.replaceAll('\n', ' '),
  );
  return [...blocks, ...spans].flatMap((code) =>
    [...code.matchAll(/(?<![\w./-])inband ((?:[a-z][\w-]*|--)[^|&;)#\n]*)/g)].map(([, call]) => call!.trim()),
  );
}

/** What is wrong with a call: a command or an option that there is not. */
function complaintsAbout(call: string): string[] {
  const words = call.split(/\s+/).map((word) => word.replace(/[\],.:\\]+$/, '').replace(/^\[/, ''));
  if (words[0]!.startsWith('-')) return [];
  let command = commands.find(({ path }) => path.length === 2 && path[1] === words[0]);
  // `inband lab up|down` stands for several.
  const below = command?.commands.find(({ path }) => words[1]?.split(/\\?\|/).includes(path.at(-1)!));
  command = below ?? command;
  if (!command) return words[0] === 'COMMAND' || words[0] === 'X' ? [] : [`${call}: no command ${words[0]}`];
  const known = command.options.map(({ long }) => long);
  return words
    .filter((word) => /^--[a-z]/.test(word) && !known.includes(word))
    .map((word) => `${call}: no option ${word}`);
}

test.each(docs)('every command in %s is one that there is, with options that it has', (name) => {
  expect(callsIn(readFileSync(join(root, name), 'utf8')).flatMap(complaintsAbout)).toEqual([]);
});

test('the manual of operating has many of them, and what is wrong would be found', () => {
  expect(callsIn(readFileSync(join(root, 'docs/operating.md'), 'utf8')).length).toBeGreaterThan(40);
  const wrong = callsIn('```sh\ninband drian 10.0.0.1\n```\nor `inband run --intreface eth0`').flatMap(
    complaintsAbout,
  );
  expect(wrong).toEqual(['drian 10.0.0.1: no command drian', 'run --intreface eth0: no option --intreface']);
});

test('the manual of operating has every event of the log, and no other', () => {
  const folders = ['src/daemon', 'src/cli', 'src/health'];
  const sources = folders.flatMap((folder) =>
    readdirSync(join(root, folder)).map((name) => readFileSync(join(root, folder, name), 'utf8')),
  );
  const events = sources.flatMap((source) => [
    ...[...source.matchAll(/\bevent: '(\w+)'/g)].map(([, event]) => event!),
    ...[...source.matchAll(/#tell\('(\w+)'/g)].map(([, event]) => event!),
  ]);
  // Health has names of its own, which the log puts `backend_` before.
  const named = ['up', 'down', 'ejected', 'readmitted'];
  const wanted = new Set([
    ...events.filter((event) => !named.includes(event)),
    ...named.map((event) => `backend_${event}`),
  ]);
  const text = readFileSync(join(root, 'docs/operating.md'), 'utf8');
  const table = text.slice(text.indexOf('| event | meaning |'), text.indexOf('## Tuning'));
  const documented = table
    .split('\n')
    .flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map(([, event]) => event!));
  expect([...new Set(documented)].sort()).toEqual([...wanted].sort());
});

test.each(['README.md', 'docs/operating.md'])('%s has every exit code', (name) => {
  const text = readFileSync(join(root, name), 'utf8');
  for (const code of Object.values(exitCode)) expect(text).toMatch(new RegExp(`^\\| ${code} \\| \\w`, 'm'));
});

test('pages that the manual of operating leads to are there, and so are the headings', () => {
  const text = readFileSync(join(root, 'docs/operating.md'), 'utf8');
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!.toLowerCase().replaceAll(',', '').replaceAll(' ', '-'),
  );
  for (const [, target] of text.matchAll(/\]\(([^)]+)\)/g)) {
    if (target!.startsWith('#')) expect(headings).toContain(target!.slice(1));
    else expect(() => readFileSync(join(root, 'docs', target!)), target).not.toThrow();
  }
});
