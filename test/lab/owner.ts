import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const scratch = join(root, 'build', `lab-owner-${process.pid}`);

/**
 * Compiles the sources, so that a process that is not this one can own a lab and be killed. Beside them goes a link
 * to `build`, where they look for the lab's programs.
 */
export function compileOwner(): void {
  mkdirSync(scratch, { recursive: true });
  symlinkSync(join(root, 'build'), join(scratch, 'build'));
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const args = ['-p', join(root, 'tsconfig.build.json'), '--outDir', join(scratch, 'dist')];
  const { stdout } = spawnSync(process.execPath, [tsc, ...args, '--declaration', 'false'], {
    encoding: 'utf8',
  });
  if (!existsSync(join(scratch, 'dist', 'lab', 'lab.js'))) throw new Error(`tsc: ${stdout}`);
}

export const removeOwner = (): void => rmSync(scratch, { recursive: true, force: true });

/** A process that sets a lab up and then does nothing. `id` is there once the lab is up. */
export interface OwnerProcess {
  pid: number;
  id: Promise<string>;
}

export function startOwner(prefix = 'inb-'): OwnerProcess {
  const lab = pathToFileURL(join(scratch, 'dist', 'lab', 'lab.js')).href;
  const program = `
    const { Lab } = await import(${JSON.stringify(lab)});
    const lab = await Lab.up({ servers: 1, prefix: ${JSON.stringify(prefix)} });
    console.log(lab.id);
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const id = new Promise<string>((resolve) => {
    createInterface({ input: child.stdout }).once('line', resolve);
  });
  return { pid: child.pid!, id };
}
