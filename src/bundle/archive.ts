import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { packTar } from 'modern-tar';

/** A file of an archive. */
export interface ArchiveFile {
  readonly name: string;
  readonly data: Uint8Array;
}

/** Readable by whoever unpacks it, and nobody else. */
const fileMode = 0o600;

/** A gzipped tar archive (POSIX ustar) of these files, below a directory. */
export async function makeArchive(
  directory: string,
  files: readonly ArchiveFile[],
  mtime: Date,
): Promise<Uint8Array> {
  const entries = files.map(({ name, data }) => ({
    header: {
      name: `${directory}/${name}`,
      size: data.length,
      mode: fileMode,
      mtime,
      uname: 'root',
      gname: 'root',
    },
    body: data,
  }));
  return promisify(gzip)(await packTar(entries));
}
