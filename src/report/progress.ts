import cliProgress from 'cli-progress';
import { formatBytes, printable } from './format.ts';

export interface Progress {
  /** Says how many bytes are done; `note` follows the bar until another note comes. Cheap enough for every block read. */
  update(bytes: number, note?: string): void;
  /** Removes the bar from the terminal. Until then it keeps the process alive. */
  stop(): void;
}

const redrawsPerSecond = 5;

/**
 * Shows how far work on a long input is, in one line that disappears at the end: a bar where `totalBytes` is known, and
 * else the bytes done. Nothing is written where `stream` is no terminal.
 */
export function startProgress(
  label: string,
  totalBytes: number | undefined,
  stream: NodeJS.WriteStream = process.stderr,
): Progress {
  if (!stream.isTTY) return { update: () => {}, stop: () => {} };
  const name = printable(label);
  const bar = new cliProgress.SingleBar({
    stream,
    format:
      totalBytes === undefined ? `${name} {done} {note}` : `${name} {bar} {percentage}% of {size} {note}`,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 24,
    fps: redrawsPerSecond,
    clearOnComplete: true,
    // Lines are cut to the terminal's width instead of switching its wrapping off, which would outlive an interrupt.
    linewrap: true,
  });
  bar.start(totalBytes ?? 0, 0, { done: formatBytes(0), size: formatBytes(totalBytes ?? 0), note: '' });
  return {
    update(bytes, note) {
      bar.update(bytes, {
        done: formatBytes(bytes),
        ...(note === undefined ? {} : { note: printable(note) }),
      });
    },
    stop: () => bar.stop(),
  };
}
