import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { demoHtml } from '../../src/report/demo-html.ts';
import { aDemo } from './results.ts';

const executablePath = '/usr/bin/chromium';

/** Rows of pixels of a chart's canvas in the middle of the time with the delay that have a series' color. */
const rowsOf = (id: string, color: string) => `(() => {
  const css = getComputedStyle(document.documentElement).getPropertyValue('--${color}').trim();
  const wanted = [1, 3, 5].map((at) => Number.parseInt(css.slice(at, at + 2), 16));
  const canvas = document.querySelector('#${id} canvas');
  const plot = document.querySelector('#${id} .u-over');
  const scale = canvas.width / canvas.clientWidth;
  const x = (plot.offsetLeft + plot.clientWidth / 2) * scale;
  const { data } = canvas.getContext('2d').getImageData(Math.round(x), 0, 1, canvas.height);
  const rows = [];
  for (let at = 0; at < data.length; at += 4) {
    const isLike = wanted.every((value, i) => Math.abs(data[at + i] - value) < 40);
    if (isLike) rows.push((at / 4 / scale - plot.offsetTop) / plot.clientHeight);
  }
  return rows;
})()`;

describe('in a browser', () => {
  let browser: Browser | undefined;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'inband-demo-'));
    if (existsSync(executablePath)) {
      browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
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
    ['a wide screen', 1280, 'light'],
    ['a phone', 390, 'dark'],
  ] as const)('on %s the lines are where the values are', async (_, width, colorScheme) => {
    const file = join(folder, 'demo.html');
    writeFileSync(file, demoHtml(aDemo()));
    const context = await browser!.newContext({ viewport: { width, height: 900 }, colorScheme });
    await context.setOffline(true);
    const page = await context.newPage();
    const problems: string[] = [];
    page.on('console', (message) => problems.push(message.text()));
    page.on('pageerror', (error) => problems.push(error.message));
    await page.goto(pathToFileURL(file).href);
    // Before pixels are read, on which the browser has a remark to make.
    expect(problems).toEqual([]);
    const middle = async (id: string, color: string): Promise<number> => {
      const rows = (await page.evaluate(rowsOf(id, color))) as number[];
      return rows.reduce((sum, row) => sum + row, 0) / rows.length;
    };
    // The static table's p95 of 1500 us is half of the axis, which ends at twice that; in-band control's is 500 us.
    expect(await middle('p95', 'series-2')).toBeCloseTo(1 - 1500 / 3000, 1);
    expect(await middle('p95', 'series-1')).toBeCloseTo(1 - 500 / 3000, 1);
    expect(await middle('share', 'series-2')).toBeCloseTo(1 - 50 / 112, 1);
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
    await context.close();
  });
});
