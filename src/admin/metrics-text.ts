/** The exposition format that `Content-Type` promises. */
export const metricsType = 'text/plain; version=0.0.4; charset=utf-8';

export type MetricType = 'counter' | 'gauge' | 'histogram';

/** Labels of a sample as they stand between its braces: `vip="10.0.0.1:80/tcp",backend="10.0.0.11"`. */
export function labelText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escapeLabel(value)}"`)
    .join(',');
}

const escapes: Record<string, string> = { '\\': '\\\\', '"': '\\"', '\n': '\\n' };

const escapeLabel = (value: string): string => value.replace(/[\\"\n]/g, (character) => escapes[character]!);

/** A line of a metric; `labels` as `labelText` writes them, or empty. */
export function sampleLine(name: string, labels: string, value: number): string {
  return labels === '' ? `${name} ${value}\n` : `${name}{${labels}} ${value}\n`;
}

/** The lines before a metric's samples. */
export function headLines(name: string, type: MetricType, help: string): string {
  return `# HELP ${name} ${help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')}\n# TYPE ${name} ${type}\n`;
}

/** A longer part takes the kernel about as long to send as it took to make. */
const partLengthMax = 32_768;

/**
 * Lines joined to texts, each made within about `sliceMs`; between two the event loop has a turn, so that timers wait
 * no longer than that. What the lines say of one moment and of the next may differ by what happened between.
 */
export async function* slices(lines: Iterable<string>, sliceMs: number): AsyncGenerator<string, void> {
  let text = '';
  let startMs = performance.now();
  for (const line of lines) {
    text += line;
    if (text.length < partLengthMax && performance.now() - startMs < sliceMs) continue;
    yield text;
    text = '';
    await new Promise((resolve) => setImmediate(resolve));
    startMs = performance.now();
  }
  if (text !== '') yield text;
}
