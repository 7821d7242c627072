// node scripts/reference.mjs [--check]: what is made from the schema of the configuration and from the metrics, written or compared.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const root = resolve(import.meta.dirname, '..');
const built = join(root, 'build/reference');
const { values } = parseArgs({ options: { check: { type: 'boolean' } } });

// A place of its own: dist may be in use. What is wrong elsewhere in the sources is for other checks to say.
const compiler = join(root, 'node_modules/.bin/tsc');
const project = ['-p', join(root, 'tsconfig.build.json'), '--outDir', built, '--declaration', 'false'];
spawnSync(compiler, project);
const { referenceText, schemaText } = await import(pathToFileURL(join(built, 'config/reference.js')).href);

const { metricsReference } = await import(pathToFileURL(join(built, 'admin/metrics-reference.js')).href);

const files = {
  'docs/configuration.md': referenceText(),
  'config/inband.schema.json': schemaText(),
  'docs/metrics.md': metricsReference(),
};
for (const [name, text] of Object.entries(files)) {
  const path = join(root, name);
  if (!values.check) writeFileSync(path, text);
  else if (readFileSync(path, 'utf8') !== text) {
    console.error(`reference: ${name} is not fresh; run: node scripts/reference.mjs`);
    process.exitCode = 1;
  }
}
