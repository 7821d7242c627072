import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it, test } from 'vitest';
import { simulationHtml } from '../../src/report/simulation-html.ts';
import { simulationText } from '../../src/report/simulation-text.ts';
import type { SimulationResult } from '../../src/sim/result.ts';
import { simulate } from '../../src/sim/simulate.ts';
import { aScenario } from '../sim/scenarios.ts';

const slowed = `
warmup: 100ms
servers: [{name: s1, service: 100us}, {name: s2, service: 100us}]
clients: [{name: c, connections: 4, requests_per_connection: 20}]
events: [{from: 500ms, until: 1s, servers: [s2], delay: 2ms}]`;

const run = (text: string, policies: readonly string[]): SimulationResult =>
  simulate(aScenario(text), { policies });

const quiet = slowed.replace(/events.*/, '');
const plain = { width: 100, color: false };

/** A title that runs script if it gets into a page unescaped, and moves the cursor of a terminal. */
const hostile = '<img src=x onerror="window.pwned=1"></script>\u001b[2J';

describe('text', () => {
  const text = simulationText(run(slowed, ['static', 'balance']), plain);

  it('has a table per phase and one of reactions, with a row per policy', () => {
    for (const heading of ['Before  0.1s to 0.5s', 'During  0.5s to 1s', 'After  1s to 2s', 'Reaction  s2']) {
      expect(text).toContain(heading);
    }
    expect(text.match(/^static /gm)).toHaveLength(4);
    expect(text.match(/^balance /gm)).toHaveLength(4);
  });

  it('has one table where nothing happens', () => {
    const text = simulationText(run(quiet, ['static']), plain);
    expect(text.match(/^static /gm)).toHaveLength(1);
    expect(text).not.toContain('Reaction');
  });

  test.each([40, 60, 100])('fits %i columns', (width) => {
    const lines = simulationText(run(slowed, ['static', 'balance']), { width, color: false }).split('\n');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width);
  });

  it('what a scenario says stays text', () => {
    const result = { ...run(quiet, ['static']), title: hostile };
    expect(simulationText(result, plain)).not.toContain('\u001b');
  });
});

describe('page', () => {
  it('escapes what a scenario says', () => {
    const page = simulationHtml({ ...run(quiet, ['static']), title: hostile });
    expect(page).not.toContain('<img');
    expect(page).toContain('&lt;img');
  });

  it('gives every policy a color of its own, the same whatever the others are', () => {
    const colorsOf = (policies: readonly string[]) => {
      const page = simulationHtml(run(quiet, policies));
      const set = JSON.parse(/id="charts">(.*?)<\/script>/.exec(page)![1]!);
      return Object.fromEntries(
        set.charts[0].series.map(({ label, color }: { label: string; color: string }) => [label, color]),
      );
    };
    const all = colorsOf(['static', 'balance', 'shift', 'shift:alpha=0.2', 'oracle']);
    expect(new Set(Object.values(all)).size).toBe(5);
    expect(colorsOf(['shift']).shift).toBe(all.shift);
  });
});

describe('in a browser', () => {
  const executablePath = '/usr/bin/chromium';
  let browser: Browser | undefined;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'inband-simulation-'));
    if (existsSync(executablePath)) {
      browser = await chromium.launch({
        executablePath,
        args: ['--no-sandbox', '--disable-gpu', '--no-first-run'],
      });
    }
  });

  beforeEach((context) => {
    if (!browser) context.skip(`${executablePath} is not installed`);
  });

  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test.each([
    [1280, 'light'],
    [390, 'dark'],
  ] as const)(
    'at a width of %i in %s colors both charts are drawn, and nothing is wider',
    async (width, colorScheme) => {
      const file = join(folder, 'page.html');
      writeFileSync(file, simulationHtml(run(slowed, ['static', 'balance'])));
      const context = await browser!.newContext({ viewport: { width, height: 900 }, colorScheme });
      const page = await context.newPage();
      const said: string[] = [];
      page.on('console', (message) => said.push(message.text()));
      page.on('pageerror', (error) => said.push(String(error)));
      await page.goto(pathToFileURL(file).href);
      expect(said).toEqual([]);
      expect(await page.locator('.chart canvas').count()).toBe(2);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
      const drawn = `['p99', 'share'].every((id) => {
      const canvas = document.querySelector('#' + id + ' canvas');
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      const css = getComputedStyle(document.documentElement).getPropertyValue('--series-1').trim();
      const wanted = [1, 3, 5].map((at) => Number.parseInt(css.slice(at, at + 2), 16));
      let count = 0;
      for (let at = 0; at < data.length; at += 4)
        if (wanted.every((value, i) => Math.abs(data[at + i] - value) < 12)) count++;
      return count > 100;
    })`;
      expect(await page.evaluate(drawn)).toBe(true);
      await context.close();
    },
  );
});
