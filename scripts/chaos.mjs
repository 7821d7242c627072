// npm run test:chaos [-- --seed N --minutes X]: compiles, and disturbs a load balancer in a lab. --help tells more.
import { spawn, spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');

for (const project of ['tsconfig.build.json', 'tsconfig.bench.json']) {
  const tsc = join(root, 'node_modules/.bin/tsc');
  const { status } = spawnSync(tsc, ['-p', join(root, project)], { stdio: 'inherit' });
  if (status !== 0) process.exit(1);
}
// The run cleans up after an interrupt itself; this process waits for it.
process.on('SIGINT', () => {});
const main = join(root, 'build/bench/test/chaos/main.js');
const child = spawn(process.execPath, [main, ...process.argv.slice(2)], { stdio: 'inherit' });
child.on('close', (code) => {
  process.exitCode = code ?? 1;
});
