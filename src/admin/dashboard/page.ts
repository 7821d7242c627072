import { type Html, html, livePage } from '../../report/page.ts';
import { dashboardScript } from './client.ts';
import type { About } from './frame.ts';

const style = `
header { display: flex; flex-wrap: wrap; gap: 2px 20px; align-items: baseline; }
header h1 { margin: 4px 0; }
.is-live::before, .is-lost::before { content: ""; display: inline-block; width: 10px; height: 10px; border-radius: 50%; margin-right: 6px; background: var(--series-3); }
.is-lost { color: var(--warning); }
.is-lost::before { background: var(--warning); }
.facts { color: var(--muted); font-size: 0.875rem; margin: 0 0 8px; max-width: none; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px; margin: 12px 0; }
.tiles div { background: var(--panel); border-radius: 8px; padding: 8px 14px; }
.tiles dt { font-size: 0.8125rem; }
.tiles dl { display: contents; }
.tiles dd { font-size: 1.375rem; font-variant-numeric: tabular-nums; margin: 0; }
.tiles dd small { display: block; }
.choices { display: flex; flex-wrap: wrap; gap: 8px 20px; margin: 12px 0; }
.choices label { color: var(--muted); font-size: 0.875rem; }
select { font: inherit; color: var(--text); background: var(--panel); border: 1px solid var(--grid); border-radius: 6px; padding: 3px 8px; max-width: 100%; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(440px, 100%), 1fr)); gap: 12px 28px; }
figure { margin: 8px 0; min-width: 0; }
.chart { min-height: 240px; }
.said { margin: 0; font-size: 0.875rem; color: var(--muted); min-height: 1.5em; max-width: none; }
.at { margin: 0; font-size: 0.8125rem; min-height: 1.5em; font-variant-numeric: tabular-nums; max-width: none; }
.mark { display: inline-block; width: 10px; height: 10px; border-radius: 50%; margin-right: 8px; }
.bad { color: var(--warning); }
.decisions { list-style: none; padding: 0; max-height: 340px; overflow-y: auto; font-size: 0.9375rem; }
.decisions li { padding: 4px 0; border-bottom: 1px solid var(--grid); }
.decisions time { color: var(--muted); font-variant-numeric: tabular-nums; margin-right: 6px; }
.counters { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(320px, 100%), 1fr)); gap: 0 28px; }
`;

const start = "startDashboard(uPlot, window, JSON.parse(document.getElementById('charts').textContent));";

/** The page that follows a running load balancer, and the Content-Security-Policy to serve it under. */
export function dashboardPage(about: About): { text: string; policy: string } {
  const body = html`${head(about)}
${tiles}
${choices(about)}
<h2>Backends</h2>
${figure('share', 'Share of new flows', 'Lines of the backends; colors are in the table below.')}
<div class="charts">
${figure('p50', 'Median latency', 'Of the samples of each second, on a logarithmic axis.')}
${figure('p99', '99th percentile of latency', 'The same samples.')}
</div>
${backendTable}
<h2>Decisions</h2>
<p class="facts">Why shares changed, the last first.</p>
<ul class="decisions" id="decisions" tabindex="0" aria-label="Decisions"><li>None yet.</li></ul>
<h2>Packets and flows</h2>
<div class="charts">
${figure('drops', 'Packets not sent to a backend', 'By reason, per second.')}
${figure('table', 'Flow table', 'Flows held, of those that it was made for.')}
</div>
<div class="counters">
${counterTable('packets-rows', 'Packets', 'how they left')}
${counterTable('flows-rows', 'Flows and samples', 'what happened to them')}
</div>`;
  return livePage(`inband on ${about.interface}`, body, {
    scripts: [dashboardScript, start],
    style,
    data: about,
  });
}

const head = ({ interface: link, datapath, version, vips, tickMs }: About): Html => html`<header>
<h1>inband on ${link}</h1>
<span id="live" role="status">connecting</span>
</header>
<p class="facts">Datapath ${datapath.name} ${datapath.mode}${datapath.reason && ` (${datapath.reason})`}, policy ${[...new Set(vips.map(({ policy }) => policy))].join(', ')} every ${tickMs} ms, version ${version}, up <span id="uptime">-</span>.</p>`;

const tile = (id: string, name: string, more: Html): Html =>
  html`<div><dt>${name}</dt><dd><span id="${id}">-</span>${more}</dd></div>`;

const none: Html = { html: '' };

const tiles = html`<dl class="tiles">
${tile('tile-packets', 'Packets per second', none)}
${tile('tile-lost', 'Dropped per second', none)}
${tile('tile-flows', 'Flows', html`<small id="tile-pressure"></small>`)}
${tile('tile-ticks', 'Late ticks in the last second', html`<small id="tile-turns"></small>`)}
</dl>`;

const choices = ({
  vips,
}: About): Html => html`<div class="choices"><label${vips.length > 1 ? none : hidden}>vip <select id="vip"></select></label>
<label>time <select id="span"><option value="600">10 minutes</option><option value="60">1 minute</option></select></label></div>`;

const hidden: Html = { html: ' hidden' };

const figure = (id: string, heading: string, caption: string): Html => html`<figure>
<figcaption><h3>${heading}</h3>${caption}</figcaption>
<p class="said" id="${id}-said">Waiting for the first second.</p>
<div class="chart" id="${id}" role="img" aria-label="${heading}"></div>
<p class="at" id="${id}-at"></p>
</figure>`;

const columns = [
  'backend',
  'state',
  'share',
  'weight',
  'p50',
  'p99',
  'samples/s',
  'packets/s',
  'flows/s',
  'held',
  'in flight',
  'oldest',
  'resent',
];

const heads = (names: readonly string[]): Html[] => names.map((name) => html`<th scope="col">${name}</th>`);

const backendTable = html`<div class="scroll" tabindex="0" role="region" aria-label="Backends"><table>
<thead><tr>${heads(columns)}</tr></thead>
<tbody id="backends"></tbody>
</table></div>`;

const counterTable = (
  id: string,
  name: string,
  note: string,
): Html => html`<div class="scroll" tabindex="0" role="region" aria-label="${name}"><table>
<caption>${name} <small>${note}</small></caption>
<thead><tr>${heads(['', 'since the start', 'per second'])}</tr></thead>
<tbody id="${id}"></tbody>
</table></div>`;
