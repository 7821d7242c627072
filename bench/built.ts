import { existsSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The benches run compiled below `build/bench`, which this file is one level below, or as they are below the root. */
const root = resolve(import.meta.dirname, '..');

/**
 * Lets compiled sources find what they start: the lab's programs and the command, both of which they look for beside
 * themselves. Does nothing where they already do.
 */
export function linkBuilt(): void {
  for (const [name, target] of [
    ['build', '..'],
    ['dist', '../../dist'],
  ] as const) {
    if (!existsSync(join(root, name))) symlinkSync(target, join(root, name));
  }
}
