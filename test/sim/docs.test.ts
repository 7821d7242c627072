import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, it, test } from 'vitest';
import { scenarioFile } from '../../src/sim/schema.ts';
import { simulatedPolicies } from '../../src/sim/simulate.ts';

const docs = new URL('../../docs/', import.meta.url).pathname;
const scenarios = readdirSync(new URL('../../config/scenarios/', import.meta.url).pathname).map((file) =>
  file.replace('.yaml', ''),
);

/** Keys of all mappings that a schema describes, at any depth. */
function keysOf(schema: unknown, found: Set<string> = new Set()): Set<string> {
  const def = (schema as { _zod?: { def: Record<string, unknown> } } | undefined)?._zod?.def;
  if (def === undefined) return found;
  for (const [key, value] of Object.entries((def.shape as Record<string, unknown> | undefined) ?? {})) {
    found.add(key);
    keysOf(value, found);
  }
  for (const inner of [def.element, def.innerType, def.in, def.out, ...((def.options as unknown[]) ?? [])]) {
    keysOf(inner, found);
  }
  return found;
}

it('every key of a scenario is documented', () => {
  const text = readFileSync(`${docs}scenarios.md`, 'utf8');
  const keys = [...keysOf(scenarioFile)];
  expect(keys).toContain('requests_per_connection');
  expect(keys.filter((key) => !new RegExp(`\\b${key}\\b`).test(text))).toEqual([]);
});

const page = readFileSync(`${docs}control.md`, 'utf8');

test.each(scenarios)('the page of control has all policies on %s', (name) => {
  const section = page.split(`\n### ${name}\n`)[1]?.split('\n### ')[0] ?? '';
  for (const policy of simulatedPolicies) expect(section).toContain(`\n| ${policy} |`);
});

it('the page of control has its figures', () => {
  const figures = [...page.matchAll(/\((control\/[^)]+\.svg)\)/g)].map(([, path]) => path!);
  expect(figures.length).toBeGreaterThan(3);
  for (const path of figures) expect(existsSync(`${docs}${path}`)).toBe(true);
});
