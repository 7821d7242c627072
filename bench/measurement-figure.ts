import { mkdirSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { EvalBackendTimeline, EvalLine, EvalTimeline } from '../src/datapath/replay/eval/result.ts';

/** Workloads that show most, where they were evaluated; two columns of panels. */
const shown = [
  'w02_cl1exp',
  'memtier_reconnect_two_servers',
  'w05_pipe8',
  'memtier_pipeline16',
  'memcached_think_time',
  'w15_lanstep',
  'bulk_upload_cubic',
  'udp_window4',
];

/** Where the figure goes: bench/results, from which docs are made. */
export const figurePath = resolve(import.meta.dirname, '../../../bench/results/measurement.svg');

const lines = [
  { estimator: 'ensemble:smooth:backend', label: 'ENSEMBLETIMEOUT', color: '#d55e00' },
  { estimator: 'pirate', label: 'Pirate, our reading', color: '#009e73' },
  { estimator: 'auto', label: 'auto', color: '#0072b2' },
];
const truthColor = '#c3c9d0';
const size = { width: 420, height: 190, left: 62, right: 12, top: 30, bottom: 24, legend: 34 };

/** Draws small multiples of truth and estimates over time, on a logarithmic axis, as one SVG. */
export function writeFigure(timelines: readonly EvalTimeline[]): void {
  const panels = shown.flatMap((name) => {
    const found = timelines.find(({ capture }) => capture === name);
    const backend = found?.backends.find(({ stepS }) => stepS !== undefined) ?? found?.backends[0];
    return found && backend ? [{ name, spanS: found.spanS, backend }] : [];
  });
  const rows = Math.ceil(panels.length / 2);
  const [width, height] = [2 * size.width, size.legend + rows * size.height];
  const parts = panels.map(({ name, spanS, backend }, i) => {
    const [x, y] = [(i % 2) * size.width, size.legend + Math.floor(i / 2) * size.height];
    return `<g transform="translate(${x} ${y})">${panel(name, spanS, backend)}</g>`;
  });
  mkdirSync(resolve(figurePath, '..'), { recursive: true });
  writeFileSync(
    figurePath,
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" role="img" aria-label="True and estimated latency over time for ${panels.length} workloads">
<rect width="${width}" height="${height}" fill="#ffffff"/>
${legend()}
${parts.join('\n')}
</svg>
`,
  );
}

function legend(): string {
  const entries = [
    { label: 'truth', color: truthColor, width: 8 },
    ...lines.map((line) => ({ ...line, width: 3 })),
  ];
  return entries
    .map(({ label, color, width }, i) => {
      const x = size.left + i * 165;
      return `<line x1="${x}" x2="${x + 22}" y1="18" y2="18" stroke="${color}" stroke-width="${width}"/><text x="${x + 28}" y="22" fill="#1c2127">${label}</text>`;
    })
    .join('');
}

function panel(name: string, spanS: number, { truth, estimates, stepS }: EvalBackendTimeline): string {
  const drawn = lines.flatMap(({ estimator, color }) => {
    const own = estimates.filter((one) => one.estimator === estimator);
    const line = (own.find(({ kind }) => kind === null) ?? own[0])?.line;
    return line && line.timeS.length > 0 ? [{ color, line, width: 1.6 }] : [];
  });
  const all = [{ color: truthColor, line: truth, width: 7 }, ...drawn];
  const values = all.flatMap(({ line }) => line.latencyNs.filter((value) => value > 0));
  const [low, high] = [Math.min(...values) / 1.4, Math.max(...values) * 1.4];
  const inner = { width: size.width - size.left - size.right, height: size.height - size.top - size.bottom };
  const x = (time: number) => rounded(size.left + (time / spanS) * inner.width);
  const y = (ns: number) =>
    rounded(size.top + (1 - Math.log(ns / low) / Math.log(high / low)) * inner.height);
  const ticks = ticksOf(low, high).map(
    (ns) =>
      `<line x1="${size.left}" x2="${size.left + inner.width}" y1="${y(ns)}" y2="${y(ns)}" stroke="#e3e6ea"/><text x="${size.left - 6}" y="${y(ns) + 4}" text-anchor="end" fill="#57606a">${latencyText(ns)}</text>`,
  );
  const mark =
    stepS === undefined
      ? ''
      : `<line x1="${x(stepS)}" x2="${x(stepS)}" y1="${size.top}" y2="${size.top + inner.height}" stroke="#57606a" stroke-dasharray="4 3"/>`;
  const curves = all.map(
    ({ color, line, width }) =>
      `<polyline points="${points(line, x, y)}" fill="none" stroke="${color}" stroke-width="${width}" stroke-linecap="round" stroke-linejoin="round"/>`,
  );
  const end = `<text x="${size.left + inner.width}" y="${size.height - 8}" text-anchor="end" fill="#57606a">${rounded(spanS)} s</text>`;
  const start = `<text x="${size.left}" y="${size.height - 8}" fill="#57606a">0</text>`;
  return `<text x="${size.left}" y="18" font-weight="600" fill="#1c2127">${name}</text>${ticks.join('')}${mark}${curves.join('')}${start}${end}`;
}

function points(
  { timeS, latencyNs }: EvalLine,
  x: (time: number) => number,
  y: (ns: number) => number,
): string {
  const kept = timeS.map((_, i) => i).filter((i) => latencyNs[i]! > 0);
  // A single point would not be drawn as a line.
  const twice = kept.length === 1 ? [kept[0]!, kept[0]!] : kept;
  return twice.map((i) => `${x(timeS[i]!)},${y(latencyNs[i]!)}`).join(' ');
}

const rounded = (value: number) => Number(value.toFixed(1));

/** Powers of ten in the range, with 2 and 5 of each where there are few. */
function ticksOf(low: number, high: number): number[] {
  const factors = high / low > 100 ? [1] : [1, 2, 5];
  const powers = [3, 4, 5, 6, 7, 8, 9, 10];
  return powers
    .flatMap((power) => factors.map((factor) => factor * 10 ** power))
    .filter((ns) => ns > low && ns < high);
}

function latencyText(ns: number): string {
  if (ns >= 1e9) return `${ns / 1e9} s`;
  return ns >= 1e6 ? `${ns / 1e6} ms` : `${ns / 1e3} us`;
}
