import { type ArchiveFile, makeArchive } from './archive.ts';

/** A part is cut off beyond this. */
export const partBytesMax = 16 << 20;
/** A part that takes longer is left out. */
const partMsMax = 20_000;

/** Something that helps whoever looks for a fault. */
export interface Part {
  /** File that it becomes. */
  readonly name: string;
  /** What it is, in a few words. */
  readonly about: string;
  /** A text, or a value that becomes JSON; what it throws is written in its place. */
  readonly read: () => unknown;
}

/** What became of a part. */
export interface Collected {
  readonly name: string;
  readonly about: string;
  readonly bytes: number;
  /** Why it could not be had; null if it is there. */
  readonly error: string | null;
}

export interface Bundle {
  readonly parts: readonly Collected[];
  readonly archive: Uint8Array;
}

/**
 * Reads the parts one after the other and packs them, with a list of what there is. A part that cannot be had never
 * prevents the others: the error is in its place, with `.error` behind the name.
 */
export async function makeBundle(directory: string, parts: readonly Part[], madeAt: Date): Promise<Bundle> {
  const collected: Collected[] = [];
  const files: ArchiveFile[] = [];
  for (const part of parts) {
    const { name, data, error } = await readPart(part);
    files.push({ name, data });
    collected.push({ name, about: part.about, bytes: data.length, error });
  }
  const manifest = { schema: 'inband.bundle/1', made_at: madeAt.toISOString(), parts: collected };
  const first = { name: 'manifest.json', data: bytesOf(manifest) };
  return { parts: collected, archive: await makeArchive(directory, [first, ...files], madeAt) };
}

async function readPart(part: Part): Promise<ArchiveFile & { error: string | null }> {
  const { name } = part;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it took longer than ${partMsMax / 1e3} s`)), partMsMax);
  });
  try {
    const data = bytesOf(await Promise.race([(async () => part.read())(), late]));
    if (data.length <= partBytesMax) return { name, data, error: null };
    return { name, data: data.subarray(0, partBytesMax), error: `cut off after ${partBytesMax} bytes` };
  } catch (cause) {
    const error = cause instanceof Error ? cause.message : String(cause);
    return { name: `${name}.error`, data: Buffer.from(`${error}\n`), error };
  } finally {
    clearTimeout(timer);
  }
}

const bytesOf = (value: unknown): Uint8Array =>
  Buffer.from(typeof value === 'string' ? value : `${JSON.stringify(value, null, 2)}\n`);
