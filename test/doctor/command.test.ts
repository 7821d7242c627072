import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { commandLine, inNamespace, runCommand } from '../../src/doctor/command.ts';

test('plain words are left as they are, others are quoted', () => {
  expect(commandLine(['ip', 'address', 'add', '10.0.0.1/32', 'dev', 'eth0.10'])).toBe(
    'ip address add 10.0.0.1/32 dev eth0.10',
  );
  expect(commandLine(['echo', "it's", '$(reboot)', ''])).toBe("echo 'it'\\''s' '$(reboot)' ''");
});

test('a shell reads the words that were given, whatever they hold', () => {
  const word = fc.oneof(
    fc.string({ unit: 'binary-ascii' }).map((text) => text.replaceAll('\0', '')),
    fc.constantFrom('$HOME', '`id`', '!!', '*', '~', '\n', '"', "''", '\\', '-n'),
  );
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 20 }), (words) => {
      const { stdout } = spawnSync('sh', ['-c', commandLine(['printf', '%s\\0', ...words])], {
        encoding: 'utf8',
      });
      expect(stdout.split('\0').slice(0, -1)).toEqual(words);
    }),
    { numRuns: 50 },
  );
});

test('a namespace without a name needs no prefix', () => {
  expect(inNamespace(undefined)).toEqual([]);
  expect(inNamespace('a b')).toEqual(['nsenter', '--net=/run/netns/a b']);
});

test('a command gives what it printed, or why it failed in one line', () => {
  expect(runCommand(['echo', 'a;b'])).toEqual({ output: 'a;b\n' });
  expect(runCommand(['sh', '-c', 'echo one >&2; echo two >&2; exit 3'])).toEqual({ problem: 'one' });
  expect(runCommand(['sh', '-c', 'exit 3'])).toEqual({ problem: 'it ended with 3' });
  expect(runCommand(['inband-no-such-command'])).toEqual({
    problem: 'inband-no-such-command is not installed',
  });
});
