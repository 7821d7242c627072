import { printable } from '../report/format.ts';
import { type Paint, type Style, wrapLines } from '../report/terminal.ts';
import type { Check, CheckState, Section } from './check.ts';
import type { Diagnosis } from './verdict.ts';

const styles: Record<CheckState, Style> = { ok: 'dim', warning: 'yellow', failed: 'yellow', unknown: 'cyan' };
const stateWidth = 'warning'.length;
const nameWidth = 'aggregation'.length;
const indent = ' '.repeat(2 + stateWidth + 2);

/** For people: every check on a line, below those that are not ok why that matters and the command that helps. */
export function diagnosisText({ sections, verdict }: Diagnosis, width: number, paint: Paint): string {
  const lines = sections.flatMap((section) => [...sectionLines(section, width, paint), '']);
  const last = wrapLines(printable(verdict.text), width, '').map((line) => paint('bold', line));
  return [...lines, ...last].join('\n');
}

const sectionLines = ({ subject, checks }: Section, width: number, paint: Paint): string[] => [
  paint('bold', printable(subject)),
  ...checks.flatMap((check) => checkLines(check, width, paint)),
];

function checkLines({ name, state, found, why, fix }: Check, width: number, paint: Paint): string[] {
  const mark = paint(styles[state], state.padEnd(stateWidth));
  const deep = `${indent}${' '.repeat(nameWidth + 2)}`;
  const wrapped = wrapLines(printable(found), width - deep.length, '');
  const head = `  ${mark}  ${name.padEnd(nameWidth)}  ${wrapped.join(`\n${deep}`)}`;
  if (state === 'ok') return [head];
  const reason = wrapLines(printable(why), width - indent.length, '').map((line) => indent + line);
  // A command is not wrapped: it is there to be copied.
  return [head, ...reason, ...(fix === undefined ? [] : [`${indent}run: ${paint('bold', printable(fix))}`])];
}
