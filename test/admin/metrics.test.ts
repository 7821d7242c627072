import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Metrics, metrics } from '../../src/admin/metrics.ts';
import { BucketCounts, bucketBoundsNs, bucketCount } from '../../src/admin/metrics-buckets.ts';
import { labelText, slices } from '../../src/admin/metrics-text.ts';
import { causeNames } from '../../src/control/reason.ts';
import { SampleMemory } from '../../src/datapath/capture/memory.ts';
import { inbandHistogram } from '../../src/generated/layout.ts';
import { LiveBins } from '../../src/latency/bins.ts';
import { signalWord } from '../../src/latency/wheel-signals.ts';
import { ns } from '../../src/units.ts';
import { slowReason } from '../support/reason.ts';
import { aStage, type Stage } from './balancer.ts';

async function scrape({ balancer }: Stage, metrics = new Metrics(balancer)): Promise<string> {
  let text = '';
  for await (const part of metrics.scrape()) text += part;
  return text;
}

/** Values by what stands before them on their lines. */
async function values(stage: Stage, metrics?: Metrics): Promise<Map<string, number>> {
  const lines = (await scrape(stage, metrics)).split('\n').filter((line) => /^[^#]/.test(line));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

const first = 'vip="10.0.0.1:80/tcp",backend="10.0.0.11"';

describe('a scrape', () => {
  it('says which datapath was chosen and why', async () => {
    const found = await scrape(aStage({ reason: 'eth0: "native" XDP is not supported' }));
    expect(found).toContain(
      'inband_datapath_info{datapath="capture",mode="l2",interface="eth0",reason="eth0: \\"native\\" XDP is not supported"} 1\n',
    );
    expect(found).toContain('inband_build_info{version="1.2.3"} 1\n');
  });

  it('has what the datapath counts, by reason and event', async () => {
    const stage = aStage();
    Object.assign(stage.packets, { tx: 12, no_backend: 1 });
    Object.assign(stage.flows, { created: 5, idle: 2, active: 3, samples_dropped: 7 });
    const found = await values(stage);
    expect(found.get('inband_packets_total{reason="tx"}')).toBe(12);
    expect(found.get('inband_packets_total{reason="no_backend"}')).toBe(1);
    expect(found.get('inband_flow_events_total{event="created"}')).toBe(5);
    expect(found.get('inband_flow_events_total{event="idle"}')).toBe(2);
    expect(found.has('inband_flow_events_total{event="active"}')).toBe(false);
    expect(found.get('inband_sample_events_total{event="dropped"}')).toBe(7);
    expect(found.get('inband_flows_active')).toBe(3);
    expect(found.get('inband_flows_capacity')).toBe(1_000);
  });

  it('tells ticks and time in base units', async () => {
    const found = await values(aStage());
    expect(found.get('inband_uptime_seconds')).toBe(2.5);
    expect(found.get('inband_control_tick_seconds')).toBe(0.001);
    expect(found.get('inband_control_ticks_total')).toBe(2_500);
    expect(found.get('inband_control_ticks_late_total')).toBe(3);
  });

  it('has state, share and traffic of each backend of each vip', async () => {
    const stage = aStage({ vips: ['10.0.0.1:80/tcp', '[2001:db8::1]:443/udp'] });
    const other = stage.services[1]!;
    Object.assign(other, { obstacles: [undefined, 'no answer to ARP'], generation: 4, slotsMoved: 99 });
    other.pool.held.set([0.75, 0.25]);
    Object.assign(other, { weightOf: (b: number) => 2 * b });
    Object.assign(stage.traffic[2]!, { packets: 10, bytes: 1_000, flows: 1, held: 5 });
    const found = await values(stage);
    const vip = 'vip="[2001:db8::1]:443/udp"';
    expect(found.get(`inband_vip_generation{${vip}}`)).toBe(4);
    expect(found.get(`inband_vip_slots_moved_total{${vip}}`)).toBe(99);
    expect(found.get(`inband_vip_policy_info{${vip},policy="shift",kind="handshake"}`)).toBe(1);
    expect(found.get(`inband_backend_up{${vip},backend="10.0.0.11"}`)).toBe(1);
    expect(found.get(`inband_backend_up{${vip},backend="10.0.0.12"}`)).toBe(0);
    expect(found.get(`inband_backend_share_ratio{${vip},backend="10.0.0.11"}`)).toBe(0.75);
    expect(found.get(`inband_backend_weight{${vip},backend="10.0.0.12"}`)).toBe(2);
    expect(found.get(`inband_backend_packets_total{${vip},backend="10.0.0.11"}`)).toBe(10);
    expect(found.get(`inband_backend_bytes_total{${vip},backend="10.0.0.11"}`)).toBe(1_000);
    expect(found.get(`inband_backend_flows_total{${vip},backend="10.0.0.11"}`)).toBe(1);
    expect(found.get(`inband_backend_packets_total{${first}}`)).toBe(0);
  });

  it('has what operators, checks and packets say of each backend, and the flows that it holds', async () => {
    const stage = aStage();
    const ejected = { untilNs: ns(2e9), reason: 'silent', times: 1 };
    const health = stage.services[0]!.health.map((one, b) =>
      b === 0 ? one : { ...one, state: 'down' as const, ejected },
    );
    Object.assign(stage.services[0]!, { states: ['ready', 'drain'], health });
    stage.traffic[1]!.held = 17;
    const found = await values(stage);
    const second = 'vip="10.0.0.1:80/tcp",backend="10.0.0.12"';
    const of = (name: string, state: string) =>
      [first, second].map((labels) => found.get(`inband_backend_${name}{${labels},state="${state}"}`));
    expect(of('state', 'ready')).toEqual([1, 0]);
    expect(of('state', 'drain')).toEqual([0, 1]);
    expect(of('state', 'maintenance')).toEqual([0, 0]);
    expect(of('health', 'up')).toEqual([1, 0]);
    expect(of('health', 'down')).toEqual([0, 1]);
    expect(of('health', 'starting')).toEqual([0, 0]);
    expect(found.get(`inband_backend_ejected{${second}}`)).toBe(1);
    expect(found.get(`inband_backend_flows{${second}}`)).toBe(17);
    expect(found.get(`inband_backend_checks_total{${first},result="passed"}`)).toBe(7);
    expect(found.get(`inband_backend_checks_total{${first},result="failed"}`)).toBe(3);
    expect(found.get(`inband_backend_ejections_total{${first}}`)).toBe(2);
  });

  it('tells how it went with the configuration, what is kept, and what a restart would do', async () => {
    const found = await values(aStage());
    expect(found.get('inband_config_reloads_total{result="success"}')).toBe(2);
    expect(found.get('inband_config_reloads_total{result="failure"}')).toBe(1);
    expect(found.get('inband_config_last_reload_success')).toBe(0);
    expect(found.get('inband_config_last_reload_success_timestamp_seconds')).toBe(1_700_000_000);
    expect(found.get('inband_state_write_failures_total')).toBe(4);
    expect(found.get('inband_datapath_adopted')).toBe(0);
    expect(found.get('inband_datapath_pinned')).toBe(1);
    expect(found.get('inband_backends_capacity')).toBe(1_024);
  });

  it('has histograms of kinds that have samples, and none of those that have not', async () => {
    const stage = aStage();
    stage.samples.record(0, 1, 20_000, 1);
    stage.samples.record(0, 1, 3_000_000, 2);
    stage.samples.record(0, 1, 60e9, 3);
    const found = await values(stage);
    const name = 'inband_backend_latency_seconds';
    expect(found.get(`${name}_count{${first},kind="request"}`)).toBe(3);
    expect(found.get(`${name}_sum{${first},kind="request"}`)).toBeCloseTo(60.00302, 9);
    expect(found.get(`${name}_bucket{${first},kind="request",le="0.000016384"}`)).toBe(0);
    expect(found.get(`${name}_bucket{${first},kind="request",le="0.000032768"}`)).toBe(1);
    expect(found.get(`${name}_bucket{${first},kind="request",le="0.004194304"}`)).toBe(2);
    expect(found.get(`${name}_bucket{${first},kind="request",le="4.294967296"}`)).toBe(2);
    expect(found.get(`${name}_bucket{${first},kind="request",le="+Inf"}`)).toBe(3);
    expect([...found.keys()].filter((line) => line.includes('kind="handshake"} '))).toEqual([]);
  });

  it('has signals where they are counted, and leaves them out where nobody does', async () => {
    const stage = aStage();
    stage.signals.count(0, signalWord.synRetransmits);
    stage.signals.push(0, 0);
    for (const signals of stage.services[0]!.signals) signals.update(ns(64 * 1e5));
    const found = await values(stage);
    expect(found.get(`inband_backend_syn_retransmits_total{${first}}`)).toBe(1);
    expect(found.get(`inband_backend_requests_total{${first}}`)).toBe(1);
    expect(found.get(`inband_backend_requests_in_flight{${first}}`)).toBe(1);
    expect(found.get(`inband_backend_oldest_request_seconds{${first}}`)).toBeCloseTo(0.0064, 6);
    expect(found.get(`inband_backend_resets_total{${first}}`)).toBe(0);
    const without = await values(aStage({ hasSignals: false }));
    expect([...without.keys()].filter((line) => line.startsWith('inband_backend_requests'))).toEqual([]);
  });

  it('counts decisions by cause, with those that never were', async () => {
    const stage = aStage();
    for (let step = 0; step < 40; step++) stage.services[0]!.pool.decisions.add(ns(step * 2e9), slowReason);
    const found = await values(stage);
    for (const cause of causeNames) {
      const count = found.get(`inband_backend_decisions_total{${first},cause="${cause}"}`);
      expect(count).toBe(cause === 'slow' ? 40 : 0);
    }
  });

  it('names every metric inband_, in base units, with help; its lines stand together', async () => {
    const stage = aStage();
    stage.samples.record(0, 0, 1e6, 1);
    const text = await scrape(stage);
    const heads = [...text.matchAll(/^# HELP (\S+) .+\.\n# TYPE (\S+) (\S+)\n((?:[^#].*\n)*)/gm)];
    expect(heads.map(([, name]) => name)).toEqual(metrics.map(({ name }) => name));
    expect(heads.map(([all]) => all).join('')).toBe(text);
    for (const [, name, typed, type, lines] of heads) {
      expect(name).toMatch(/^inband_[a-z_]+$/);
      expect(name).not.toMatch(/_(ns|ms|us|percent|count)$/);
      expect(typed).toBe(name);
      expect(name!.endsWith('_total')).toBe(type === 'counter');
      expect(lines).not.toBe('');
      for (const line of lines!.trimEnd().split('\n')) {
        expect(line).toMatch(new RegExp(`^${name}(_bucket|_sum|_count)?(\\{|\\s)`));
      }
    }
  });

  it('gives each series once, with the labels that are documented', async () => {
    const stage = aStage({ vips: ['10.0.0.1:80/tcp', '10.0.0.1:81/tcp'] });
    for (const backend of [0, 1, 2, 3]) stage.samples.record(backend, 1, 1e6, 1);
    const lines = (await scrape(stage)).split('\n').filter((line) => /^[^#]/.test(line));
    const series = lines.map((line) => line.slice(0, line.lastIndexOf(' ')));
    expect(new Set(series).size).toBe(series.length);
    for (const { name, labels } of metrics) {
      const own = series.find((line) => new RegExp(`^${name}(_count)?(\\{|$)`).test(line))!;
      const found = [...own.matchAll(/[{,]([a-z]+)="/g)].map(([, label]) => label);
      expect([name, ...found]).toEqual([name, ...labels]);
    }
  });

  it('is not upset by another scrape at the same time', async () => {
    const stage = aStage({ backends: Array.from({ length: 200 }, (_, i) => `10.0.1.${i}`) });
    for (let backend = 0; backend < 200; backend++) stage.samples.record(backend, 0, 1e6, 1);
    const metrics = new Metrics(stage.balancer);
    const ofBackends = (text: string) => text.slice(text.indexOf('# HELP inband_packets_total'));
    const [one, two] = await Promise.all([scrape(stage, metrics), scrape(stage, metrics)]);
    expect(ofBackends(one!)).toBe(ofBackends(two!));
  });

  it('takes on a vip that was added, and forgets one that went', async () => {
    const [stage, other] = [aStage(), aStage({ vips: ['10.0.0.9:80/tcp'] })];
    const metrics = new Metrics(stage.balancer);
    await scrape(stage, metrics);
    stage.balancer.services = other.services;
    const text = await scrape(stage, metrics);
    expect(text).toContain('10.0.0.9:80/tcp');
    expect(text).not.toContain('10.0.0.1:80/tcp');
  });
});

describe('labels', () => {
  it('escape what would end them', () => {
    expect(labelText({ reason: 'a "b" \\ c\nd' })).toBe('reason="a \\"b\\" \\\\ c\\nd"');
  });

  it('are read back as they were, whatever they hold', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        const text = labelText({ name: value });
        expect(text).not.toContain('\n');
        const [, escaped] = /^name="((?:[^"\\]|\\.)*)"$/s.exec(text)!;
        const back = escaped!.replace(/\\(.)/gs, (_, character) => (character === 'n' ? '\n' : character));
        expect(back).toBe(value);
      }),
    );
  });
});

describe('slices', () => {
  it('give the event loop a turn when their time is over, and lose nothing', async () => {
    let turns = 0;
    let going = true;
    const count = () => {
      turns++;
      if (going) setImmediate(count);
    };
    setImmediate(count);
    const lines = Array.from({ length: 50 }, (_, i) => `${i}\n`);
    const parts: string[] = [];
    for await (const part of slices(lines, 0)) parts.push(part);
    going = false;
    expect(parts).toHaveLength(50);
    expect(parts.join('')).toBe(lines.join(''));
    expect(turns).toBeGreaterThanOrEqual(49);
  });

  it('are one text where time is long, and none without lines', async () => {
    const parts: string[] = [];
    for await (const part of slices(['a\n', 'b\n'], 1e6)) parts.push(part);
    for await (const part of slices([], 1e6)) parts.push(part);
    expect(parts).toEqual(['a\nb\n']);
  });
});

describe('buckets', () => {
  it('end where octaves of bins begin, some two dozen of them', () => {
    expect(bucketBoundsNs[0]).toBe(16_384);
    expect(bucketBoundsNs.at(-1)).toBe(2 ** 32);
    expect(bucketCount).toBe(20);
  });

  it('hold as many samples as are below each bound', () => {
    const latency = fc.integer({ min: -1_000, max: 2 ** 36 });
    fc.assert(
      fc.property(fc.array(latency, { maxLength: 60 }), fc.nat({ max: 60 }), (latencies, cut) => {
        const memory = new SampleMemory(1);
        memory.begin(0);
        const counts = new BucketCounts(memory.histogram(0, 0));
        for (const [i, latencyNs] of latencies.entries()) {
          if (i === cut) counts.update();
          memory.record(0, 0, latencyNs, i);
        }
        counts.update();
        const below = bucketBoundsNs.map(
          (boundNs) => latencies.filter((latencyNs) => latencyNs < boundNs).length,
        );
        expect([...counts.cumulative]).toEqual([...below, latencies.length]);
        expect(counts.count).toBe(latencies.length);
        expect(counts.sumNs).toBe(latencies.reduce((sum, latencyNs) => sum + latencyNs, 0));
      }),
    );
  });

  it('go on growing when a bin wraps', () => {
    const words = new Uint32Array(inbandHistogram.size / 4);
    const counts = new BucketCounts(new LiveBins(words, [0]));
    const bin = inbandHistogram.fields.bins.offset / 4;
    const countWord = inbandHistogram.fields.count.offset / 4;
    words[bin] = 4_000_000_000;
    words[countWord] = 4_000_000_000;
    counts.update();
    words[bin] = 4_000_000_000 + 1_000_000_000;
    words[countWord] = 5_000_000_000 % 2 ** 32;
    words[countWord + 1] = 1;
    counts.update();
    expect(words[bin]).toBeLessThan(1_000_000_000);
    expect(counts.count).toBe(5_000_000_000);
  });

  it('are left alone until there are enough samples', () => {
    const memory = new SampleMemory(1);
    memory.begin(0);
    const counts = new BucketCounts(memory.histogram(0, 0));
    memory.record(0, 0, 100, 1);
    counts.update(2);
    expect(counts.count).toBe(0);
    memory.record(0, 0, 100, 1);
    counts.update(2);
    expect(counts.count).toBe(2);
  });
});
