import { type ChildProcess, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { Metrics, metrics } from '../../src/admin/metrics.ts';
import { metricsReference } from '../../src/admin/metrics-reference.ts';
import type { Status } from '../../src/daemon.ts';
import { Daemon } from '../../src/demo/daemon.ts';
import { Lab } from '../../src/lab/lab.ts';
import { startLoad } from '../../src/lab/load.ts';
import { labUnavailable } from '../lab/require.ts';
import { aStage } from './balancer.ts';

const root = new URL('../../', import.meta.url).pathname;
const rules = join(root, 'config/prometheus/alerts.yml');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

/** Why Prometheus's own tools cannot be asked; undefined when they can. */
const missing = ['promtool', 'prometheus'].some((tool) => spawnSync(tool, ['--version']).error)
  ? 'the Debian package prometheus is not installed; run: npm run setup -- --test'
  : undefined;

/** Every series name that a metric has. */
const series = new Set(
  metrics.flatMap(({ name, type }) =>
    type === 'histogram' ? ['_bucket', '_sum', '_count'].map((part) => name + part) : [name],
  ),
);

const namesIn = (text: string) => [...new Set(text.match(/\binband_[a-z_]+/g))];

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: Readonly<Record<string, string>>;
}

interface Panel {
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly targets?: readonly { readonly expr: string }[];
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
}

const alerts: readonly Rule[] = parse(readFileSync(rules, 'utf8')).groups[0].rules;
const grafana: { panels: readonly Panel[]; templating: unknown } = JSON.parse(
  read('config/grafana/inband.json'),
);

describe('what is made for Prometheus and Grafana', () => {
  test('alert rules use metrics that exist, and labels that these have', () => {
    for (const { expr } of alerts) {
      for (const name of namesIn(expr)) expect(series).toContain(name);
      for (const [, name, labels] of expr.matchAll(/(inband_\w+)\{([^}]*)\}/g)) {
        const known = metrics.find((metric) => name!.startsWith(metric.name))!.labels;
        for (const [, label] of labels!.matchAll(/(\w+)[!=]/g)) expect(known).toContain(label);
      }
    }
  });

  test('every alert says what is wrong and what to look at', () => {
    expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length);
    for (const { annotations } of alerts)
      expect(Object.keys(annotations)).toEqual(['summary', 'description']);
  });

  test('every alert is tried', () => {
    const tried = read('test/admin/alerts.yml');
    for (const { alert } of alerts)
      expect(tried).toContain(`alertname: ${alert}\n        exp_alerts:\n          - `);
  });

  test('the Grafana dashboard uses metrics that exist, and labels that these have', () => {
    const expressions = grafana.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    expect(expressions.length).toBeGreaterThan(20);
    for (const text of [...expressions, JSON.stringify(grafana.templating)]) {
      for (const name of namesIn(text))
        expect([...series, ...metrics.map((metric) => metric.name)]).toContain(name);
      for (const [, name, labels] of text.matchAll(/(inband_\w+)\{([^}]*)\}/g)) {
        const known = ['instance', ...metrics.find((metric) => name!.startsWith(metric.name))!.labels];
        for (const [, label] of labels!.matchAll(/(\w+)=~/g)) expect(known).toContain(label);
      }
    }
  });

  test('no metric is left out of the dashboard but what describes others', () => {
    const shown = namesIn(JSON.stringify(grafana));
    const left = metrics
      .filter(({ name }) => !shown.some((one) => one.startsWith(name)))
      .map(({ name }) => name);
    expect(left).toEqual([
      'inband_control_tick_seconds',
      'inband_backends_capacity',
      'inband_vip_policy_info',
      'inband_backend_weight',
      'inband_backend_packets_total',
      'inband_backend_requests_total',
      'inband_backend_responses_total',
      'inband_backend_handshakes_total',
      'inband_backend_segments_total',
    ]);
  });

  test('panels of the dashboard do not overlap, and each says what it shows', () => {
    const { panels } = grafana;
    for (const [i, { gridPos: a, type, description }] of panels.entries()) {
      expect(a.x + a.w).toBeLessThanOrEqual(24);
      if (type !== 'row') expect(description).toMatch(/\.$/);
      for (const { gridPos: b } of panels.slice(i + 1)) {
        expect(a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y).toBe(true);
      }
    }
  });

  test('docs/metrics.md is fresh; if not: node scripts/reference.mjs', () => {
    expect(read('docs/metrics.md')).toBe(metricsReference());
  });
});

describe('Prometheus', () => {
  beforeEach((context) => {
    if (missing !== undefined) context.skip(missing);
  });

  const promtool = (args: readonly string[], input = '') => {
    const { status, stdout, stderr } = spawnSync('promtool', args, { input, encoding: 'utf8', cwd: root });
    return { status, text: stdout + stderr };
  };

  test('finds nothing wrong with rules and scrape configuration', () => {
    expect(promtool(['check', 'rules', rules])).toMatchObject({ status: 0 });
    expect(promtool(['check', 'config', 'config/prometheus/scrape.yml'])).toMatchObject({ status: 0 });
  });

  test('fires each alert when it should, and not before', () => {
    expect(promtool(['test', 'rules', 'test/admin/alerts.yml'])).toMatchObject({ status: 0 });
  });

  test('finds nothing wrong with a scrape, hostile names included', async () => {
    const stage = aStage({ backends: ['a"\\\n}{', '10.0.0.12'], reason: 'x "y" \\ \n z' });
    for (const backend of [0, 1]) for (const kind of [0, 1]) stage.samples.record(backend, kind, 1e6, 1);
    let text = '';
    for await (const part of new Metrics(stage.balancer).scrape()) text += part;
    expect(promtool(['check', 'metrics'], text)).toEqual({ status: 0, text: '' });
  });
});

