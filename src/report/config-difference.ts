import type { BackendChange, Difference, SettingChange, VipChange } from '../config/difference.ts';
import type { Table } from './content.ts';
import { formatCount, formatPercent, printable } from './format.ts';
import { colorPaint, type Paint, plainPaint, tableLines } from './terminal.ts';
import type { TextOptions } from './text.ts';

const signs = { added: '+', removed: '-', changed: '~', kept: ' ' } as const;

/** What a configuration would change, for people in a terminal; without a line feed at the end. */
export function differenceText(found: Difference, { width, color }: TextOptions): string {
  const { vips, settings, vips_unchanged } = found;
  if (vips.length === 0 && settings.length === 0) return 'nothing changes';
  const paint = color ? colorPaint : plainPaint;
  return [
    ...vips.flatMap((vip) => [...vipLines(vip, width, paint), '']),
    ...settings.map(settingLine),
    `${formatCount(vips_unchanged)} ${vips_unchanged === 1 ? 'vip' : 'vips'} unchanged`,
  ].join('\n');
}

function vipLines(vip: VipChange, width: number, paint: Paint): string[] {
  const { policy_before, policy_after, settings } = vip;
  const isOther = vip.change === 'changed' && JSON.stringify(policy_before) !== JSON.stringify(policy_after);
  return [
    `${signs[vip.change]} ${paint('bold', printable(vip.vip))}: ${summary(vip)}`,
    ...(isOther ? [settingLine({ key: 'policy', before: policy_before, after: policy_after })] : []),
    ...settings.map(settingLine),
    ...(vip.backends.length > 0 ? tableLines(backendTable(vip.backends), width, paint) : []),
  ];
}

function summary({
  change,
  backends,
  slots_before,
  slots_after,
  slots_moved,
  slots_moved_min,
}: VipChange): string {
  if (change !== 'changed') return `${change}, with ${formatCount(backends.length)} backends`;
  if (slots_moved === null || slots_after === null) {
    const sizes = `${formatCount(slots_before)} slots becomes one of ${formatCount(slots_after)}`;
    return `table of ${sizes}: all of them are new`;
  }
  if (slots_moved === 0) return 'no slot moves';
  const part = formatPercent(slots_moved / slots_after);
  const moved = `${formatCount(slots_moved)} of ${formatCount(slots_after)} slots move (${part})`;
  return `${moved}, ${formatCount(slots_moved_min)} at least`;
}

function backendTable(backends: readonly BackendChange[]): Table {
  const isRunning = backends.some(({ flows_held }) => flows_held !== null);
  const rows = backends.map((one) => [
    `${signs[one.change]} ${one.backend}`,
    arrow(one.weight_before, one.weight_after),
    arrow(one.slots_before, one.slots_after),
    ...(isRunning ? [formatCount(one.flows_held)] : []),
    arrow(one.encap_before, one.encap_after),
  ]);
  const head = ['backend', 'weight', 'slots', ...(isRunning ? ['flows held'] : []), 'encap'];
  return { title: '', note: '', head, rows };
}

const settingLine = ({ key, before, after }: SettingChange): string =>
  printable(`~ ${key}: ${valueText(before)} -> ${valueText(after)}`);

/** `1 -> 2`, or the one value where both are equal or one is missing. */
function arrow(before: number | string | null, after: number | string | null): string {
  const text = (value: number | string) =>
    typeof value === 'number' && value >= 1e4 ? formatCount(value) : `${value}`;
  if (before === null || after === null || before === after) return text((after ?? before)!);
  return `${text(before)} -> ${text(after)}`;
}

function valueText(value: unknown): string {
  if (value === null) return 'none';
  if (typeof value !== 'object') return String(value);
  if (Array.isArray(value)) return value.join(', ');
  const { name, ...settings } = value as Record<string, unknown>;
  return [name, ...Object.entries(settings).map(([key, setting]) => `${key}=${setting}`)].join(' ');
}
