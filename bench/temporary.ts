import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * A directory for files of this many bytes in the system's temporary directory, removed when the process ends, also by
 * SIGINT or SIGTERM.
 * @throws Error if the disk has less than that free
 */
export function temporaryDirectory(bytes: number): string {
  const { bavail, bsize } = statfsSync(tmpdir());
  if (bavail * bsize < bytes) {
    throw new Error(
      `${Math.round(bytes / 1e6)} MB are needed in ${tmpdir()}: set TMPDIR to a directory on another disk`,
    );
  }
  const directory = mkdtempSync(join(tmpdir(), 'inband-bench-'));
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  process.on('SIGINT', () => process.exit(130));
  process.on('SIGTERM', () => process.exit(143));
  return directory;
}