const unavailable = missing ?? labUnavailable();

describe('Prometheus and a load balancer', () => {
  let lab: Lab | undefined;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'inband-prometheus-'));
    if (unavailable === undefined) lab = await Lab.up({ servers: 2 });
  });
  beforeEach((context) => {
    if (unavailable !== undefined) context.skip(unavailable);
  });
  afterAll(async () => {
    await lab?.down();
    rmSync(folder, { recursive: true, force: true });
  });

  /** The answer to a request from where the load balancer is. */
  const get = (url: string) =>
    lab!.exec(lab!.lb, [
      process.execPath,
      '-e',
      `fetch(${JSON.stringify(url)}).then((r) => r.text()).then((text) => process.stdout.write(text))`,
    ]);

  /** The value of the first series of an expression; undefined while there is none. */
  const query = async (expr: string): Promise<number | undefined> => {
    const text = await get(`http://127.0.0.1:9090/api/v1/query?query=${encodeURIComponent(expr)}`).catch(
      () => '{}',
    );
    const { data } = JSON.parse(text || '{}') as { data?: { result: { value: [number, string] }[] } };
    const value = data?.result[0]?.value[1];
    return value === undefined ? undefined : Number(value);
  };

  function startPrometheus(): ChildProcess {
    const config = parse(read('config/prometheus/scrape.yml'));
    config.global = { scrape_interval: '1s', evaluation_interval: '1s' };
    config.rule_files = [rules];
    const file = join(folder, 'prometheus.yml');
    writeFileSync(file, JSON.stringify(config));
    const flags = [`--config.file=${file}`, `--storage.tsdb.path=${folder}/data`, '--log.level=error'];
    return lab!.spawn(lab!.lb, ['prometheus', ...flags, '--web.listen-address=127.0.0.1:9090'], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }

  test('a running daemon is scraped, as shipped, with what the load did', async () => {
    const daemon = await Daemon.start(lab!, 'balance', ['--http', '127.0.0.1:9464']);
    let prometheus: ChildProcess | undefined;
    try {
      prometheus = startPrometheus();
      const { requests } = await startLoad(lab!, lab!.clients[0]!, {
        connections: 8,
        requestsPerConnection: 100,
        durationMs: 2_000,
      }).done;
      expect(requests).toBeGreaterThan(100);
      const { datapath, vips } = await daemon.status();
      const eventually = (expr: string) => expect.poll(() => query(expr), { timeout: 20_000, interval: 500 });
      await eventually('up{job="inband"}').toBe(1);
      await eventually('sum(inband_backend_up)').toBe(2);
      // Connections may still be closing: what Prometheus has is compared with what the daemon says then.
      const same = (expr: string, own: (status: Status) => number) =>
        expect
          .poll(async () => (await query(expr))! - own(await daemon.status()), {
            timeout: 20_000,
            interval: 500,
          })
          .toBe(0);
      const sum = (status: Status, key: 'packets' | 'flows') =>
        status.vips[0]!.backends.reduce((all, one) => all + one[key], 0);
      await same('sum(inband_backend_packets_total)', (status) => sum(status, 'packets'));
      await same('sum(inband_backend_flows_total)', (status) => sum(status, 'flows'));
      await same('inband_packets_total{reason="tx"}', ({ packets }) => packets.tx!);
      await eventually('sum(inband_backend_share_ratio)').toBeCloseTo(1, 9);
      const { name, mode } = datapath;
      await eventually(`inband_datapath_info{datapath="${name}",mode="${mode}"}`).toBe(1);
      const samples = vips[0]!.backends.flatMap(({ latency }) => Object.keys(latency));
      expect(samples).toContain('handshake');
      await eventually('sum(inband_backend_latency_seconds_count{kind="handshake"})').toBeGreaterThan(0);
      const p50 = await query(
        'histogram_quantile(0.5, sum by (le) (inband_backend_latency_seconds_bucket{kind="handshake"}))',
      );
      expect(p50).toBeGreaterThan(0);
      expect(p50).toBeLessThan(1);
      expect(await query('count(ALERTS{alertname="InbandDown"})')).toBeUndefined();
    } finally {
      prometheus?.kill('SIGTERM');
      if (prometheus?.exitCode === null) await once(prometheus, 'exit');
      await daemon.stop();
    }
  }, 90_000);

  test('the port answers on its address alone, and is gone with the daemon', async () => {
    const daemon = await Daemon.start(lab!, 'balance', ['--http', '127.0.0.1:9464']);
    const asks = (address: string) =>
      get(`http://${address}:9464/metrics`).then(
        (text) => text.length > 0,
        () => false,
      );
    try {
      expect(await asks('127.0.0.1')).toBe(true);
      expect(await asks(lab!.lb.address)).toBe(false);
    } finally {
      await daemon.stop();
    }
    expect(await asks('127.0.0.1')).toBe(false);
  }, 60_000);
});
