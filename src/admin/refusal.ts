import type { z } from 'zod';
import { messageOf } from '../config/messages.ts';
import { formatPath, type Path } from '../config/problems.ts';
import { type ErrorCode, InbandError } from '../errors.ts';

/** A request that is answered with an HTTP status of its own. */
export class Refusal extends InbandError {
  readonly status: number;

  constructor(
    status: number,
    message: string,
    options: { hint?: string; details?: readonly string[]; code?: ErrorCode; cause?: unknown } = {},
  ) {
    super(options.code ?? 'USAGE', message, options);
    this.status = status;
  }

  /** What the answer has beside the message. */
  get about(): { code: ErrorCode; hint: string | undefined; details: readonly string[] } {
    const { code, hint, details } = this;
    return { code, hint, details };
  }
}

/**
 * A value of a request, as a schema has it.
 * @param what what it is called, such as `the body`
 * @throws Refusal 400 with every mistake as a line of its details
 */
export function checked<S extends z.ZodType>(schema: S, value: unknown, what: string): z.output<S> {
  const result = schema.safeParse(value, { error: messageOf });
  if (result.success) return result.data;
  const lines = result.error.issues.flatMap((issue) => {
    const path = issue.path as Path;
    if (issue.code === 'unrecognized_keys') {
      return issue.message.split('\n').map((line, i) => `${formatPath([...path, issue.keys[i]!])}: ${line}`);
    }
    return [path.length === 0 ? issue.message : `${formatPath(path)}: ${issue.message}`];
  });
  throw new Refusal(400, `${what}: ${lines[0]}`, { details: lines.slice(1) });
}

/** The values of a query, each given once. Refuses as `checked`. */
export function checkedQuery<S extends z.ZodType>(schema: S, query: URLSearchParams): z.output<S> {
  for (const name of query.keys()) {
    if (query.getAll(name).length > 1) throw new Refusal(400, `the query: ${name}: given twice`);
  }
  return checked(schema, Object.fromEntries(query), 'the query');
}
