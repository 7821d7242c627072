import { InbandError } from '../errors.ts';

/** Where in a document: keys of mappings and places in lists, from the outside in. */
export type Path = readonly (string | number)[];

/** Something wrong (`error`) or doubtful (`warning`) in a document, and where. */
export interface Problem {
  readonly severity: 'error' | 'warning';
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  /** 1-based, in UTF-16 units as editors count. */
  readonly column: number;
  /** As `formatPath` writes it; empty when it is the document as a whole. */
  readonly path: string;
  /** What is wrong and what would be right. */
  readonly message: string;
}

/** Problems looked for in one document. */
export const problemsMax = 1000;
/** Lines printed for one document: who has more mistakes mends these first. */
const linesMax = 100;

/** `vips[0].address`; keys that are no plain words in quotes: `pools["a b"]`. */
export function formatPath(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (!/^[\w-]+$/.test(step)) text += `[${JSON.stringify(step)}]`;
    else text += text === '' ? step : `.${step}`;
  }
  return text;
}

/** `lb.yaml:3:5: vips[0].address: message`, with `warning: ` before the message of a warning. */
export function formatProblem({ severity, file, line, column, path, message }: Problem): string {
  const where = path === '' ? '' : `${path}: `;
  return `${file}:${line}:${column}: ${where}${severity === 'warning' ? 'warning: ' : ''}${message}`;
}

/** One line per problem, in the order of the file, at most 100 and then how many more. */
export function problemLines(problems: readonly Problem[]): string[] {
  const lines = inOrder(problems).map(formatProblem);
  if (lines.length <= linesMax) return lines;
  const more = problems.length < problemsMax ? `${lines.length - linesMax} more` : 'many more';
  return [...lines.slice(0, linesMax), `and ${more}`];
}

export function inOrder(problems: readonly Problem[]): Problem[] {
  return problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
}

export const isError = ({ severity }: Problem): boolean => severity === 'error';

/** `2 errors, 1 warning`; `no problems`; `1000 errors or more`. */
export function countProblems(problems: readonly Problem[]): string {
  const errors = problems.filter(isError).length;
  const warnings = problems.length - errors;
  const parts = [count(errors, 'error'), count(warnings, 'warning')].filter((part) => part !== '');
  return (parts.join(', ') || 'no problems') + (problems.length < problemsMax ? '' : ' or more');
}

const count = (number: number, what: string): string =>
  number === 0 ? '' : `${number} ${what}${number === 1 ? '' : 's'}`;

/** The error of a document that cannot be used, with every problem as a line of its own. */
export function invalidDocument(file: string, problems: readonly Problem[], hint: string): InbandError {
  return new InbandError('CONFIG_INVALID', `${file}: ${countProblems(problems)}`, {
    hint,
    details: problemLines(problems),
  });
}
