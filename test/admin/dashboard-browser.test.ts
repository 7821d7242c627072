import { existsSync } from 'node:fs';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { DashboardRecorder } from '../../src/admin/dashboard/recorder.ts';
import { dashboardRoutes } from '../../src/admin/dashboard/routes.ts';
import { HttpListener } from '../../src/admin/listen.ts';
import { ns } from '../../src/units.ts';
import { pixelsLike } from '../report/pixels.ts';
import { slowReason } from '../support/reason.ts';
import { aStage, type Stage, type StageOptions } from './balancer.ts';

const executablePath = '/usr/bin/chromium';
const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** A name that runs script if it gets into a page unescaped. */
const hostile = '<img src=x onerror="window.pwned=1"></script><script>window.pwned=1</script>';

let browser: Browser | undefined;
let server: HttpListener | undefined;
let stage: Stage;
let recorder: DashboardRecorder;

beforeAll(async () => {
  if (existsSync(executablePath)) browser = await chromium.launch({ executablePath, args });
});
beforeEach((context) => {
  if (!browser) context.skip(`${executablePath} is not installed`);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await server?.close();
  server = undefined;
});
afterAll(() => browser?.close());

/** Some seconds of a load balancer, served. */
async function serve(options: StageOptions): Promise<void> {
  stage = aStage(options);
  recorder = new DashboardRecorder(stage.balancer);
  for (let second = 0; second < 5; second++) await step();
  server = await HttpListener.listen({ address: '127.0.0.1', port: 0 }, dashboardRoutes(recorder));
}

let now = 0;
const startMs = Date.UTC(2026, 0, 1);

/** A second of samples and packets. */
async function step(): Promise<void> {
  now += 1e9;
  vi.spyOn(Date, 'now').mockReturnValue(startMs + now / 1e6);
  for (let b = 0; b < stage.traffic.length; b++) {
    for (let i = 0; i < 20; i++) stage.samples.record(b, 0, (b + 1) * 2e5 + i * 1e4, now);
    stage.traffic[b]!.packets += 100;
  }
  stage.packets.tx! += 100 * stage.traffic.length;
  stage.packets.no_backend! += 2;
  stage.flows.active = 250;
  await recorder.record();
}

interface Opened {
  readonly page: Page;
  readonly said: string[];
  readonly asked: string[];
}

async function open(options: BrowserContextOptions = {}): Promise<Opened> {
  const context = await browser!.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const said: string[] = [];
  const asked: string[] = [];
  page.on('console', (message) => said.push(message.text()));
  page.on('pageerror', (error) => said.push(String(error)));
  page.on('request', (request) => asked.push(request.url()));
  await page.goto(server!.url);
  await page.locator('#backends tr').first().waitFor();
  return { page, said, asked };
}

const textOf = (page: Page, selector: string) => page.locator(selector).innerText();

