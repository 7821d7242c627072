// npm run bench:estimators: puts the tables and the figure of the bench `estimators` into docs/measurement.md, between
// marks of their names. Needs that bench to have been run.
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { table } from './table.mjs';

const root = resolve(import.meta.dirname, '..');
const results = join(root, 'bench/results');
const page = join(root, 'docs/measurement.md');

/** Everything from `<!-- table NAME -->` to the next `<!-- end -->`. */
const block = /<!-- table (\w+) -->\n[\s\S]*?<!-- end -->/g;

const { tables, targets, machine } = JSON.parse(readFileSync(join(results, 'estimators.json'), 'utf8'));
const { cpu, cpus, memory_gb, kernel, node } = machine;
const asked = targets.map(({ what, asked, measured, met }) => ({
  what,
  asked,
  measured,
  met: met ? 'yes' : 'no',
}));
const rows = { ...tables, asked };

/** What stands between the marks of this name. */
function content(name) {
  if (name === 'machine') return `${cpu}, ${cpus} CPUs, ${memory_gb} GB, ${kernel}, Node.js ${node}.`;
  if (!rows[name]) throw new Error(`${page}: the bench estimators has no table '${name}'`);
  return rows[name].length > 0 ? table(rows[name]) : 'No capture for this.';
}

const text = readFileSync(page, 'utf8').replace(
  block,
  (_, name) => `<!-- table ${name} -->\n\n${content(name)}\n\n<!-- end -->`,
);
writeFileSync(page, text);
copyFileSync(join(results, 'measurement.svg'), join(root, 'docs/measurement.svg'));
