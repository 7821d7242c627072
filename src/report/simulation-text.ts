import type { SimulationResult } from '../sim/result.ts';
import { printable } from './format.ts';
import { phaseTables, reactionTable, simulationFacts, simulationLegend } from './simulation-content.ts';
import { colorPaint, plainPaint, tableLines, wrapLines } from './terminal.ts';
import type { TextOptions } from './text.ts';

/** What a simulation found, for people in a terminal; without a line feed at the end. */
export function simulationText(result: SimulationResult, options: TextOptions): string {
  const width = Math.max(40, options.width);
  const paint = options.color ? colorPaint : plainPaint;
  const facts = simulationFacts(result);
  const labelWidth = Math.max(...facts.map(([label]) => label.length)) + 2;
  const reaction = reactionTable(result);
  const tables = [...phaseTables(result), ...(reaction ? [reaction] : [])];
  const blocks = [
    wrapLines(printable(result.title), width, '').map((line) => paint('bold', line)),
    facts.flatMap(([label, value]) =>
      wrapLines(printable(value), width - labelWidth, '').map(
        (line, index) => paint('dim', (index === 0 ? label : '').padEnd(labelWidth)) + line,
      ),
    ),
    ...tables.map((table) => [
      `${paint('bold', table.title)}  ${printable(table.note)}`,
      ...tableLines(table, width, paint),
    ]),
    wrapLines(simulationLegend, width, '').map((line) => paint('dim', line)),
  ];
  return blocks.map((lines) => lines.join('\n')).join('\n\n');
}
