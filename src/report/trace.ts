import type { TraceAnswer } from '../admin/answers.ts';
import { printable } from './format.ts';
import { colorPaint, plainPaint, wrapLines } from './terminal.ts';
import type { TextOptions } from './text.ts';

/** Where a client's packets go and why, for people in a terminal; without a line feed at the end. */
export function traceText({ client, vip, backend, why }: TraceAnswer, { width, color }: TextOptions): string {
  const paint = color ? colorPaint : plainPaint;
  const way = `${printable(client)} to ${printable(vip)}`;
  const head = backend === null ? `${way} goes nowhere` : `${way} goes to ${printable(backend)}`;
  const lines = why.flatMap((sentence) => wrapLines(printable(sentence), width - 2, '  '));
  return [paint('bold', head), ...lines.map((line) => `  ${line}`)].join('\n');
}
