import { execFile, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { syn, temporaryDirectory } from '../datapath/replay/support.ts';
import { captureOf, split } from './captures.ts';
import { fixture, inband, main, replayJson } from './inband.ts';

const capture = fixture('two-servers/lb.pcap.gz');
const truth = ['--truth', fixture('two-servers/truth.csv.gz')];
const assign = ['--assign', fixture('two-servers/flows.csv')];
/** The paper's estimator and its anchor. */
const paper = ['--estimator', 'ensemble,handshake'];
const twoSided = fixture('wild/zeek-django-cloud.pcapng');
const vip = '10.77.0.100:11211/tcp';

describe('the bundled capture of two servers', () => {
  test('gives the known samples per backend, close to the truth', async () => {
    const result = await replayJson(capture, ...truth, ...assign, ...paper);
    expect(result).toMatchObject({
      schema: 'inband.replay/1',
      files: [{ name: capture, packets: 12_571, problems: [] }],
      packets: { read: 12_571, client: 12_571, server: 0, skipped: {} },
      flows: { created: 233, active: 0, capacity: 262_144, ended: { closed: 233 }, untracked_packets: 0 },
      vips: [{ vip, flows: 233, packets: 12_571 }],
      assign: 'flows.csv',
      backends: [
        { backend: 's1', flows: 118, packets: 6400 },
        { backend: 's2', flows: 115, packets: 6171 },
      ],
      truth: { records: 11_843 },
      warnings: [],
    });
    const counts = result.backends.map(({ estimators }) =>
      estimators.map(({ estimator, samples }) => [estimator, samples]),
    );
    expect(counts).toEqual([
      [
        ['ensemble:smooth:backend', 5615],
        ['handshake', 118],
      ],
      [
        ['ensemble:smooth:backend', 5672],
        ['handshake', 115],
      ],
    ]);
    const [ensemble, handshake] = result.estimators;
    expect(ensemble!.samples).toBe(5615 + 5672);
    expect(ensemble!.p50_ns! / 1e3).toBeCloseTo(267.8, -1);
    expect(ensemble!.error).toMatchObject({ matched: 10_845 });
    expect(ensemble!.error!.median_relative_error).toBeCloseTo(0.0165, 3);
    expect(ensemble!.error!.p95_absolute_relative_error).toBeCloseTo(0.0746, 3);
    expect(ensemble!.error!.within_20_percent).toBeCloseTo(0.994, 2);
    expect(ensemble!.error!.window_error_p90).toBeLessThan(0.04);
    expect(handshake!.error).toMatchObject({ matched: 233, within_20_percent: 1 });
    expect(handshake!.error!.median_relative_error).toBeCloseTo(0.0062, 3);
  });

  test('is measured by auto without being asked, each kind on its own, and nearer to the truth', async () => {
    const result = await replayJson(capture, ...truth, ...assign);
    const byName = Object.fromEntries(result.estimators.map((one) => [one.estimator, one]));
    expect(result.policy!.estimator).toBe('auto');
    const [request, server] = ['auto:request', 'auto:server'].map((name) => byName[name]!);
    expect(request!.samples).toBeGreaterThan(11_000);
    expect(request!.error!.p95_absolute_relative_error).toBeLessThan(0.08);
    expect(request!.error!.window_error_p90).toBeLessThan(0.03);
    expect(byName['auto:handshake']).toMatchObject({ samples: 233, error: { within_20_percent: 1 } });
    expect(server!.error).toMatchObject({ matched: 0 });
    const { stdout } = await inband(['replay', capture, ...assign]);
    expect(stdout).toContain('auto:request');
    expect(stdout).not.toContain('auto:quic');
  });

  test('shows the millisecond that s2 became slower by, and moves its flows to s1', async () => {
    const result = await replayJson(capture, ...assign);
    const [s1, s2] = result.backends.map(({ estimators }) => estimators[0]!);
    expect(s1!.p90_ns!).toBeLessThan(400e3);
    expect(s2!.p90_ns!).toBeGreaterThan(1.2e6);
    const { time_s, share, backends } = result.policy!;
    expect(backends).toEqual(['s1', 's2']);
    expect(share[0]).toEqual([0.5, 0.5]);
    expect(share.at(-1)![0]).toBeCloseTo(1);
    expect(share.length).toBe(time_s.length);
    expect(time_s[0]).toBe(0);
    expect(time_s.at(-1)).toBeCloseTo(result.span_s, 6);
    for (const shares of share) expect(shares[0]! + shares[1]!).toBeCloseTo(1, 9);
  });

  test('gives the same JSON in every run', async () => {
    const runs = await Promise.all(
      [1, 2].map(() => inband(['replay', capture, '--json', ...truth, ...assign])),
    );
    expect(runs[0]!.code).toBe(0);
    expect(runs[0]!.stdout).toBe(runs[1]!.stdout);
  });

  test('gives the same from standard input', async () => {
    const direct = await replayJson(capture, ...assign);
    const { code, stdout } = await inband(['replay', '-', '--json', ...assign], readFileSync(capture));
    expect(code).toBe(0);
    const piped = JSON.parse(stdout);
    expect(piped.files[0].name).toBe('standard input');
    expect({ ...piped, files: [] }).toEqual({ ...direct, files: [] });
  });

  test('gives the same when it is in two files', async () => {
    const whole = await replayJson(capture, ...truth, ...assign);
    const parts = await replayJson(...(await split(capture, 5000)), ...truth, ...assign);
    expect(parts.files.map(({ packets }) => packets)).toEqual([5000, 7571]);
    expect({ ...parts, files: [] }).toEqual({ ...whole, files: [] });
  });

  test('gives the same after an empty file', async () => {
    const samples = async (...files: string[]) => {
      const path = `${temporaryDirectory()}/samples.csv`;
      await inband(['replay', ...files, '--samples', path]);
      return readFileSync(path, 'utf8');
    };
    const empty = fixture('pcap/tcpdump-empty.pcap');
    expect(await samples(empty, capture)).toBe(await samples(capture));
  });

  test('is shown to people with tables per backend, the policy and where the report is', async () => {
    const report = `${temporaryDirectory()}/report.html`;
    const { code, stdout, stderr } = await inband([
      ...['replay', capture, ...truth, ...assign, '--report', report],
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('12,571 packets');
    expect(stdout).toMatch(/Backend s1 +118 flows, 6,400 packets/);
    expect(stdout).toMatch(/Backend s2 +115 flows, 6,171 packets/);
    expect(stdout).toMatch(/estimator +samples +p50 +p90 +p99 +mean/);
    expect(stdout).toMatch(/estimator +median err +p95 \|err\| +within 20% +window p90/);
    expect(stdout).toMatch(/handshake +118 /);
    expect(stdout).toContain("Policy 'shift' (alpha 10%)");
    expect(stdout.endsWith(`report: ${report}\n`)).toBe(true);
    expect(stdout).not.toContain('\x1b');
  });
});

/** Flags that a test below shows the effect of; one more test holds them against `--help`. */
const shown = new Set<string>();

function flag(name: string, effect: string, body: () => Promise<void>): void {
  shown.add(name);
  test(`${name} ${effect}`, body);
}

describe('flags', () => {
  flag('--vip', 'leaves only packets of the vips that it names', async () => {
    const result = await replayJson(fixture('wild/zeek-ipv6.pcap'), '--vip', '[2001:470:4867:99::21]:21/tcp');
    expect(result.vips).toEqual([{ vip: '[2001:470:4867:99::21]:21/tcp', flows: 1, packets: 57 }]);
    expect(result.packets).toMatchObject({ read: 136, client: 57, skipped: { not_vip: expect.any(Number) } });
    const two = await replayJson(
      ...[fixture('wild/zeek-ipv6.pcap'), '--vip', '[2001:470:4867:99::21]:21/tcp'],
      ...['--vip', '[2001:470:4867:99::21]:57086/tcp'],
    );
    expect(two.packets.client).toBe(62);
    const none = await replayJson(capture, '--vip', '10.0.0.1:80/tcp');
    expect(none.packets).toMatchObject({ client: 0, skipped: { not_vip: 12_571 } });
    expect(none.warnings).toEqual(['no client->server packet of a vip was found']);
  });

  flag('--hide-server', 'is what happens anyway, and excludes --use-server', async () => {
    const hidden = await replayJson(twoSided, '--hide-server');
    expect(hidden).toEqual(await replayJson(twoSided));
    expect(hidden.packets).toMatchObject({ client: 316, server: 158 });
    expect(hidden.truth).toBeUndefined();
    const both = await inband(['replay', twoSided, '--hide-server', '--use-server']);
    expect(both.code).toBe(2);
    expect(both.stderr).toContain("option '--hide-server' cannot be used with option '--use-server'");
  });

  flag('--use-server', 'compares with what both directions tell', async () => {
    const result = await replayJson(twoSided, '--use-server', ...paper);
    expect(result.truth).toEqual({ source: 'both directions of the capture', records: 158 });
    const [ensemble] = result.estimators;
    expect(ensemble!.samples).toBeGreaterThan(250);
    expect(Math.abs(ensemble!.error!.median_relative_error!)).toBeLessThan(0.02);
    const { stdout } = await inband(['replay', twoSided, '--use-server', ...paper]);
    expect(stdout).toMatch(/ensemble:smooth:backend +\+0\.\d%/);
  });

  flag('--estimator', 'chooses estimators, in its order', async () => {
    const result = await replayJson(
      capture,
      '--estimator',
      'handshake,fixed:1ms,ensemble:infinite:flow,fixed:1000us',
    );
    expect(result.estimators.map(({ estimator }) => estimator)).toEqual([
      'handshake',
      'fixed:1ms',
      'ensemble:infinite:flow',
    ]);
    expect(result.estimators[0]!.samples).toBe(233);
  });

  flag('--timeouts', 'sets the timeouts of fixed and ensemble', async () => {
    const result = await replayJson(
      ...[capture, '--estimator', 'fixed,ensemble', '--timeouts', '100us, 0.5ms,2ms'],
    );
    expect(result.estimators.map(({ estimator }) => estimator)).toEqual([
      'fixed:100us',
      'fixed:500us',
      'fixed:2ms',
      'ensemble:smooth:backend',
    ]);
    const [least, , most] = result.estimators;
    expect(least!.samples).toBeGreaterThan(most!.samples);
    expect(most!.p50_ns!).toBeGreaterThan(2e6);
  });

  flag('--epoch', 'sets how soon ensemble gives its first sample', async () => {
    const samples = async (epoch: string) =>
      (await replayJson(capture, '--estimator', 'ensemble', '--epoch', epoch)).estimators[0]!.samples;
    expect(await samples('1s')).toBeLessThan((await samples('64ms')) - 2000);
  });

  flag('--assign', 'decides the backend of each flow', async () => {
    const names = async (...args: string[]) => {
      const result = await replayJson(capture, ...args);
      return [result.assign, ...result.backends.map(({ backend }) => backend)];
    };
    expect(await names()).toEqual(['vip', vip]);
    expect(await names(...assign)).toEqual(['flows.csv', 's1', 's2']);
    const [how, ...macs] = await names('--assign', 'dst-mac');
    expect(how).toBe('dst-mac');
    expect(macs).toEqual([expect.stringMatching(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/)]);
    const table = ['--backend', '10.0.0.11', '--backend', '10.0.0.12'];
    expect(await names('--assign', 'table', ...table)).toEqual(['table', '10.0.0.11', '10.0.0.12']);
  });

  flag('--backend', 'names the backends of a table and their weights', async () => {
    const packets = Array.from({ length: 4000 }, (_, i) => ({
      ...{ from: `192.0.2.1:${i + 1}`, to: '198.51.100.1:443', flags: syn, at: i * 1000 },
    }));
    const backends = [
      '--backend',
      '10.0.0.11',
      '--backend',
      '10.0.0.12,3',
      '--backend',
      '2001:DB8::1,weight=4',
    ];
    const result = await replayJson(captureOf(packets), ...backends);
    expect(result.assign).toBe('table');
    expect(result.backends.map(({ backend }) => backend)).toEqual(['10.0.0.11', '10.0.0.12', '2001:db8::1']);
    const shares = result.backends.map(({ flows }) => flows / 4000);
    for (const [i, share] of [0.125, 0.375, 0.5].entries()) expect(shares[i]).toBeCloseTo(share, 1);
    expect(result.policy!.share[0]).toEqual([0.125, 0.375, 0.5]);
  });

  flag('--alpha', 'sets how much the policy shifts at once', async () => {
    const between = async (alpha: string) => {
      const { policy } = await replayJson(capture, ...assign, '--alpha', alpha);
      expect(policy!.alpha).toBe(Number(alpha));
      return policy!.share.filter(([s1]) => ![0, 0.5, 1].includes(s1!)).length;
    };
    expect(await between('1')).toBe(0);
    expect(await between('0.01')).toBeGreaterThan(100);
  });

  flag('--truth', 'compares with the latencies of a file', async () => {
    const result = await replayJson(capture, ...truth, ...paper);
    expect(result.truth).toEqual({ source: truth[1], records: 11_843 });
    expect(result.estimators[0]!.error!.matched).toBeGreaterThan(10_000);
    expect((await replayJson(capture)).estimators[0]!.error).toBeUndefined();
  });

  flag('--samples', 'writes each sample that is counted', async () => {
    const path = `${temporaryDirectory()}/samples.csv`;
    const result = await replayJson(capture, ...assign, '--samples', path);
    const [header, ...rows] = readFileSync(path, 'utf8').trimEnd().split('\n');
    expect(header).toBe('time_ns,kind,latency_ns,client_addr,client_port,vip_addr,vip_port,proto,backend');
    for (const { backend, estimators } of result.backends) {
      for (const { estimator, samples } of estimators) {
        const own = rows.filter((row) => row.split(',')[1] === estimator && row.endsWith(`,${backend}`));
        expect(own.length).toBe(samples);
      }
    }
    expect(rows.length).toBe(result.estimators.reduce((sum, { samples }) => sum + samples, 0));
    const row =
      /^17952229\d{11},(ensemble:smooth:backend|auto:(?:handshake|request|server)),-?\d+,10\.77\.0\.1,\d+,10\.77\.0\.100,11211,tcp,s[12]$/;
    expect(rows.filter((text) => !row.test(text))).toEqual([]);
    const times = rows.map((text) => BigInt(text.split(',')[0]!));
    expect(times.every((time, i) => i === 0 || time >= times[i - 1]!)).toBe(true);
  });

  flag('--report', 'writes a page that needs nothing else', async () => {
    const path = `${temporaryDirectory()}/report.html`;
    await replayJson(capture, ...truth, ...assign, '--report', path);
    const page = readFileSync(path, 'utf8');
    expect(page.slice(0, 15).toLowerCase()).toBe('<!doctype html>');
    for (const part of ['uPlot', 'ensemble:smooth:backend', '</html>'])
      expect(page.includes(part)).toBe(true);
    const foreign = /<(script|img|iframe)[^>]*\ssrc=|<link[^>]*\shref="(?!data:)|@import|\burl\(/;
    expect(foreign.exec(page)?.[0]).toBeUndefined();
  });

  /** 100 clients that send one packet each, then 100 that send four each. */
  const busy = () => {
    const to = '198.51.100.1:443';
    const packets = Array.from({ length: 500 }, (_, i) => {
      const client = i < 100 ? i : 100 + ((i - 100) >> 2);
      return { from: `192.0.2.${client + 1}:5000`, to, seq: i, at: i * 1e5 };
    });
    return captureOf(packets);
  };

  flag(
    '--flows',
    'bounds the table: flows beyond it are evicted or go unmeasured, and that is said',
    async () => {
      const path = busy();
      const small = await replayJson(path, '--flows', '16');
      expect(small.flows).toMatchObject({ capacity: 16, active: 16 });
      expect(small.flows.ended.evicted_unestablished).toBeGreaterThan(0);
      expect(small.flows.untracked_packets).toBeGreaterThan(0);
      expect(small.warnings).toEqual([expect.stringMatching(/the flow table was full .* --flows/)]);
      expect(small.packets.client).toBe(500);
      const large = await replayJson(path, '--flows', '300');
      expect(large.flows).toMatchObject({ capacity: 512, created: 200, active: 200, untracked_packets: 0 });
      expect(large.warnings).toEqual([]);
    },
  );

  flag('--flow-idle', 'forgets a flow that was silent for as long', async () => {
    const path = captureOf(
      [0, 1e6, 3e9].map((at, i) => ({ from: '192.0.2.1:5000', to: '198.51.100.1:443', seq: i, at })),
    );
    expect((await replayJson(path)).flows).toMatchObject({ created: 1, ended: { idle: 0 } });
    expect((await replayJson(path, '--flow-idle', '2s')).flows).toMatchObject({
      created: 2,
      ended: { idle: 1 },
    });
  });

  flag('--samples-per-prefix', 'bounds what a client prefix adds, and says how much that took', async () => {
    const samples = async (...flags: string[]) => {
      const result = await replayJson(capture, '--estimator', 'handshake', ...flags);
      return [result.estimators[0].samples, result.samples_dropped.limited ?? 0];
    };
    const [all] = await samples();
    expect(await samples('--samples-per-prefix', '0')).toEqual([all, 0]);
    const [some, limited] = await samples('--samples-per-prefix', '1');
    expect(limited).toBeGreaterThan(0);
    expect(some + limited).toBe(all);
    const { code, stderr } = await inband(['replay', capture, '--samples-per-prefix', '256']);
    expect(code).toBe(2);
    expect(stderr).toContain('samples per prefix: 256 is not 0 to 255');
  });

  flag('--json', 'prints one object on one line and nothing else', async () => {
    const { stdout } = await inband([
      'replay',
      capture,
      '--json',
      '--report',
      `${temporaryDirectory()}/r.html`,
    ]);
    expect(stdout.split('\n').length).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ schema: 'inband.replay/1' });
  });

  flag('--strict', 'turns any warning into exit code 4, with the same output', async () => {
    const odd = fixture('pcap/tcpdump-timestamp_invalid_nano.pcap');
    const [lax, strict] = await Promise.all([inband(['replay', odd]), inband(['replay', odd, '--strict'])]);
    expect([lax.code, strict.code]).toEqual([0, 4]);
    expect(strict.stdout).toBe(lax.stdout);
    expect(strict.stdout).toContain('warning: ');
    expect((await inband(['replay', capture, '--strict'])).code).toBe(0);
  });

  flag('--help', 'says what there is, with defaults as one would write them', async () => {
    const { code, stdout, stderr } = await inband(['replay', '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('Usage: inband replay [options] <file...>');
    for (const text of ['(default: 64ms)', '(default: 900s)', '64us doubling to 4.096ms']) {
      expect(stdout.replace(/\s+/g, ' ')).toContain(text);
    }
    const listed = [...stdout.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, name]) => name);
    expect(listed.sort()).toEqual([...shown].sort());
  });
});

test('a reader that goes away is no failure', async () => {
  // Far more than a pipe holds, so that it is closed while there is more to write.
  const child = spawn(process.execPath, [main, 'replay', capture, '--json', '--strict']);
  let stderr = '';
  child.stderr.on('data', (text) => (stderr += text));
  child.stdout.destroy();
  const code = await new Promise((resolve) => child.on('close', resolve));
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

test('what is wrong with the output itself is an error', async () => {
  const command = `"${process.execPath}" "${main}" replay "${capture}" > /dev/full`;
  const outcome = await new Promise((resolve) =>
    execFile('/bin/sh', ['-c', command], (error, _stdout, stderr) => resolve([error?.code, stderr])),
  );
  expect(outcome).toEqual([
    1,
    expect.stringMatching(/^inband: standard output: cannot be written \(ENOSPC\)/),
  ]);
});

test('nothing is overwritten that is read', async () => {
  const directory = temporaryDirectory();
  const path = `${directory}/lb.pcap.gz`;
  const bytes = readFileSync(capture);
  writeFileSync(path, bytes);
  for (const flagName of ['--samples', '--report']) {
    const { code, stderr } = await inband([
      'replay',
      path,
      flagName,
      `${directory}/../${directory.split('/').at(-1)}/lb.pcap.gz`,
    ]);
    expect(code).toBe(2);
    expect(stderr).toContain(`${flagName}: `);
    expect(readFileSync(path).equals(bytes)).toBe(true);
  }
});
