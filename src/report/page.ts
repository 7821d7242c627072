import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { ChartSet } from './charts.ts';
import { clientScript } from './client.ts';
import type { Fact, Table } from './content.ts';
import { styleSheet } from './style.ts';

/** Text that is HTML already, as opposed to a string, which is escaped where it is put into HTML. */
export interface Html {
  readonly html: string;
}

/** HTML from a template; strings and numbers in it are escaped, for element content and quoted attributes alike. */
export function html(strings: TemplateStringsArray, ...values: (Html | Html[] | string | number)[]): Html {
  const inserted = values.map((value) => {
    if (Array.isArray(value)) return value.map((part) => part.html).join('');
    return typeof value === 'object' ? value.html : escapeHtml(String(value));
  });
  return { html: String.raw({ raw: strings }, ...inserted) };
}

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => entities[character]!);

/** A complete page that needs no network and no other file; `charts` draw themselves into elements of `body`. */
export function page(title: string, body: Html, charts: ChartSet): string {
  const { script, style } = chartLibrary();
  const scripts = charts.charts.length === 0 ? [] : [script, clientScript, start];
  const styles = (charts.charts.length === 0 ? '' : style) + styleSheet;
  return pageText(title, body, { scripts, styles, data: charts, policy: contentPolicy(scripts, styles) });
}

/** A page that draws charts from what it asks its own server for, and the policy to serve it under. */
export function livePage(
  title: string,
  body: Html,
  { scripts, style, data }: { scripts: readonly string[]; style: string; data: unknown },
): { text: string; policy: string } {
  const library = chartLibrary();
  const all = [library.script, ...scripts];
  const styles = library.style + styleSheet + style;
  const policy = `${contentPolicy(all, styles)}; connect-src 'self'`;
  const text = pageText(title, body, { scripts: all, styles, data, policy });
  return { text, policy: `${policy}; frame-ancestors 'none'` };
}

interface PageParts {
  readonly scripts: readonly string[];
  readonly styles: string;
  /** What the scripts find as JSON in the element `charts`. */
  readonly data: unknown;
  readonly policy: string;
}

function pageText(title: string, body: Html, { scripts, styles, data, policy }: PageParts): string {
  const tags = scripts.map((text) => `<script>${text}</script>`).join('\n');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="data:,">
<style>${styles}</style>
</head>
<body>
<main>
${body.html}
</main>
<script type="application/json" id="charts">${JSON.stringify(data).replace(/</g, '\\u003c')}</script>
${tags}
</body>
</html>
`;
}

const start = "drawCharts(uPlot, window, JSON.parse(document.getElementById('charts').textContent));";

/** Nothing may be loaded, and of scripts and styles only those of this page run: what slips in elsewhere does not. */
function contentPolicy(scripts: readonly string[], styles: string): string {
  const allowed = scripts.map(hash).join(' ') || "'none'";
  return `default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; script-src ${allowed}; style-src ${hash(styles)}`;
}

const hash = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** uPlot as installed: its script, which defines `uPlot`, and its style sheet. */
function chartLibrary(): { script: string; style: string } {
  const folder = dirname(createRequire(import.meta.url).resolve('uplot'));
  const read = (name: string) => readFileSync(join(folder, name), 'utf8');
  return {
    script: read('uPlot.iife.min.js')
      .trim()
      .replace(/<\/script/gi, '<\\/script'),
    style: read('uPlot.min.css')
      .trim()
      .replace(/<\/style/gi, '<\\/style'),
  };
}

/** The place of a chart, with its heading and a line below that; `description` says to a screen reader what a sighted reader sees. */
export function chartFigure(id: string, heading: string, caption: string, description: string): Html {
  return html`<figure>
<figcaption><h3>${heading}</h3>${caption}</figcaption>
<div class="chart" id="${id}" role="img" aria-label="${description}"></div>
</figure>
`;
}

/** A table that scrolls on its own where the page is narrower. */
export function tableSection(table: Table): Html {
  const rows = table.rows.map(
    ([
      name,
      ...figures
    ]) => html`<tr><th scope="row">${name!}</th>${figures.map((figure) => html`<td>${figure}</td>`)}</tr>
`,
  );
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${table.title}"><table>
<caption>${table.title} <small>${table.note}</small></caption>
<thead><tr>${table.head.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>
${rows}</tbody>
</table></div>
`;
}

/** Facts as a list of terms and values. */
export function factList(facts: Fact[]): Html {
  return html`<dl>
${facts.map(
  ([label, value]) => html`<dt>${label}</dt><dd>${value}</dd>
`,
)}</dl>
`;
}
