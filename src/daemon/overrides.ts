import { chownSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { AdminState } from '../admin/answers.ts';
import { weightMax } from '../config/settings.ts';

/** What an operator wants of a backend, where that is not what its configuration says. */
export interface Override {
  readonly state: AdminState;
  /** 0 for no new flows; null for as configured. */
  readonly weight: number | null;
}

/** A user and its group, by number. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Whether a change outlives this process; `note` says why not. */
export interface Kept {
  readonly kept: boolean;
  readonly note?: string;
}

/** Overrides of backends that are not configured, kept for their return: beyond this the oldest are forgotten. */
export const strangersMax = 1_024;
/** Overrides in all: as many as a daemon has backends. */
const overridesMax = 65_535 + strangersMax;
/** Bytes of the file: more is none of ours. */
const fileBytesMax = 32 << 20;

const version = 1;

const fileSchema = z.object({
  schema: z.literal(`inband.overrides/${version}`),
  backends: z
    .array(
      z.object({
        vip: z.string(),
        backend: z.string(),
        state: z.enum(['ready', 'drain', 'maintenance']),
        weight: z.number().min(0).max(weightMax).nullable(),
      }),
    )
    .max(overridesMax),
});

/** What is told of the file: once for each thing that is wrong with it. */
export type Tell = (event: 'state_unreadable' | 'state_unwritable', about: Record<string, unknown>) => void;

const asConfigured: Override = { state: 'ready', weight: null };

/**
 * What an operator changed while the load balancer ran, in a file of a directory, so that it survives reloads and restarts.
 * Changes count at once, whether or not they can be written. A file that cannot be read leaves all backends as configured;
 * one that is damaged is moved aside, one that another version made is left alone.
 */
export class Overrides {
  /** Writes that failed. */
  failures = 0;
  readonly #path: string;
  readonly #tell: Tell;
  readonly #entries = new Map<string, Override>();
  /** Why nothing is written. */
  #blocked: string | undefined;
  #isTold = false;
  #writing: Promise<Kept> = Promise.resolve({ kept: true });

  private constructor(path: string, tell: Tell) {
    this.#path = path;
    this.#tell = tell;
  }

  /**
   * Reads what there is for an interface, and makes the directory (0700) unless it is there.
   * @param directory where the file is, `overrides-INTERFACE.json`
   * @param owner whose a directory becomes that is made here; one that is there keeps its own
   */
  static load(directory: string, link: string, tell: Tell, owner?: Owner): Overrides {
    const overrides = new Overrides(join(directory, `overrides-${link}.json`), tell);
    try {
      const made = mkdirSync(directory, { recursive: true, mode: 0o700 });
      if (made !== undefined && owner) chownSync(directory, owner.uid, owner.gid);
    } catch {
      // The first write says what is wrong, if there ever is one.
    }
    overrides.#read();
    return overrides;
  }

  get path(): string {
    return this.#path;
  }

  /** What there is for a backend of a vip. */
  of(vip: string, backend: string): Override {
    return this.#entries.get(keyOf(vip, backend)) ?? asConfigured;
  }

  /** Takes what an operator wants; `save` writes it. */
  set(vip: string, backend: string, change: Partial<Override>): void {
    const key = keyOf(vip, backend);
    const next = { ...this.of(vip, backend), ...change };
    // The latest ones are the last ones.
    this.#entries.delete(key);
    if (next.state !== 'ready' || next.weight !== null) this.#entries.set(key, next);
  }

  /** Forgets the oldest ones of backends that are not configured, beyond `strangersMax`. */
  bound(isConfigured: (vip: string, backend: string) => boolean): void {
    const strangers = [...this.#entries.keys()].filter((key) => !isConfigured(...partsOf(key)));
    for (const key of strangers.slice(0, -strangersMax)) this.#entries.delete(key);
  }

  /** Writes everything, after writes that are under way; never rejects. */
  save(): Promise<Kept> {
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  async #write(): Promise<Kept> {
    if (this.#blocked !== undefined) return { kept: false, note: this.#blocked };
    const text = `${JSON.stringify(this.#document())}\n`;
    const temporary = `${this.#path}.new`;
    try {
      const file = await open(temporary, 'w', 0o600);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, this.#path);
      this.#isTold = false;
      return { kept: true };
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      return this.#failed(error as NodeJS.ErrnoException);
    }
  }

  #failed({ code, message }: NodeJS.ErrnoException): Kept {
    this.failures++;
    const why = code === 'ENOSPC' ? 'the disk is full' : (code ?? message);
    if (!this.#isTold) this.#tell('state_unwritable', { file: this.#path, reason: why });
    this.#isTold = true;
    return { kept: false, note: `${this.#path} cannot be written: ${why}` };
  }

  #document(): z.input<typeof fileSchema> {
    const backends = [...this.#entries].map(([key, override]) => {
      const [vip, backend] = partsOf(key);
      return { vip, backend, ...override };
    });
    return { schema: `inband.overrides/${version}`, backends };
  }

  #read(): void {
    let text: string;
    try {
      text = readFileSync(this.#path, 'utf8');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Where there is a file in the way of the directory there is no file to read, but nor can one be written.
      if (code !== 'ENOENT' && code !== 'ENOTDIR') this.#leave(`it cannot be read (${code})`);
      return;
    }
    const value = text.length > fileBytesMax ? undefined : parsed(text);
    const found = fileSchema.safeParse(value);
    if (found.success) {
      for (const { vip, backend, ...override } of found.data.backends) this.set(vip, backend, override);
      return;
    }
    const schema = z.object({ schema: z.string() }).safeParse(value).data?.schema;
    if (schema !== undefined && schema !== `inband.overrides/${version}`) {
      this.#leave(`another version of inband made it (${schema.slice(0, 60)})`);
    } else this.#moveAside();
  }

  #leave(why: string): void {
    this.#blocked = `${this.#path} is left as it is: ${why}`;
    this.#tell('state_unreadable', { file: this.#path, reason: why, backends: 'as configured' });
  }

  #moveAside(): void {
    const aside = `${this.#path}.damaged`;
    try {
      renameSync(this.#path, aside);
      this.#tell('state_unreadable', { file: aside, reason: 'damaged', backends: 'as configured' });
    } catch (error) {
      this.#leave(`it is damaged, and cannot be moved (${(error as NodeJS.ErrnoException).code})`);
    }
  }
}

/** Neither part has a space in it. */
const keyOf = (vip: string, backend: string): string => `${vip} ${backend}`;

function partsOf(key: string): [vip: string, backend: string] {
  const [vip = '', backend = ''] = key.split(' ');
  return [vip, backend];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
