import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { checkDocument, checkText, documentBytesMax, loadDocument } from '../../src/config/document.ts';
import { problemLines } from '../../src/config/problems.ts';
import { similar, suggest } from '../../src/config/similar.ts';
import { temporaryDirectory, temporaryFile } from '../datapath/replay/support.ts';

const server = z.strictObject({ name: z.string().min(1), weight: z.number().positive().max(10).default(1) });
const schema = z.strictObject({
  count: z.int().min(1).max(3),
  policy: z.enum(['static', 'shift', 'balance']).default('balance'),
  verbose: z.boolean().optional(),
  servers: z.array(server).min(1).max(3),
  pools: z
    .record(z.string().regex(/^\w+$/, 'a pool is named by letters and digits'), z.array(server))
    .optional(),
  one: z.union([z.string(), server]).optional(),
});

const valid = 'count: 1\nservers: [{ name: a }]\n';

/** The lines that checking a text gives. */
const lines = (text: string): string[] => problemLines(checkText(text, 'f.yaml', schema).problems);

test('a good document gives its values, with defaults', () => {
  expect(checkText(valid, 'f.yaml', schema)).toEqual({
    value: { count: 1, policy: 'balance', servers: [{ name: 'a', weight: 1 }] },
    problems: [],
  });
});

describe('what is wrong is said with file, line, column, path and what would be right', () => {
  test.each<[string, string, string]>([
    ['a missing key', 'servers: [{ name: a }]', '1:1: count: missing'],
    [
      'a key without a value',
      'count:\nservers: [{ name: a }]',
      '1:1: count: expected a number, found nothing',
    ],
    [
      'a text for a number',
      `${valid}one: { name: a, weight: x }`,
      "3:25: one.weight: expected a number, found 'x'",
    ],
    ['a fraction', 'count: 1.5\nservers: [{ name: a }]', '1:8: count: expected a whole number, found 1.5'],
    ['too small', 'count: 0\nservers: [{ name: a }]', '1:8: count: 0 is too small; give at least 1'],
    ['too big', 'count: 4\nservers: [{ name: a }]', '1:8: count: 4 is too big; give at most 3'],
    [
      'not above',
      `${valid}one: { name: a, weight: 0 }`,
      '3:25: one.weight: 0 is too small; give more than 0',
    ],
    [
      'not finite',
      `${valid}one: { name: a, weight: .inf }`,
      '3:25: one.weight: expected a number, found Infinity',
    ],
    ['no truth value', `${valid}verbose: yes`, "3:10: verbose: expected true or false, found 'yes'"],
    ['an empty list', 'count: 1\nservers: []', '2:10: servers: empty; give at least one'],
    [
      'too many',
      'count: 1\nservers: [{name: a},{name: b},{name: c},{name: d}]',
      '2:10: servers: has more than 3 entries',
    ],
    ['an empty text', "count: 1\nservers: [{ name: '' }]", '2:19: servers[0].name: empty'],
    [
      'a mapping for a list',
      'count: 1\nservers: { name: a }',
      '2:10: servers: expected a list, found a mapping',
    ],
    ['a list for a mapping', 'count: 1\nservers: [[]]', '2:11: servers[0]: expected a mapping, found a list'],
    ['a misspelt key', `${valid}polciy: shift`, '3:1: polciy: unknown key; did you mean policy?'],
    [
      'a strange key',
      'count: 1\nservers:\n  - name: a\n    q: 1',
      '4:5: servers[0].q: unknown key; there is name, weight',
    ],
    [
      'a misspelt name',
      `${valid}policy: blance`,
      "3:9: policy: 'blance' is not known; did you mean balance?",
    ],
    ['a strange name', `${valid}policy: x`, "3:9: policy: 'x' is not known; there is static, shift, balance"],
    [
      'a number for a name',
      `${valid}policy: 7`,
      '3:9: policy: expected one of static, shift, balance, found 7',
    ],
    [
      'a bad name of a key',
      `${valid}pools: { "a b": [] }`,
      '3:10: pools["a b"]: a pool is named by letters and digits',
    ],
    ['within alternatives', `${valid}one: { nam: a }`, '3:8: one.nam: unknown key; did you mean name?'],
    ['no alternative', `${valid}one: 7`, '3:6: one: expected a mapping, found 7'],
    ['a key given twice', `${valid}count: 2`, '3:1: count: given twice'],
    ['a key that is a list', `${valid}? [a]\n: 1`, '3:3: a key must be a word'],
    ['a tab', 'count: 1\nservers:\n\t- name: a', '3:1: not YAML: indented by a tab; use spaces'],
    ['a second document', `${valid}---\ncount: 2`, '3:1: a second document begins here; one file holds one'],
    ['a tag', 'count: !big 1\nservers: [{ name: a }]', '1:8: unresolved tag: !big; leave it out'],
    [
      'an alias to nothing',
      'count: *x\nservers: [{ name: a }]',
      '1:8: count: the alias *x stands for nothing',
    ],
    [
      'an alias to itself',
      'count: 1\nservers: &s [*s]',
      '2:14: servers[0]: the alias *s stands for what it is in',
    ],
    [
      'an IPv6 address that YAML takes for a list',
      'count: 1\nservers: [2001:db8::1]:443/udp',
      '2:23: not YAML: put a text that begins with [ in quotes, as "[2001:db8::1]:443/udp"',
    ],
  ])('%s', (_what, text, line) => {
    expect(lines(text)).toContain(`f.yaml:${line}`);
  });

  test('an empty document lacks what is required', () => {
    const missing = ['f.yaml:1:1: count: missing', 'f.yaml:1:1: servers: missing'];
    expect(lines('')).toEqual(missing);
    expect(lines('# nothing\n')).toEqual(missing);
  });

  test('a list is no document', () => {
    expect(lines('- 1')).toEqual(['f.yaml:1:1: expected a mapping, found a list']);
  });

  test('all at once, in the order of the file', () => {
    expect(lines('polciy: x\ncount: 9\nservers:\n  - { name: 1 }\n  - weight: 2\n')).toEqual([
      'f.yaml:1:1: polciy: unknown key; did you mean policy?',
      'f.yaml:2:8: count: 9 is too big; give at most 3',
      'f.yaml:4:13: servers[0].name: expected a text, found 1',
      'f.yaml:5:5: servers[1].name: missing',
    ]);
  });

  test('an alias is checked where it stands', () => {
    expect(lines('count: &n 9\nservers: [{ name: a, weight: *n }, { name: b, weight: *n }]')).toEqual([
      'f.yaml:1:11: count: 9 is too big; give at most 3',
    ]);
    expect(lines('count: 1\nservers: [&s { name: a, q: 1 }, *s]')).toEqual([
      'f.yaml:2:25: servers[0].q: unknown key; there is name, weight',
      'f.yaml:2:25: servers[1].q: unknown key; there is name, weight',
    ]);
  });

  test('after a hundred lines the rest is counted', () => {
    const many = lines(`${valid}${Array.from({ length: 150 }, (_, i) => `k${i}: 1\n`).join('')}`);
    expect(many).toHaveLength(101);
    expect(many.at(-1)).toBe('and 50 more');
  });
});

