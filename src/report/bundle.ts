import type { Collected } from '../bundle/bundle.ts';
import { formatBytes, printable } from './format.ts';
import { colorPaint, plainPaint, truncate, wrapLines } from './terminal.ts';
import type { TextOptions } from './text.ts';

/** What `inband bundle` made. */
export interface BundleAnswer {
  readonly schema: 'inband.bundle/1';
  readonly file: string;
  readonly bytes: number;
  readonly parts: readonly Collected[];
}

const caution = 'It holds addresses of vips, servers and neighbours: look into it before you pass it on.';

/** What is in an archive, for people in a terminal; without a line feed at the end. */
export function bundleText({ file, bytes, parts }: BundleAnswer, { width, color }: TextOptions): string {
  const paint = color ? colorPaint : plainPaint;
  const nameWidth = Math.max(...parts.map(({ name }) => name.length));
  const sizeWidth = Math.max(...parts.map((part) => formatBytes(part.bytes).length));
  const lines = parts.map(({ name, about, error, ...part }) => {
    const start = `${printable(name).padEnd(nameWidth)}  ${formatBytes(part.bytes).padStart(sizeWidth)}  `;
    const rest = truncate(printable(error ?? about), Math.max(20, width - start.length));
    return error === null ? start + rest : paint('yellow', start + rest);
  });
  const missing = parts.filter(({ error }) => error !== null).length;
  return [
    ...lines,
    '',
    `${printable(file)}: ${formatBytes(bytes)}, ${parts.length} parts${missing > 0 ? `, ${missing} of them with an error instead` : ''}`,
    ...wrapLines(caution, width, ''),
  ].join('\n');
}
