import type { PolicyResult, SimulationResult } from '../src/sim/result.ts';
import { formatDuration } from '../src/units.ts';

/** Scenarios that the page shows in a figure. */
const shown = [
  'figure-3',
  'half-speed',
  'load-dependent',
  'equal-90',
  'backend-crashed',
  'balancers-64',
  'l3-scenario-1',
];

/** Policies in the order of their colors: those of Okabe and Ito. */
const colors: Readonly<Record<string, string>> = {
  balance: '#0072b2',
  static: '#d55e00',
  shift: '#cc79a7',
  l3: '#009e73',
  c3: '#e69f00',
  'peak-ewma': '#56b4e9',
  prequal: '#8a6fb5',
  oracle: '#8b949e',
};

const width = 860;
const panel = { left: 60, right: 12, height: 150, gap: 40, top: 44 };

interface Panel {
  readonly title: string;
  readonly top: number;
  readonly isLog: boolean;
  readonly ticks: readonly number[];
  readonly text: (value: number) => string;
  readonly values: (policy: PolicyResult) => readonly (number | null)[];
}

export const figurePath = (scenario: string): string => `control/${scenario}.svg`;
export const hasFigure = (scenario: string): boolean => shown.includes(scenario);

/** p99 and shares over time under each policy, one picture for each of some scenarios. */
export function controlFigures(results: readonly SimulationResult[]): { path: string; svg: string }[] {
  return results
    .filter(({ scenario }) => hasFigure(scenario))
    .map((result) => ({ path: figurePath(result.scenario), svg: figure(result) }));
}

function figure(result: SimulationResult): string {
  const panels = [p99Panel(result), sharePanel(result)];
  const height = panel.top + panels.length * (panel.height + panel.gap);
  const body = panels.map((one, i) => drawPanel(result, one, panel.top + i * (panel.height + panel.gap)));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12">
<title>${result.scenario}: p99 and share over time under each policy</title>
<style>
text { fill: #57606a } .grid { stroke: #d0d7de } .span { fill: #f4eef0 } .bg { fill: #fff }
@media (prefers-color-scheme: dark) { text { fill: #9aa4af } .grid { stroke: #2a3038 } .span { fill: #2a2328 } .bg { fill: #14171c } }
</style>
<rect class="bg" width="${width}" height="${height}"/>
${legend(result)}
${body.join('\n')}
</svg>
`;
}

function legend({ policies }: SimulationResult): string {
  let x = panel.left;
  return policies
    .map(({ policy }) => {
      const item = `<rect x="${x}" y="9" width="10" height="10" fill="${colors[policy]}"/><text x="${x + 14}" y="18">${policy}</text>`;
      x += 32 + policy.length * 7.2;
      return item;
    })
    .join('');
}

function p99Panel({ policies }: SimulationResult): Panel {
  const values = policies.flatMap(({ timeline }) =>
    timeline.p99_ns.filter((value) => value !== null && value > 0),
  );
  const sorted = (values as number[]).sort((a, b) => a - b);
  const low = Math.floor(Math.log10(sorted[0] ?? 1));
  const high = Math.ceil(Math.log10(sorted.at(-1) ?? 10));
  return {
    title: 'p99',
    isLog: true,
    top: high,
    ticks: Array.from({ length: high - low + 1 }, (_, i) => low + i),
    text: (value) => formatDuration(10 ** value),
    values: ({ timeline }) => timeline.p99_ns,
  };
}

function sharePanel({ focus, backends, policies }: SimulationResult): Panel {
  const members = focus.length > 0 ? focus.map((name) => backends.indexOf(name)) : [0];
  const values = ({ timeline }: PolicyResult) =>
    timeline.p99_ns.map((_, step) => members.reduce((sum, b) => sum + timeline.shares[b]![step]!, 0));
  const most = Math.max(...policies.flatMap(values));
  const top = [0.25, 0.5, 1].find((end) => most <= end) ?? 1;
  return {
    title: `share of ${members.map((b) => backends[b]).join(', ')}`,
    isLog: false,
    top,
    ticks: [0, top / 4, top / 2, (3 * top) / 4, top],
    text: (value) => `${Number((value * 100).toFixed(1))}%`,
    values,
  };
}

function drawPanel(result: SimulationResult, one: Panel, y: number): string {
  const { duration_s, during_s, policies } = result;
  const plotWidth = width - panel.left - panel.right;
  const atX = (timeS: number) => panel.left + (timeS / duration_s) * plotWidth;
  const bottom = one.ticks[0]!;
  const atY = (value: number) => y + panel.height * (1 - (value - bottom) / (one.top - bottom));
  const span = during_s
    ? `<rect class="span" x="${atX(during_s[0]).toFixed(1)}" y="${y}" width="${(atX(during_s[1]) - atX(during_s[0])).toFixed(1)}" height="${panel.height}"/>`
    : '';
  const grid = one.ticks
    .map(
      (tick) =>
        `<path class="grid" d="M${panel.left} ${atY(tick).toFixed(1)}h${plotWidth}"/><text x="${panel.left - 6}" y="${(atY(tick) + 4).toFixed(1)}" text-anchor="end">${one.text(tick)}</text>`,
    )
    .join('');
  const times = roundTimes(duration_s)
    .map(
      (timeS) =>
        `<text x="${atX(timeS).toFixed(1)}" y="${y + panel.height + 16}" text-anchor="middle">${Number(timeS.toPrecision(4))}s</text>`,
    )
    .join('');
  const lines = policies.map((policy) => {
    const { step_s } = policy.timeline;
    const points = one.values(policy).flatMap((value, step) => {
      if (value === null || (one.isLog && value <= 0)) return [];
      const level = one.isLog ? Math.log10(value) : value;
      return `${atX((step + 0.5) * step_s).toFixed(1)} ${atY(level).toFixed(1)}`;
    });
    const strong = policy.policy === 'balance' ? 2.2 : 1.1;
    return `<path fill="none" stroke="${colors[policy.policy]}" stroke-width="${strong}" d="M${points.join('L')}"/>`;
  });
  // Ours on top.
  lines.sort((a, b) => Number(a.includes('"2.2"')) - Number(b.includes('"2.2"')));
  return `${span}${grid}${times}<text x="${panel.left}" y="${y - 6}">${one.title}</text>${lines.join('\n')}`;
}

/** Up to eight round times from 0 on, none at the very end, where its label would leave the picture. */
function roundTimes(durationS: number): number[] {
  const power = 10 ** Math.floor(Math.log10(durationS / 8));
  const step = power * ([1, 2, 5, 10].find((factor) => durationS / (power * factor) <= 8) ?? 10);
  return Array.from({ length: Math.ceil(durationS / step - 0.3) }, (_, i) => i * step);
}
