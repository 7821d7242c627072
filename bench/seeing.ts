import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { DashboardRecorder } from '../src/admin/dashboard/recorder.ts';
import { dashboardRoutes } from '../src/admin/dashboard/routes.ts';
import { HttpListener } from '../src/admin/listen.ts';
import { Metrics } from '../src/admin/metrics.ts';
import { metricsType } from '../src/admin/metrics-text.ts';
import { aStage, type Stage } from '../test/admin/balancer.ts';
import { type BenchResult, median, type Row, rounded } from './result.ts';

export const name = 'seeing';

/** Backends that make more than 10,000 series, with histograms of two kinds. */
const manyBackends = 232;
const scrapes = 40;
const dashboardBackends = 50;
const measuredMs = 10_000;
const targets = { scrapeMs: 20, lateMs: 1, cpuPercent: 2 } as const;

/** This file run with a URL and a count: asks as often, or listens to an endless answer with count 0. */
async function client(url: string, count: number): Promise<void> {
  const times: number[] = [];
  let bytes = 0;
  for (let i = 0; i < Math.max(1, count); i++) {
    const start = performance.now();
    const { body } = await fetch(url);
    for await (const part of body!) bytes += part.length;
    times.push(performance.now() - start);
    await sleep(50);
  }
  console.log(JSON.stringify({ times, bytes: bytes / count }));
}

/** This file run as a server that gives away as many bytes, to tell what a client alone delays. */
async function serve(bytes: number): Promise<void> {
  const routes = { '/': { type: 'text/plain', text: () => 'x'.repeat(bytes) } };
  const server = await HttpListener.listen({ address: '127.0.0.1', port: 0 }, routes);
  console.log(server.url);
}

