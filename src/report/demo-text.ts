import type { DemoResult } from '../demo/result.ts';
import { demoFacts, demoLegend, demoSentences, demoTable } from './demo-content.ts';
import { colorPaint, plainPaint, tableLines, wrapLines } from './terminal.ts';
import type { TextOptions } from './text.ts';

/** What the demo found, for people in a terminal; without a line feed at the end. */
export function demoText(result: DemoResult, options: TextOptions): string {
  const width = Math.max(40, options.width);
  const paint = options.color ? colorPaint : plainPaint;
  const facts = demoFacts(result);
  const labelWidth = Math.max(...facts.map(([label]) => label.length)) + 2;
  const factLines = facts.flatMap(([label, value]) =>
    wrapLines(value, width - labelWidth, '').map(
      (line, index) => paint('dim', (index === 0 ? label : '').padEnd(labelWidth)) + line,
    ),
  );
  const blocks = [
    factLines,
    tableLines(demoTable(result), width, paint),
    wrapLines(demoLegend, width, '').map((line) => paint('dim', line)),
    demoSentences(result).flatMap((sentence) => wrapLines(sentence, width, '')),
  ];
  return blocks.map((lines) => lines.join('\n')).join('\n\n');
}
