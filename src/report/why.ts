import type { ExplainedBackend, ExplainedDecision } from '../control/explain.ts';
import type { Why } from '../daemon.ts';
import { formatPercent, printable } from './format.ts';
import { colorPaint, plainPaint } from './terminal.ts';
import type { TextOptions } from './text.ts';

/** Why the backends of some vips hold what they hold, for people in a terminal; without a line feed at the end. */
export function whyText({ vips }: Why, { color }: Pick<TextOptions, 'color'>): string {
  const paint = color ? colorPaint : plainPaint;
  const parts = vips.flatMap(({ vip, policy, kind, backends }) =>
    backends.map((backend) => {
      const { share, weight, usable, decisions } = backend;
      const held = `${formatPercent(share)} of new flows, ${formatPercent(weight)} configured`;
      const head = `${paint('bold', `${printable(backend.backend)} of ${printable(vip)}`)}  ${held}`;
      const about = `policy ${printable(policy)} on ${printable(kind)}${usable ? '' : '; it cannot be used now'}`;
      return [head, about, ...(decisions.length > 0 ? decisions.map(line) : [undecided(backend)])].join('\n');
    }),
  );
  return parts.join('\n\n');
}

function line({ from, until, steps, text }: ExplainedDecision): string {
  const seconds = (Date.parse(until) - Date.parse(from)) / 1e3;
  const lasting = steps > 1 ? `, ${steps} steps in ${seconds.toFixed(2)} s` : '';
  return `  ${from.slice(11, 23)}${lasting}  ${printable(text)}`;
}

function undecided({ share, weight }: ExplainedBackend): string {
  const same = Math.abs(share - weight) < 1e-6;
  return same
    ? '  nothing was decided about it: its share is as configured'
    : '  nothing was decided about it: its share changed as those of others did';
}
