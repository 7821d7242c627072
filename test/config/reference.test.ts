import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { runCommand } from '../../src/cli/run.ts';
import { referenceText, schemaText } from '../../src/config/reference.ts';

interface Schema {
  description?: string;
  properties?: Record<string, Schema>;
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
  const?: string;
  $ref?: string;
  definitions?: Record<string, Schema>;
}

const root = new URL('../../', import.meta.url);
const schema = JSON.parse(schemaText()) as Schema;

/** Every key of every mapping in the schema, with the path to it. */
function keys(one: Schema, path = ''): [string, Schema][] {
  const own = Object.entries(one.properties ?? {}).map(([name, key]): [string, Schema] => [
    `${path}.${name}`,
    key,
  ]);
  const below = [
    ...own,
    ...[one.items, ...(one.anyOf ?? []), ...(one.oneOf ?? [])].map((next) => [path, next] as const),
  ];
  const defined = Object.entries(one.definitions ?? {});
  return [...own, ...[...below, ...defined].flatMap(([name, next]) => (next ? keys(next, name) : []))];
}

describe('what is made from the schema', () => {
  test.each([
    ['docs/configuration.md', referenceText],
    ['config/inband.schema.json', schemaText],
  ])('%s is fresh; if not: node scripts/reference.mjs', (path, text) => {
    expect(readFileSync(new URL(path, root), 'utf8')).toBe(text());
  });

  test('every key says what it means', () => {
    const all = keys(schema);
    expect(all.length).toBeGreaterThan(40);
    const silent = all.filter(([, key]) => key.const === undefined && (key.description ?? '').length < 10);
    expect(silent.map(([path]) => path)).toEqual([]);
  });

  test('every key is in the docs', () => {
    const docs = referenceText();
    for (const [path] of keys(schema)) expect(docs).toContain(`\`${path.split('.').at(-1)}\``);
  });

  test('every flag of run that is a setting is named at its key, and every named one exists', () => {
    const flags = runCommand().options.map(({ long }) => long!);
    const named = new Set([...referenceText().matchAll(/`(--[\w-]+)`/g)].map(([, flag]) => flag!));
    for (const flag of flags) if (flag !== '--config') expect(named).toContain(flag);
    for (const flag of named) expect([...flags, '--strict', '--json']).toContain(flag);
  });

  test('an editor that knows the schema accepts the examples and rejects what check rejects', () => {
    const editor = z.fromJSONSchema(JSON.parse(schemaText()));
    for (const name of ['minimal', 'example']) {
      const value = parse(readFileSync(new URL(`config/${name}.yaml`, root), 'utf8'));
      expect(editor.safeParse(value).success).toBe(true);
      for (const wrong of [{ tick: 1 }, { ticks: '1ms' }, { policy: 'blance' }, { slots: 3 }, { vips: [] }]) {
        expect(editor.safeParse({ ...value, ...wrong }).success).toBe(false);
      }
    }
  });

  test('the schema has no key that only the docs need', () => {
    expect(schemaText()).not.toContain('"flag"');
  });
});
