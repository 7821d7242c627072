import type { Command } from 'commander';
import { onTestFinished, vi } from 'vitest';

/** What a command printed, and the exit code it chose. */
export async function runCli(
  command: Command,
  ...argv: string[]
): Promise<{ text: string; exitCode: unknown }> {
  const write = vi.spyOn(process.stdout, 'write').mockImplementation(() => true);
  const before = process.exitCode;
  try {
    await command.parseAsync(argv, { from: 'user' });
    return { text: write.mock.calls.map(([chunk]) => String(chunk)).join(''), exitCode: process.exitCode };
  } finally {
    write.mockRestore();
    process.exitCode = before;
  }
}

/** Takes all privileges from the test until it ends. */
export function becomeNobody(): void {
  process.seteuid!(65534);
  onTestFinished(() => process.seteuid!(0));
}