describe('the dashboard in a browser', () => {
  test('draws every chart, says the same in words, and asks nobody else', async () => {
    await serve({ backends: ['10.0.0.11', '10.0.0.12'], reason: 'no BPF' });
    stage.services[0]!.pool.held.set([0.25, 0.75]);
    await step();
    const { page, said, asked } = await open();
    expect(await textOf(page, 'h1')).toBe('inband on eth0');
    expect(await textOf(page, '.facts >> nth=0')).toContain('Datapath capture l2 (no BPF), policy shift');
    expect(await page.locator('.chart canvas').count()).toBe(5);
    expect(await textOf(page, '#share-said')).toBe(
      '10.0.0.11 25% (50% configured), 10.0.0.12 75% (50% configured).',
    );
    expect(await textOf(page, '#p50-said')).toMatch(
      /^10\.0\.0\.11 \d+us, 10\.0\.0\.12 \d+us \(handshake\)\.$/,
    );
    expect(await textOf(page, '#drops-said')).toBe('since the start: no_backend 12.');
    expect(await textOf(page, '#table-said')).toContain('250 of 1000 flows');
    expect(await page.getAttribute('#share', 'aria-label')).toContain('10.0.0.11 25%');
    expect(await textOf(page, '#tile-pressure')).toBe('25% of 1000');
    expect(said).toEqual([]);
    for (const id of ['share', 'p50', 'p99']) {
      await expect.poll(() => page.evaluate(pixelsLike(id, 'series-1'))).toBeGreaterThan(50);
      await expect.poll(() => page.evaluate(pixelsLike(id, 'series-2'))).toBeGreaterThan(50);
    }
    const paths = asked.filter((url) => !url.startsWith('data:')).map((url) => new URL(url));
    expect(paths.every(({ origin }) => `${origin}/` === server!.url)).toBe(true);
    expect(paths.map(({ pathname }) => pathname).sort()).toEqual(['/', '/events', '/recent']);
    await page.context().close();
  });

  test('follows: shares, decisions and backends that cannot be used', async () => {
    await serve({ backends: ['10.0.0.11', '10.0.0.12'] });
    const { page, said } = await open();
    expect(await textOf(page, '#decisions')).toBe('None yet: shares are as configured.');
    const { pool } = stage.services[0]!;
    pool.held.set([0.1, 0.9]);
    stage.services[0]!.obstacles = ['no answer to ARP', undefined];
    pool.decisions.add(ns(1e9), { ...slowReason, shareAfter: 0.1 });
    await step();
    await page.getByText('no answer to ARP').waitFor();
    expect(await textOf(page, '#share-said')).toContain('10.0.0.11 10% (50% configured)');
    expect(await textOf(page, '#decisions')).toContain(
      '10.0.0.11 request p50 2ms vs pool 1ms over 1s, 100 samples -> share 0.500 -> 0.100',
    );
    expect(said).toEqual([]);
    await page.context().close();
  });

  test('says when the daemon is gone, and goes on with the next one', async () => {
    await serve({});
    const { page } = await open();
    const port = Number(new URL(server!.url).port);
    await expect.poll(() => textOf(page, '#live')).toBe('live');
    await server!.close();
    await expect.poll(() => textOf(page, '#live')).toContain('no answer from the daemon');
    stage = aStage({ backends: ['10.9.9.9', '10.9.9.8'] });
    recorder = new DashboardRecorder(stage.balancer);
    await step();
    server = await HttpListener.listen({ address: '127.0.0.1', port }, dashboardRoutes(recorder));
    await page.getByText('10.9.9.9').first().waitFor({ timeout: 20_000 });
    await page.context().close();
  }, 60_000);

  test('shows states and health, and after a reload the backends that there are then, with their past', async () => {
    await serve({ backends: ['10.0.0.11', '10.0.0.12'] });
    const [service] = stage.services;
    service!.states = ['drain', 'ready'];
    service!.health = [
      { ...service!.health[0]!, state: 'down', reason: 'connection refused' },
      service!.health[1]!,
    ];
    await step();
    const { page, said } = await open();
    const rows = page.locator('#backends tr');
    expect(await rows.nth(0).innerText()).toContain('drain, down: connection refused');
    expect(await rows.nth(1).innerText()).toContain('ready, up');
    const { balancer } = aStage({ backends: ['10.0.0.12', '10.0.0.13'] });
    Object.assign(stage.balancer, { services: balancer.services, datapath: balancer.datapath });
    await step();
    await rows.getByText('10.0.0.13').waitFor();
    expect(await rows.allInnerTexts()).toEqual([
      expect.stringContaining('10.0.0.12'),
      expect.stringContaining('10.0.0.13'),
    ]);
    await expect.poll(() => page.evaluate(pixelsLike('p50', 'series-1'))).toBeGreaterThan(20);
    expect(said).toEqual([]);
    await page.context().close();
  });

  test('gives the backends furthest from their weights a color where there are many', async () => {
    const backends = Array.from({ length: 50 }, (_, i) => `10.0.1.${i}`);
    await serve({ backends });
    const { pool } = stage.services[0]!;
    pool.held.fill(1 / 50);
    pool.held[33] = 0.001;
    await step();
    const { page, said } = await open();
    expect(await page.locator('#backends tr').count()).toBe(50);
    const marks = page.locator('#backends .mark');
    const colorOf = (b: number) =>
      marks.nth(b).evaluate((mark) => (mark as { style?: { background?: string } }).style?.background);
    expect(await colorOf(33)).toMatch(/^var\(--series-\d\)$/);
    const all = await Promise.all(backends.map((_, b) => colorOf(b)));
    expect(all.filter((color) => color !== 'var(--truth)')).toHaveLength(7);
    expect(new Set(all).size).toBe(8);
    expect(await textOf(page, '#share-said')).toContain('10.0.1.33 0.1% (2% configured)');
    expect(said).toEqual([]);
    await page.context().close();
  });

  test('shows one of several vips', async () => {
    await serve({ vips: ['10.0.0.1:80/tcp', '10.0.0.2:80/tcp'] });
    stage.services[1]!.pool.held.set([0.2, 0.8]);
    await step();
    const { page } = await open();
    expect(await textOf(page, '#share-said')).toContain('10.0.0.11 50%');
    await page.selectOption('#vip', { label: '10.0.0.2:80/tcp' });
    expect(await textOf(page, '#share-said')).toContain('10.0.0.11 20%');
    await page.context().close();
  });

  test.each(['light', 'dark'] as const)(
    'fits a phone in %s colors, and no name runs',
    async (colorScheme) => {
      await serve({ backends: [hostile + 'long'.repeat(40), '10.0.0.12'], reason: hostile });
      const { page, said } = await open({ viewport: { width: 390, height: 800 }, colorScheme });
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390);
      expect(await page.evaluate('window.pwned')).toBeUndefined();
      expect(await textOf(page, '#backends tr >> nth=0')).toContain(hostile);
      expect(said).toEqual([]);
      await page.locator('#share').scrollIntoViewIfNeeded();
      await expect.poll(() => page.evaluate(pixelsLike('share', 'series-2'))).toBeGreaterThan(50);
      await page.context().close();
    },
  );
});
