// node scripts/manual.mjs [--check]: man pages and completions, made from the definitions of the command line and the
// schema of the configuration, written or compared.
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const root = resolve(import.meta.dirname, '..');
const { values } = parseArgs({ options: { check: { type: 'boolean' } } });

// A place of its own: dist may be in use. What is wrong elsewhere in the sources is for other checks to say.
const built = join(root, 'build/manual');
const project = [
  '-p',
  join(root, 'tsconfig.build.json'),
  '--outDir',
  join(built, 'dist'),
  '--declaration',
  'false',
];
spawnSync(join(root, 'node_modules/.bin/tsc'), project);
copyFileSync(join(root, 'package.json'), join(built, 'package.json'));
const load = (path) => import(pathToFileURL(join(built, 'dist', path)).href);
const { program } = await load('cli/program.js');
const { manualFiles } = await load('manual/manual.js');

const files = manualFiles(await program());
for (const [name, text] of Object.entries(files)) {
  const path = join(root, name);
  if (!values.check) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  } else if (!existsSync(path) || readFileSync(path, 'utf8') !== text) stale(name);
}
for (const folder of ['docs/man', 'config/completions']) {
  for (const name of readdirSync(join(root, folder)).map((file) => `${folder}/${file}`)) {
    if (Object.hasOwn(files, name)) continue;
    if (values.check) stale(name);
    else rmSync(join(root, name));
  }
}

// npm links pages that the package names one by one.
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const man = Object.keys(files)
  .filter((name) => name.startsWith('docs/man/'))
  .map((name) => `./${name}`);
if (JSON.stringify(manifest.man) !== JSON.stringify(man)) {
  if (values.check) stale('package.json');
  else writeFileSync(join(root, 'package.json'), `${JSON.stringify({ ...manifest, man }, null, 2)}\n`);
}

function stale(name) {
  console.error(`manual: ${name} is not fresh; run: node scripts/manual.mjs`);
  process.exitCode = 1;
}
