import type { Changes, ReloadAnswer } from '../admin/answers.ts';
import { formatDuration } from '../units.ts';
import { formatCount } from './format.ts';

/** What a reload changed, for people in a terminal; without a line feed at the end. */
export function reloadText({ took_ms, slots_moved, vips, backends }: ReloadAnswer): string {
  const slots = `${formatCount(slots_moved)} ${slots_moved === 1 ? 'slot' : 'slots'} moved`;
  return [
    `reloaded in ${formatDuration(took_ms * 1e6)}, ${slots}`,
    `vips: ${changesText(vips)}`,
    `backends: ${changesText(backends)}`,
  ].join('\n');
}

function changesText(changes: Changes): string {
  const shown = (['added', 'removed', 'changed', 'unchanged'] as const).filter((name) => changes[name] > 0);
  return shown.map((name) => `${formatCount(changes[name])} ${name}`).join(', ') || 'none';
}
