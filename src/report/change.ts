import type { ChangeAnswer } from '../admin/answers.ts';
import { formatCount, printable } from './format.ts';
import { colorPaint, plainPaint, wrapLines } from './terminal.ts';
import type { TextOptions } from './text.ts';

const meanings = {
  ready: 'ready, gets new flows',
  drain: 'draining, gets no new flows',
  maintenance: 'in maintenance, gets no new flows and is not checked',
} as const;

/** What a change of a backend came to, for people in a terminal; without a line feed at the end. */
export function changeText({ changed, note }: ChangeAnswer, { width, color }: TextOptions): string {
  const paint = color ? colorPaint : plainPaint;
  const lines = changed.map(({ vip, backend, state, weight, flows_held }) => {
    const name = paint('bold', `${printable(backend)} of ${printable(vip)}`);
    const meaning = state === 'ready' && weight === 0 ? 'ready, but gets no new flows' : meanings[state];
    return `${name}: ${meaning}, weight ${weight}, ${formatCount(flows_held)} flows held`;
  });
  if (changed.length > 1) lines.push(`in ${changed.length} vips; --vip chooses one of them`);
  if (note !== undefined)
    lines.push(...wrapLines(printable(note), width, '').map((line) => paint('yellow', line)));
  return lines.join('\n');
}
