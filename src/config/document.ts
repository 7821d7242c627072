import { closeSync, openSync, readSync } from 'node:fs';
import type { z } from 'zod';
import { InbandError } from '../errors.ts';
import { messageOf } from './messages.ts';
import { invalidDocument, isError, type Path, type Problem } from './problems.ts';
import { YamlTree } from './yaml.ts';

/** Bytes of a file: ten thousands of backends. */
export const documentBytesMax = 4 << 20;

/** What a file holds, checked against a schema. */
export interface Checked<T> {
  /** Undefined if there is any error. */
  readonly value: T | undefined;
  /** All errors and warnings, in no order. */
  readonly problems: readonly Problem[];
}

/** Looks for what a schema cannot say, in values that need not fit the schema. */
export type CrossCheck = (value: unknown, report: YamlTree['report']) => void;

/**
 * Checks the text of a YAML document: syntax, then schema and cross-check, all problems at once.
 * @param file what problems call it
 */
export function checkText<S extends z.ZodType>(
  text: string,
  file: string,
  schema: S,
  crossCheck: CrossCheck = () => {},
): Checked<z.output<S>> {
  const tree = new YamlTree(text, file);
  if (tree.value === undefined) return { value: undefined, problems: tree.problems };
  const parsed = schema.safeParse(tree.value ?? {}, { error: messageOf });
  if (!parsed.success) for (const issue of parsed.error.issues) note(tree, issue, []);
  crossCheck(tree.value ?? {}, (...problem) => tree.report(...problem));
  const value = parsed.success && !tree.problems.some(isError) ? parsed.data : undefined;
  return { value, problems: tree.problems };
}

/**
 * Checks a file.
 * @throws InbandError `FILE_UNREADABLE` when it cannot be read, is too large or is no UTF-8
 */
export function checkDocument<S extends z.ZodType>(
  path: string,
  schema: S,
  crossCheck?: CrossCheck,
): Checked<z.output<S>> {
  return checkText(readText(path), path, schema, crossCheck);
}

/**
 * The content of a file.
 * @throws InbandError as `checkDocument`, and `CONFIG_INVALID` with all problems as `details` if there is any error
 */
export function loadDocument<S extends z.ZodType>(
  path: string,
  schema: S,
  options: { crossCheck?: CrossCheck; hint: string },
): z.output<S> {
  const { value, problems } = checkDocument(path, schema, options.crossCheck);
  if (value === undefined) throw invalidDocument(path, problems, options.hint);
  return value;
}

/** Notes an issue; of alternatives, what is wrong with the one that was probably meant. */
function note(tree: YamlTree, issue: z.core.$ZodIssue, base: Path): void {
  const path = [...base, ...(issue.path as Path)];
  if (issue.code === 'unrecognized_keys') {
    const messages = issue.message.split('\n');
    for (const [i, message] of messages.entries())
      tree.report([...path, issue.keys[i]!], message, { key: true });
  } else if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    for (const one of probable(issue.errors)) note(tree, one, path);
  } else if (issue.code === 'invalid_key') {
    tree.report(path, issue.issues[0]?.message ?? issue.message, { key: true });
  } else {
    tree.report(path, issue.message);
  }
}

/** The alternative that fits the type of what was given; the last one if none does. */
function probable(alternatives: readonly z.core.$ZodIssue[][]): readonly z.core.$ZodIssue[] {
  const isOfType = (issues: readonly z.core.$ZodIssue[]) =>
    !issues.some(({ code, path }) => code === 'invalid_type' && path.length === 0);
  return alternatives.find(isOfType) ?? alternatives.at(-1)!;
}

function readText(path: string): string {
  const bytes = readBytes(path);
  if (bytes.length > documentBytesMax) {
    throw unreadable(path, 'too large', `a file has at most ${documentBytesMax >> 20} MiB`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw unreadable(path, 'not UTF-8', 'give a text file', cause);
  }
}

/** What a file holds, up to one byte more than is allowed: it may be a device that never ends. */
function readBytes(path: string): Uint8Array {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const bytes = new Uint8Array(documentBytesMax + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read) {
      read = readSync(file, bytes, length, bytes.length - length, null);
    }
    return bytes.subarray(0, length);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const hint =
      code === 'ENOENT' ? 'no such file' : code === 'EISDIR' ? 'this is a directory' : 'check the path';
    throw unreadable(path, String(code), hint, cause);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function unreadable(path: string, why: string, hint: string, cause?: unknown): InbandError {
  return new InbandError('FILE_UNREADABLE', `${path}: cannot be read (${why})`, { hint, cause });
}
