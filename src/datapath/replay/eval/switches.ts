import { InbandError } from '../../../errors.ts';
import { openLines } from '../truth.ts';

/** A server became slower or faster. */
export interface Switch {
  readonly server: string;
  /** Nanoseconds since `baseS`. */
  readonly timeNs: number;
}

/** Switches that one file may list. */
const switchesMax = 10_000;

/**
 * Reads a list of `server time_ns new_delay_ns`, times since the Unix epoch.
 * @param baseS whole seconds since the Unix epoch that the result counts from
 * @throws InbandError `FILE_UNREADABLE`, or `TRUTH_INVALID` with file and line
 */
export async function readSwitches(path: string, baseS: number): Promise<Switch[]> {
  const switches: Switch[] = [];
  let line = 0;
  for await (const text of await openLines(path)) {
    line++;
    if (text.trim() === '') continue;
    const match = /^(\S+)\s+(\d{10,22})\s+\d+$/.exec(text.trim());
    if (!match || switches.length === switchesMax) {
      throw new InbandError('TRUTH_INVALID', `${path}:${line}: not a switch: '${text.slice(0, 80)}'`, {
        hint: 'each line is: server time_ns new_delay_ns',
      });
    }
    const [, server, time] = match;
    const seconds = Number(time!.slice(0, -9)) - baseS;
    switches.push({ server: server!, timeNs: seconds * 1e9 + Number(time!.slice(-9)) });
  }
  return switches;
}
