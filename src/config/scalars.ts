import { z } from 'zod';
import { parseListen } from '../admin/listen.ts';
import { InbandError } from '../errors.ts';
import { formatAddress, parseAddress, parseEndpoint } from '../net/address.ts';
import { ns, parseDuration } from '../units.ts';
import { describe } from './messages.ts';

/** A text that a parser turns into a value; what the parser says about a bad one is the message. */
function textOf<T>(parse: (text: string) => T, what: string) {
  const error = ({ input }: { input?: unknown }) =>
    input === undefined ? 'missing' : `expected ${what}, found ${describe(input)}`;
  return z.string({ error }).transform((text, context) => {
    try {
      return parse(text);
    } catch (cause) {
      if (!(cause instanceof InbandError)) throw cause;
      const hint = cause.hint === undefined ? '' : `; ${cause.hint}`;
      context.addIssue({ code: 'custom', message: `${cause.message.replace(/^: /, '')}${hint}` });
      return z.NEVER;
    }
  });
}

/** `10.0.0.1:80/tcp` as an endpoint. */
export const endpoint = () => textOf((text) => parseEndpoint(text, ''), 'a text such as 10.0.0.1:80/tcp');

/** What `parseDuration` takes, for editors. */
export const durationPattern = '^\\d+(\\.\\d+)?(ns|us|µs|ms|s|m|h)$';

/** `64us` in ns, within bounds in ns. */
export const duration = (min = 1, max: number = Number.MAX_SAFE_INTEGER) =>
  textOf((text) => {
    const value = parseDuration(text, '');
    if (value >= min && value <= max) return value;
    throw new InbandError('USAGE', `: ${describe(text)} is out of range`, {
      hint: `give ${writeDuration(min)} to ${writeDuration(max)}`,
    });
  }, 'a duration such as 64us').meta({ pattern: durationPattern });

/** `127.0.0.1:9464`, where to listen. */
export const listen = () => textOf((text) => parseListen(text, ''), 'a text such as 127.0.0.1:9464');

/** An address in the form in which all of the program writes it. */
export const address = () =>
  textOf((text) => {
    const parsed = parseAddress(text.trim());
    if (parsed) return formatAddress(parsed.family, ...parsed.words);
    throw new InbandError('USAGE', `: ${describe(text)} is not an address`, {
      hint: 'for example 10.0.0.11 or 2001:db8::11',
    });
  }, 'an address such as 10.0.0.11');

const units: readonly (readonly [number, string])[] = [
  [1e9, 's'],
  [1e6, 'ms'],
  [1e3, 'us'],
];

/** A duration as a file has it, exact: `parseDuration` gives the same back. */
export function writeDuration(value: number): string {
  for (const [unit, suffix] of units) {
    const text = String(value / unit);
    if (value >= unit && /^[\d.]+$/.test(text) && parseDuration(`${text}${suffix}`, '') === ns(value)) {
      return `${text}${suffix}`;
    }
  }
  return `${value}ns`;
}
