import { chmodSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { checkCommand } from '../../src/cli/check.ts';
import { configSchemaCommand } from '../../src/cli/config-schema.ts';
import { temporaryFile } from '../datapath/replay/support.ts';
import { becomeNobody, runCli } from './capture.ts';

const good =
  'interface: eth0\nvips: [{ address: 10.0.0.1:80/tcp, pool: { backends: [10.0.0.11, 10.0.0.12] } }]\n';
const doubtful = `${good}user: root\n`;
const bad = `${doubtful}tick: 3\nslots: 12\n`;

const check = (...argv: string[]) => runCli(checkCommand(), ...argv);

describe('inband check', () => {
  test('says how much there is in a file that is in order', async () => {
    const path = temporaryFile('lb.yaml', good);
    expect(await check(path)).toEqual({ text: `${path}: ok, 1 vip, 2 backends\n`, exitCode: 0 });
  });

  test('names every mistake, and ends with 3', async () => {
    const path = temporaryFile('lb.yaml', bad);
    expect(await check(path)).toEqual({
      text: [
        `${path}:3:7: user: warning: root keeps every right; name a user who has none`,
        `${path}:4:7: tick: expected a duration such as 64us, found 3`,
        `${path}:5:8: slots: a table cannot have 12 slots; give a prime of at most 1048583; nearest: 11 and 13`,
        `${path}: 2 errors, 1 warning`,
        '',
      ].join('\n'),
      exitCode: 3,
    });
  });

  test('ends with 4 for warnings, if asked to be strict', async () => {
    const path = temporaryFile('lb.yaml', doubtful);
    const { text, exitCode } = await check(path);
    expect(text).toContain(`${path}: ok, 1 vip, 2 backends, 1 warning\n`);
    expect(exitCode).toBe(0);
    expect(await check('--strict', path)).toEqual({ text, exitCode: 4 });
    expect((await check('--strict', temporaryFile('lb.yaml', good))).exitCode).toBe(0);
    expect((await check('--strict', temporaryFile('lb.yaml', bad))).exitCode).toBe(3);
  });

  test('gives the same as JSON', async () => {
    const path = temporaryFile('lb.yaml', bad);
    const { text, exitCode } = await check('--json', path);
    expect(exitCode).toBe(3);
    expect(JSON.parse(text)).toEqual({
      schema: 'inband.check/1',
      file: path,
      valid: false,
      vips: null,
      backends: null,
      problems: [
        {
          severity: 'warning',
          line: 3,
          column: 7,
          path: 'user',
          message: 'root keeps every right; name a user who has none',
        },
        {
          severity: 'error',
          line: 4,
          column: 7,
          path: 'tick',
          message: 'expected a duration such as 64us, found 3',
        },
        {
          severity: 'error',
          line: 5,
          column: 8,
          path: 'slots',
          message: 'a table cannot have 12 slots; give a prime of at most 1048583; nearest: 11 and 13',
        },
      ],
    });
    const { text: fine } = await check('--json', temporaryFile('lb.yaml', good));
    expect(JSON.parse(fine)).toMatchObject({ valid: true, vips: 1, backends: 2, problems: [] });
  });

  test('keeps what a file holds from moving the cursor', async () => {
    const path = temporaryFile('lb.yaml', `${good}"a\\e[31m": 1\n`);
    const { text } = await check(path);
    expect(text.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
    expect(text).toContain(':3:1: ["a\\u001b[31m"]: unknown key');
  });

  test('a file that may not be read is no mistake in it', async () => {
    const path = temporaryFile('lb.yaml', good);
    chmodSync(path, 0);
    onTestFinished(() => chmodSync(path, 0o600));
    if (process.getuid!() === 0) becomeNobody();
    await expect(check(path)).rejects.toMatchObject({ code: 'FILE_UNREADABLE', exitCode: 1 });
    await expect(check('/nonexistent.yaml')).rejects.toMatchObject({ hint: 'no such file' });
  });
});

test('inband config-schema prints a JSON Schema', async () => {
  const { text } = await runCli(configSchemaCommand());
  expect(JSON.parse(text)).toMatchObject({
    $schema: 'http://json-schema.org/draft-07/schema#',
    required: ['interface', 'vips'],
    additionalProperties: false,
  });
});
