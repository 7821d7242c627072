import { Writable } from 'node:stream';
import { afterEach, expect, test, vi } from 'vitest';
import { startProgress } from '../../src/report/progress.ts';

afterEach(() => {
  vi.useRealTimers();
});

/** A stream that keeps what is written to it, and claims to be a terminal or not. */
function aStream(isTTY: boolean) {
  const written: string[] = [];
  const stream = new Writable({
    decodeStrings: false,
    write(chunk, _encoding, done) {
      written.push(String(chunk));
      done();
    },
  });
  return { written, stream: Object.assign(stream, { isTTY, columns: 80 }) as unknown as NodeJS.WriteStream };
}

test('nothing is written where the stream is no terminal', () => {
  const { written, stream } = aStream(false);
  const progress = startProgress('web.pcap', 1000, stream);
  progress.update(500, 'half');
  progress.stop();
  expect(written).toEqual([]);
});

test('a bar shows how much of a known size is done', () => {
  vi.useFakeTimers();
  const { written, stream } = aStream(true);
  const progress = startProgress('web.pcap', 2_000_000, stream);
  progress.update(500_000, '1,000 packets');
  vi.advanceTimersByTime(1000);
  expect(written.join('')).toContain('web.pcap ██████░░░░░░░░░░░░░░░░░░ 25% of 2 MB 1,000 packets');
  progress.stop();
});

test('without a known size it shows what is done', () => {
  vi.useFakeTimers();
  const { written, stream } = aStream(true);
  const progress = startProgress('-', undefined, stream);
  progress.update(1_500_000);
  vi.advanceTimersByTime(1000);
  expect(written.join('')).toContain('- 1.5 MB');
  progress.stop();
});

test('many updates at one time draw nothing until the next redraw is due', () => {
  vi.useFakeTimers();
  const { written, stream } = aStream(true);
  const progress = startProgress('web.pcap', 10_000, stream);
  const before = written.length;
  for (let bytes = 0; bytes < 10_000; bytes++) progress.update(bytes);
  expect(written.length).toBe(before);
  vi.advanceTimersByTime(250);
  expect(written.length).toBeGreaterThan(before);
  progress.stop();
});

test('stopping clears the line and leaves no timer behind', () => {
  vi.useFakeTimers();
  const { written, stream } = aStream(true);
  const progress = startProgress('web.pcap', 1000, stream);
  progress.stop();
  expect(written.at(-1)).toBe('\u001b[2K');
  expect(vi.getTimerCount()).toBe(0);
});

test('a file name cannot control the terminal', () => {
  const { written, stream } = aStream(true);
  startProgress('\u001b[31mred', 1000, stream).stop();
  expect(written.join('')).not.toContain('\u001b[31m');
});
