let counts: Intl.NumberFormat | undefined;

/** With thousands separators. What knows locales takes 50 ms to load, which only who prints numbers has to spend. */
function grouped(value: number): string {
  counts ??= new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
  return counts.format(value);
}

/** A count for people, with thousands separators: `1,234,567`; `-` when unknown. */
export function formatCount(value: number | null | undefined): string {
  return value == null || !Number.isFinite(value) ? '-' : grouped(value);
}

/** Beyond this a percentage says no more than 'far off', and would break a column. */
const percentMax = 9999;

/** A fraction as a percentage of at most two significant decimals: 0.034 is `3.4%`, 25 is `2,500%`; `-` when unknown. */
export function formatPercent(fraction: number | null | undefined): string {
  if (fraction == null || Number.isNaN(fraction)) return '-';
  const percent = Math.abs(fraction) * 100;
  const sign = fraction < 0 ? '-' : '';
  if (percent > percentMax) return `${sign}>${grouped(percentMax)}%`;
  if (percent >= 9.95) return `${sign}${grouped(percent)}%`;
  const text = Number(percent.toFixed(1));
  return `${text === 0 ? '' : sign}${text}%`;
}

/** As formatPercent, with the sign written out on both sides of zero: `+3.4%`, `-25%`, `0%`. */
export function formatSignedPercent(fraction: number | null | undefined): string {
  const text = formatPercent(fraction);
  return fraction != null && fraction > 0 && text !== '0%' ? `+${text}` : text;
}

const byteScales: readonly (readonly [number, string])[] = [
  [1e12, 'TB'],
  [1e9, 'GB'],
  [1e6, 'MB'],
  [1e3, 'kB'],
];

/** A size for people in decimal units, three significant digits: `512 B`, `1.83 MB`. */
export function formatBytes(bytes: number): string {
  const [scale, unit] = byteScales.find(([scale]) => bytes >= scale) ?? [1, 'B'];
  return `${Number((bytes / scale).toPrecision(bytes / scale >= 100 ? 4 : 3))} ${unit}`;
}

/**
 * Text that is safe to print on a terminal: control characters, which file and backend names may hold and which could
 * move the cursor or recolor the screen, and bidirectional overrides become U+FFFD.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, '\ufffd');
}
