import { readFileSync } from 'node:fs';
import { nativeDirectory } from '../datapath/xdp/native.ts';
import { InbandError } from '../errors.ts';

/** The program that is attached for a moment, and that the other end of a veth needs. */
export const passObject = `${nativeDirectory}pass.bpf.o`;

/** What a file holds; undefined when it is not there or may not be read. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

export function readNumber(path: string): number | undefined {
  const text = readText(path);
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : undefined;
}

/** The error that a call ends with; undefined when it does not. */
export function problemOf(call: () => unknown): InbandError | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    if (error instanceof InbandError) return error;
    throw error;
  }
}
