import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, type BrowserContextOptions, chromium } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { evalHtml } from '../../src/report/eval-html.ts';
import { aCapture, anEvaluation, aTimeline } from './eval-results.ts';
import { pixelsLike } from './pixels.ts';

const executablePath = '/usr/bin/chromium';

/** A name that runs script if it gets into a page unescaped, and is too long for a phone. */
const hostile = `<img src=x onerror="window.pwned=1"></script><script>window.pwned=1</script>${'long'.repeat(40)}`;

const aPage = () =>
  evalHtml(
    anEvaluation({
      captures: ['web', 'night', hostile].map((name) => aCapture(name)),
      warnings: [hostile],
    }),
    ['web', 'night', hostile].map((name) => aTimeline(name)),
  );

describe('an evaluation in a browser', () => {
  let browser: Browser | undefined;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'inband-report-'));
    if (!existsSync(executablePath)) return;
    browser = await chromium.launch({
      executablePath,
      args: ['--no-sandbox', '--disable-gpu', '--no-first-run'],
    });
  });

  beforeEach((context) => {
    if (!browser) context.skip(`${executablePath} is not installed`);
  });

  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function open(options: BrowserContextOptions) {
    const file = join(folder, 'eval.html');
    writeFileSync(file, aPage());
    const context = await browser!.newContext(options);
    await context.setOffline(true);
    const page = await context.newPage();
    const console: string[] = [];
    page.on('console', (message) => console.push(message.text()));
    page.on('pageerror', (error) => console.push(String(error)));
    await page.goto(pathToFileURL(file).href);
    return { page, console };
  }

  test.each([
    [1280, 'light', 3],
    [1280, 'dark', 3],
    [390, 'light', 1],
    [390, 'dark', 1],
  ] as const)(
    '%i pixels wide in %s colors: panels in %i columns, nothing wider than the page',
    async (width, colorScheme, columns) => {
      const { page, console } = await open({ viewport: { width, height: 900 }, colorScheme });
      expect(console).toEqual([]);
      expect(await page.evaluate('window.pwned')).toBeUndefined();
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
      expect(await page.locator('.panels canvas').count()).toBe(6);
      for (const color of ['truth', 'series-1', 'series-2']) {
        expect(await page.evaluate(pixelsLike('trend-0-1', color, 20))).toBeGreaterThan(50);
      }
      const tops = await page
        .locator('.panels figure')
        .evaluateAll((figures) =>
          (figures as unknown as { offsetTop: number }[]).map(({ offsetTop }) => offsetTop),
        );
      expect(tops.filter((top) => top === tops[0])).toHaveLength(columns);
      await page.context().close();
    },
  );

  test('panels keep the width of their column when the window changes', async () => {
    const { page } = await open({ viewport: { width: 1280, height: 900 } });
    const widths = async () =>
      (await page
        .locator('.panels canvas')
        .evaluateAll((all) =>
          (all as unknown as { clientWidth: number }[]).map(({ clientWidth }) => clientWidth),
        )) as number[];
    expect(Math.max(...(await widths()))).toBeLessThan(400);
    await page.setViewportSize({ width: 390, height: 800 });
    await expect.poll(async () => Math.max(...(await widths()))).toBeLessThanOrEqual(358);
    await page.context().close();
  });
});
