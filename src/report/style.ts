/**
 * Style sheet of every page. Series colors are those of Okabe and Ito (Color Universal Design, 2008), which people with
 * any color vision can tell apart; the dark scheme lightens blue and adds yellow, the light one has black's grey instead.
 */
export const styleSheet = `
:root {
  --background: #ffffff; --text: #1c2127; --muted: #57606a; --grid: #e3e6ea; --panel: #f6f7f9;
  --truth: #a9b0b8; --other: #6e7681; --warning: #8a4b00; --warning-panel: #fff4e0; --shade: #f4eef0;
  --series-1: #0072b2; --series-2: #d55e00; --series-3: #009e73; --series-4: #cc79a7;
  --series-5: #e69f00; --series-6: #56b4e9; --series-7: #5d3a9b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --background: #14171c; --text: #e6e9ed; --muted: #9aa4af; --grid: #2a3038; --panel: #1c2128;
    --truth: #6b7480; --other: #8b949e; --warning: #ffc46b; --warning-panel: #33270f; --shade: #2a2328;
    --series-1: #4aa3df; --series-2: #f07f2e; --series-3: #1fbf91; --series-4: #e394c0;
    --series-5: #f0b93a; --series-6: #9bd3f5; --series-7: #f0e442;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--background); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 1120px; margin: 0 auto; padding: 16px; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 8px 0; }
h2 { font-size: 1.25rem; margin: 40px 0 4px; }
h3 { font-size: 1rem; margin: 0; color: var(--text); }
p { max-width: 75ch; margin: 4px 0 12px; }
ul { margin: 0; padding-left: 20px; }
figure { margin: 20px 0 28px; }
figcaption, small, .empty { color: var(--muted); font-size: 0.875rem; font-weight: normal; }
.chart { width: 100%; min-height: 270px; }
.warnings { background: var(--warning-panel); color: var(--warning); border-radius: 6px; padding: 10px 14px 10px 32px; margin: 12px 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 8px 0; font-size: 0.9375rem; }
dt { color: var(--muted); }
dd { margin: 0; }
.scroll { overflow-x: auto; margin: 16px 0; }
.scroll table { border-collapse: collapse; font-size: 0.9375rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
summary { cursor: pointer; }
caption { text-align: left; font-weight: 600; padding: 4px 0; }
.scroll th, .scroll td { padding: 4px 12px; text-align: right; border-bottom: 1px solid var(--grid); font-weight: normal; }
.scroll th:first-child { text-align: left; padding-left: 0; }
.scroll thead th { color: var(--muted); }
.uplot { font-family: inherit; }
.u-legend { font-size: 13px; text-align: left; font-variant-numeric: tabular-nums; margin: 0; padding-left: 54px; }
.u-legend th { font-weight: normal; }
.u-legend .u-series:first-child .u-marker, .u-legend .unlisted { display: none; }
.u-legend .u-marker { border-radius: 50%; width: 10px; height: 10px; }
.shares .u-series { pointer-events: none; }
.u-select { background: color-mix(in srgb, var(--text) 12%, transparent); }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(320px, 100%), 1fr)); gap: 20px 24px; margin: 12px 0; }
.panels figure { margin: 0; min-width: 0; }
.panels .chart { min-height: 220px; }
.key { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 2px 18px; font-size: 0.875rem; }
.key li::before { content: ""; display: inline-block; width: 18px; height: 4px; margin-right: 6px; vertical-align: middle; }
.key li.key-truth::before { height: 8px; background: var(--truth); }
.key-series-1::before { background: var(--series-1); }
.key-series-2::before { background: var(--series-2); }
.key-series-3::before { background: var(--series-3); }
.key-series-4::before { background: var(--series-4); }
.key-series-5::before { background: var(--series-5); }
.only-mouse { display: none; }
@media (hover: hover) { .only-mouse { display: inline; } }
@media (max-width: 500px) {
  .chart { min-height: 220px; }
  .u-legend { padding-left: 0; }
  .scroll th, .scroll td { padding: 4px 6px; font-size: 0.875rem; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: 6px; }
}
`;