function aBalancer(backends: number): Stage {
  const names = Array.from({ length: backends }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
  const stage = aStage({ backends: names, kinds: ['request', 'handshake'] });
  sample(stage, 2_000);
  return stage;
}

function sample(stage: Stage, count: number): void {
  const { length } = stage.traffic;
  for (let i = 0; i < count; i++) {
    stage.samples.record(i % length, i & 1, 1e5 + ((i * 7_919) % 5e6), i);
    stage.traffic[i % length]!.packets++;
  }
}

/** How late turns of 1 ms came, and how much later than that this process itself was busy between two of them. */
class Turns {
  lateMs: number[] = [];
  ownMs: number[] = [];
  #cpu = process.cpuUsage();
  #last = performance.now();
  readonly #timer = setInterval(() => {
    const now = performance.now();
    this.lateMs.push(now - this.#last - 1);
    const { user, system } = process.cpuUsage(this.#cpu);
    this.ownMs.push(Math.max(0, (user + system) / 1e3 - 1));
    this.#cpu = process.cpuUsage();
    this.#last = now;
  }, 1);

  restart(): void {
    this.lateMs = [];
    this.ownMs = [];
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

const at = (values: readonly number[], rank: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * rank)]!;

async function ask(url: string, count: number): Promise<{ times: number[]; bytes: number }> {
  const child = spawn(process.execPath, [import.meta.filename, url, String(count)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  await once(child, 'close');
  return JSON.parse(text);
}

/** CPU time of each slice of a scrape: what it holds the event loop for on a machine with nothing else to do. */
async function slicesCpuMs(metrics: Metrics): Promise<number[]> {
  const all: number[] = [];
  let before = process.cpuUsage();
  for await (const _ of metrics.scrape()) {
    const { user, system } = process.cpuUsage(before);
    all.push((user + system) / 1e3);
    before = process.cpuUsage();
  }
  return all;
}

async function measureScrape(): Promise<Row> {
  const stage = aBalancer(manyBackends);
  const metrics = new Metrics(stage.balancer);
  const routes = { '/metrics': { type: metricsType, text: () => metrics.scrape() } };
  const server = await HttpListener.listen({ address: '127.0.0.1', port: 0 }, routes);
  const url = `${server.url}metrics`;
  const text = await (await fetch(url)).text();
  const series = text.split('\n').filter((line) => /^[^#]/.test(line)).length;
  await ask(url, 10);
  const other = spawn(process.execPath, [import.meta.filename, 'serve', String(text.length)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [otherUrl] = await once(other.stdout.setEncoding('utf8'), 'data');
  const turns = new Turns();
  await ask(otherUrl.trim(), scrapes);
  other.kill();
  const quiet = turns.lateMs;
  turns.restart();
  const { times } = await ask(url, scrapes);
  const { lateMs: busy, ownMs } = turns;
  turns.stop();
  const slices: number[] = [];
  for (let i = 0; i < scrapes; i++) slices.push(...(await slicesCpuMs(metrics)));
  await server.close();
  return {
    series,
    kbytes: Math.round(text.length / 1e3),
    scrape_ms_p50: rounded(median(times)),
    scrape_ms_best: rounded(Math.min(...times)),
    slice_cpu_ms_p50: rounded(median(slices)),
    slice_cpu_ms_p99: rounded(at(slices, 0.99)),
    own_late_ms_p99: rounded(at(ownMs, 0.99)),
    own_late_ms_max: rounded(at(ownMs, 1)),
    late_ms_p99_other: rounded(at(quiet, 0.99)),
    late_ms_p99_scraped: rounded(at(busy, 0.99)),
  };
}

/** CPU of this process in percent of a core, with turns of 1 ms left out. */
async function cpuPercent(work: () => void): Promise<number> {
  const timer = setInterval(work, 1_000);
  const before = process.cpuUsage();
  await sleep(measuredMs);
  const { user, system } = process.cpuUsage(before);
  clearInterval(timer);
  return ((user + system) / 1e3 / measuredMs) * 100;
}

async function measureDashboard(): Promise<Row> {
  const stage = aBalancer(dashboardBackends);
  const recorder = new DashboardRecorder(stage.balancer);
  const server = await HttpListener.listen({ address: '127.0.0.1', port: 0 }, dashboardRoutes(recorder));
  const work = () => sample(stage, 1_000);
  const without = await cpuPercent(work);
  recorder.start();
  const recorded = await cpuPercent(work);
  const page = spawn(process.execPath, [import.meta.filename, `${server.url}events`, '0'], {
    stdio: 'ignore',
  });
  await sleep(1_000);
  const followed = await cpuPercent(work);
  page.kill();
  await recorder.stop();
  await server.close();
  return {
    backends: dashboardBackends,
    cpu_percent_without: rounded(without),
    cpu_percent_recorded: rounded(recorded),
    cpu_percent_followed: rounded(followed),
  };
}

/** Measures what it costs a daemon to be looked at. Takes about a minute. */
export async function run(): Promise<BenchResult> {
  const scrape = await measureScrape();
  const dashboard = await measureDashboard();
  const late = Number(scrape.own_late_ms_p99);
  const cpu = Number(dashboard.cpu_percent_followed) - Number(dashboard.cpu_percent_without);
  return {
    name,
    rows: [scrape, dashboard],
    targets: [
      {
        what: `a scrape of ${scrape.series} series`,
        asked: `<= ${targets.scrapeMs} ms`,
        measured: `${scrape.scrape_ms_p50} ms p50, ${scrape.scrape_ms_best} ms best`,
        met: Number(scrape.scrape_ms_p50) <= targets.scrapeMs,
      },
      {
        what: 'delay of the control tick by scrapes',
        asked: `<= ${targets.lateMs} ms`,
        measured: `${late} ms p99, ${scrape.own_late_ms_max} ms at most`,
        met: late <= targets.lateMs,
      },
      {
        what: `CPU of the dashboard with ${dashboardBackends} backends`,
        asked: `<= ${targets.cpuPercent} %`,
        measured: `${rounded(cpu)} %`,
        met: cpu <= targets.cpuPercent,
      },
    ],
    notes: [
      `Over HTTP from another process, which reads ${scrapes} scrapes 50 ms apart. Turns of 1 ms while it does, and while it reads as many bytes from yet another process: a client delays turns by itself where cores are few. The delay is the CPU time of this process between two turns, less the 1 ms between them: what remains on a machine that has a core for it. A slice is what a scrape does between two turns.`,
      'In this process, on memory laid out as the datapaths lay out theirs; a follower takes every event.',
    ],
  };
}

if (process.argv[1] === import.meta.filename) {
  const [what, count] = process.argv.slice(2);
  if (what === 'serve') await serve(Number(count));
  else await client(what!, Number(count));
}
