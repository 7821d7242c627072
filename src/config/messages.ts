import type { z } from 'zod';
import { problemsMax } from './problems.ts';
import { suggest } from './similar.ts';

type RawIssue = z.core.$ZodRawIssue;

/** Texts of a file are repeated in messages up to this length. */
const quotedMax = 60;

const typeNames: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
};

/**
 * What is wrong with a value, and what would be right; undefined leaves it to zod. Several unknown keys of one mapping
 * are lines of one message, in their order.
 */
export function messageOf(issue: RawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return typeMessage(issue.expected, issue.input);
    case 'unrecognized_keys':
      return unknownKeys(
        issue.keys,
        Object.keys((issue.inst as z.ZodObject | undefined)?._zod.def.shape ?? {}),
      );
    case 'invalid_value':
      return valueMessage(issue.values.map(String), issue.input);
    case 'invalid_union':
      return issue.discriminator === undefined ? undefined : optionMessage(issue);
    case 'too_small':
      return sizeMessage(issue.origin, issue.input, 'small', issue.inclusive, Number(issue.minimum));
    case 'too_big':
      return sizeMessage(issue.origin, issue.input, 'big', issue.inclusive, Number(issue.maximum));
    default:
      return undefined;
  }
}

/** A value of a file as messages show it. */
export function describe(value: unknown): string {
  if (typeof value === 'string') {
    return `'${value.length > quotedMax ? `${value.slice(0, quotedMax)}...` : value}'`;
  }
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'a mapping' : String(value);
}

function typeMessage(expected: string, input: unknown): string {
  if (input === undefined) return 'missing';
  return `expected ${typeNames[expected] ?? expected}, found ${describe(input)}`;
}

function valueMessage(values: readonly string[], input: unknown): string {
  if (input === undefined) return 'missing';
  if (typeof input !== 'string') return `expected one of ${values.join(', ')}, found ${describe(input)}`;
  return `${describe(input)} is not known; ${suggest(input, values)}`;
}

/** Of alternatives told apart by one key: what that key should say. */
function optionMessage({
  inst,
  input,
  discriminator,
}: RawIssue & { discriminator?: string | undefined }): string {
  const values = (inst as z.ZodDiscriminatedUnion | undefined)?._zod.propValues?.[discriminator!] ?? [];
  return valueMessage([...values].map(String), (input as Record<string, unknown>)[discriminator!]);
}

function sizeMessage(
  origin: string,
  input: unknown,
  size: 'small' | 'big',
  inclusive: boolean | undefined,
  bound: number,
): string {
  const { length } = (Array.isArray(input) || typeof input === 'string' ? input : []) as ArrayLike<unknown>;
  if (origin === 'array' || origin === 'string') {
    const unit = origin === 'array' ? 'entries' : 'letters';
    if (length === 0) return origin === 'array' ? 'empty; give at least one' : 'empty';
    return size === 'small' ? `needs at least ${bound} ${unit}` : `has more than ${bound} ${unit}`;
  }
  const limit =
    size === 'small' ? (inclusive ? 'at least' : 'more than') : inclusive ? 'at most' : 'less than';
  return `${describe(input)} is too ${size}; give ${limit} ${bound}`;
}

const unknownKeys = (keys: readonly string[], known: readonly string[]): string =>
  keys
    .slice(0, problemsMax)
    .map((key) => `unknown key; ${suggest(key, known)}`)
    .join('\n');
