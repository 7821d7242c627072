import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { LatencySeries } from '../../src/datapath/replay/result.ts';
import { replayHtml } from '../../src/report/html.ts';
import { pixelsLike } from './pixels.ts';
import { aBackend, anEstimator, aPolicy, aResult, aSeries, noSamples, noTimeline } from './results.ts';

const executablePath = '/usr/bin/chromium';
const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** A name that runs script if it gets into a page unescaped, and is too long for a phone. */
const hostile = `<img src=x onerror="window.pwned=1"></script><script>window.pwned=1</script>${'long'.repeat(40)}`;

function aPage(): string {
  const estimators = ['ensemble:smooth:backend', 'handshake'].map((name) => anEstimator(name));
  const names = [hostile, '10.77.0.2'];
  const result = aResult({
    estimators,
    backends: names.map((name) => aBackend(name, estimators)),
    policy: { ...aPolicy(2), backends: names },
    truth: { source: hostile, records: 1 },
    warnings: [hostile],
  });
  result.files[0]!.name = hostile;
  return replayHtml(result, {
    latency: estimators.flatMap(({ estimator }) => [
      aSeries(estimator, hostile, 4000),
      faster(aSeries(estimator, '10.77.0.2', 4000)),
    ]),
    truth: names.map((name) => aSeries('response', name, 500)),
  });
}

/** The same at a third of the latency, so that it does not cover the original. */
const faster = (series: LatencySeries): LatencySeries => ({
  ...series,
  latencyNs: series.latencyNs.map((latency) => latency / 3),
});

describe('in a browser', () => {
  let browser: Browser | undefined;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'inband-report-'));
    if (existsSync(executablePath)) browser = await chromium.launch({ executablePath, args });
  });

  beforeEach((context) => {
    if (!browser) context.skip(`${executablePath} is not installed`);
  });

  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Opens a page from a file without network; whatever it says on the console or asks for is kept. */
  async function open(html: string, options: BrowserContextOptions = {}) {
    const file = join(folder, 'report.html');
    writeFileSync(file, html);
    const context = await browser!.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    await context.setOffline(true);
    const page = await context.newPage();
    const console: string[] = [];
    const requests: string[] = [];
    page.on('console', (message) => console.push(message.text()));
    page.on('pageerror', (error) => console.push(String(error)));
    page.on('request', (request) => requests.push(request.url()));
    await page.goto(pathToFileURL(file).href);
    return { page, console, requests: requests.filter((url) => !url.startsWith('data:')) };
  }

  /** The time under the cursor in the middle of a chart, from its legend: the axis itself is pixels. */
  async function timeInTheMiddle(page: Page, id: string): Promise<number> {
    await page.locator(`#${id}`).scrollIntoViewIfNeeded();
    const box = (await page.locator(`#${id} .u-over`).boundingBox())!;
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    return Number.parseFloat(await page.locator(`#${id} .u-series .u-value`).first().innerText());
  }

  test('the page draws every chart without an error, a request or running a name', async () => {
    const { page, console, requests } = await open(aPage());
    expect(console).toEqual([]);
    expect(requests).toHaveLength(1);
    expect(await page.evaluate('window.pwned')).toBeUndefined();
    expect(await page.locator('h1').innerText()).toBe(`Replay of ${hostile}`);
    expect(await page.locator('.chart canvas').count()).toBe(3);
    for (const id of ['latency-0', 'latency-1', 'shares']) {
      expect(await page.evaluate(pixelsLike(id, 'series-1'))).toBeGreaterThan(200);
      expect(await page.evaluate(pixelsLike(id, 'series-2'))).toBeGreaterThan(200);
    }
    expect(await page.evaluate(pixelsLike('latency-0', 'text'))).toBeGreaterThan(200);
    expect(await page.evaluate(pixelsLike('latency-1', 'truth'))).toBe(0);
    await page.context().close();
  });

  test.each(['light', 'dark'] as const)(
    'a phone in %s colors shows all of it without sideways scrolling',
    async (colorScheme) => {
      const { page, console } = await open(aPage(), { viewport: { width: 390, height: 800 }, colorScheme });
      expect(console).toEqual([]);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390);
      expect(await page.evaluate(pixelsLike('shares', 'series-1'))).toBeGreaterThan(200);
      await page.context().close();
    },
  );

  test('charts follow the width of the window and the color scheme', async () => {
    const { page } = await open(aPage(), { colorScheme: 'light' });
    const width = async () => (await page.locator('#shares canvas').boundingBox())!.width;
    const wide = await width();
    await page.setViewportSize({ width: 390, height: 800 });
    await expect.poll(width).toBeLessThan(wide / 2);
    await page.emulateMedia({ colorScheme: 'dark' });
    await expect.poll(() => page.evaluate(pixelsLike('shares', 'series-1'))).toBeGreaterThan(200);
    await page.context().close();
  });

  test('dragging zooms all charts to the same time, and a double-click zooms out', async () => {
    const { page } = await open(aPage());
    expect(await timeInTheMiddle(page, 'latency-0')).toBeCloseTo(3, 0);
    const box = (await page.locator('#latency-0 .u-over').boundingBox())!;
    await page.mouse.move(box.x + box.width * 0.8, box.y + 50);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.9, box.y + 50, { steps: 3 });
    await page.mouse.up();
    for (const id of ['latency-0', 'latency-1', 'shares']) {
      expect(await timeInTheMiddle(page, id)).toBeCloseTo(0.85 * 6.02, 0);
    }
    await page.locator('#shares .u-over').dblclick();
    expect(await timeInTheMiddle(page, 'latency-0')).toBeCloseTo(3, 0);
    await page.context().close();
  });

  test('a page without samples says so and has no chart', async () => {
    const html = replayHtml(aResult({ estimators: [anEstimator('handshake', noSamples)] }), noTimeline);
    const { page, console } = await open(html);
    expect(console).toEqual([]);
    expect(await page.getByText('No latency samples').count()).toBe(1);
    expect(await page.locator('canvas').count()).toBe(0);
    await page.context().close();
  });
});