describe('a document that attacks its reader is refused', () => {
  test('aliases of aliases', () => {
    const layers = Array.from(
      { length: 30 },
      (_, i) => `k${i + 1}: &a${i + 1} [*a${i}, *a${i}, *a${i}, *a${i}]\n`,
    );
    expect(lines(`k0: &a0 [x]\n${layers.join('')}`)).toContain('f.yaml:1:1: more than 100 aliases');
  });

  test('mistakes without end', () => {
    const many = lines(Array.from({ length: 20_000 }, (_, i) => `k${i}: 1\n`).join(''));
    expect(many).toHaveLength(101);
    expect(many.at(-1)).toBe('and many more');
  });

  test('lists in lists', () => {
    expect(lines(`count: ${'['.repeat(80)}${']'.repeat(80)}`).at(-1)).toContain(
      'more than 64 mappings and lists within each other',
    );
    expect(lines('['.repeat(100_000))).not.toEqual([]);
  });

  test('names of what every object has', () => {
    expect(lines(`${valid}__proto__: { count: 2 }\nconstructor: 1`)).toEqual([
      'f.yaml:3:1: __proto__: this name cannot be a key',
    ]);
    expect(lines(`${valid}constructor: 1\ntoString: 2`)).toEqual([
      'f.yaml:3:1: constructor: unknown key; there is count, policy, verbose, servers, pools, one',
      'f.yaml:4:1: toString: unknown key; there is count, policy, verbose, servers, pools, one',
    ]);
  });
});

describe('files', () => {
  const refused = (path: string) => {
    try {
      return checkDocument(path, schema);
    } catch (error) {
      return error;
    }
  };

  test.each<[string, () => string, string]>([
    ['is not there', () => '/nonexistent/x.yaml', 'cannot be read (ENOENT)'],
    ['is a directory', () => temporaryDirectory(), 'cannot be read (EISDIR)'],
    ['never ends', () => '/dev/zero', 'cannot be read (too large)'],
    [
      'is too large',
      () => temporaryFile('x.yaml', ' '.repeat(documentBytesMax + 1)),
      'cannot be read (too large)',
    ],
  ])('one that %s is refused', (_what, path, message) => {
    expect(refused(path())).toMatchObject({
      code: 'FILE_UNREADABLE',
      message: expect.stringContaining(message),
    });
  });

  test('one that is no text is refused', () => {
    const path = temporaryFile('x.yaml', '');
    writeFileSync(path, new Uint8Array([0x63, 0xff, 0xfe]));
    expect(refused(path)).toMatchObject({ message: `${path}: cannot be read (not UTF-8)` });
  });

  test('an error holds every problem as a line of its own', () => {
    const path = temporaryFile('x.yaml', 'count: 9\nservers: []\n');
    expect(() => loadDocument(path, schema, { hint: 'mend it' })).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: `${path}: 2 errors`,
        hint: 'mend it',
        details: [
          `${path}:1:8: count: 9 is too big; give at most 3`,
          `${path}:2:10: servers: empty; give at least one`,
        ],
      }),
    );
  });

  test('warnings alone leave a value', () => {
    const { value, problems } = checkText(valid, 'f.yaml', schema, (_value, report) => {
      report(['count'], 'few', { severity: 'warning' });
    });
    expect(value).toBeDefined();
    expect(problemLines(problems)).toEqual(['f.yaml:1:8: count: warning: few']);
  });
});

test.each([
  ['polciy', 'policy'],
  ['Policy', 'policy'],
  ['polices', 'policy'],
  ['backend', 'backends'],
  ['xyz', undefined],
  ['', undefined],
])('%j is probably %s', (word, meant) => {
  expect(similar(word, ['policy', 'pools', 'backends'])).toBe(meant);
});

test('without anything near, all that there is is named', () => {
  expect(suggest('x', ['aa', 'bb'])).toBe('there is aa, bb');
  expect(suggest('x', [])).toBe('there are none');
});
