import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { EvalResult } from '../../src/datapath/replay/eval/result.ts';
import { temporaryDirectory, temporaryFile } from '../datapath/replay/support.ts';
import { errorPattern, fixture, inband } from './inband.ts';

const captures = fixture('two-servers');
const wild = fixture('wild');
/** Measuring the cost of all of them takes a busy machine its time. */
const few = 'auto,ensemble,handshake';

async function evalJson(...args: string[]): Promise<EvalResult> {
  const { code, stdout, stderr } = await inband(['eval', '--json', ...args]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout);
}

describe('inband eval', () => {
  test('prints one object with what each estimator gave and what it cost', async () => {
    const result = await evalJson(captures, '--estimator', few);
    expect(result).toMatchObject({ schema: 'inband.eval/1', window_ms: 100, skipped: [], warnings: [] });
    expect(result.estimators.map(({ estimator }) => estimator)).toEqual([
      'auto',
      'ensemble:smooth:backend',
      'handshake',
    ]);
    for (const { bytes_per_flow, ns_per_packet } of result.estimators) {
      expect(bytes_per_flow).toBeGreaterThan(0);
      expect(Number.isFinite(ns_per_packet)).toBe(true);
    }
    const [capture] = result.captures;
    expect(capture).toMatchObject({
      name: 'two-servers',
      packets: { read: 12_571, client: 12_571, server: 0 },
    });
    const handshake = capture!.rows.find(({ estimator }) => estimator === 'handshake')!;
    expect(handshake).toMatchObject({ samples: 233, matched: 233, within_20_percent: 1 });
  });

  test('prints tables and writes a page', async () => {
    const report = `${temporaryDirectory()}/report.html`;
    const { code, stdout, stderr } = await inband([
      'eval',
      captures,
      '--estimator',
      'ensemble',
      '--report',
      report,
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('Step of s2 at');
    expect(stdout).toContain('bytes per flow');
    expect(stdout).toMatch(new RegExp(`report: ${report}\n$`));
    expect(readFileSync(report, 'utf8')).toContain('<title>inband: Evaluation of two-servers</title>');
  });

  test('gives the same figures in every run, apart from times', async () => {
    const [one, two] = await Promise.all([1, 2].map(() => evalJson(captures, '--estimator', few)));
    expect(one!.captures).toEqual(two!.captures);
  });

  test('takes the truth of both directions from captures that have no other', async () => {
    const result = await evalJson(wild, '--use-server', '--estimator', 'handshake,fixed:1ms');
    expect(result.captures.length).toBeGreaterThan(9);
    expect(result.captures.every(({ exchanges }) => exchanges !== undefined)).toBe(true);
    const turns = Object.fromEntries(result.captures.map(({ name, exchanges }) => [name, exchanges!.turns]));
    expect(turns).toMatchObject({
      'zeek-redis-50-pings': 54,
      'zeek-1000-requests-one-dropped-response': 1000,
      'zeek-django-cloud': 158,
    });
    expect(result.skipped.map(({ path }) => path)).toContain(`${wild}/zeek-one-sided-2745.pcap`);
  });

  test('exits with 4 under --strict if something was left out, and says what', async () => {
    const { code, stdout } = await inband([
      'eval',
      captures,
      fixture('wild/zeek-redis-50-pings.pcap'),
      '--strict',
      ...['--estimator', few],
    ]);
    expect(code).toBe(4);
    expect(stdout).toContain('redis-50-pings.pcap: no truth beside it');
    expect(stdout).toContain('hint: put NAME.truth.csv');
  });
});

describe('inband eval with bad input is one line, a hint, and an exit code', () => {
  test.each<[number, string[], string, string]>([
    [2, [], "missing required argument 'path'", 'inband eval --help'],
    [2, [captures, '--window', '100'], "--window: '100' is not a duration", 'a unit'],
    [2, [captures, '--estimator', 'guess'], "--estimator: 'guess' is not known", 'one or more of'],
    [
      2,
      [captures, '--assign', 'table'],
      "option '--assign <HOW>' argument 'table' is invalid. Allowed choices are flows, dst-mac",
      'inband eval --help',
    ],
    [2, [captures, '--flows', '3'], '--flows: 3 is out of range', 'from 16'],
    [2, [captures, '--report', 'lb.pcap.gz'], '--report: lb.pcap.gz is called like what is read', 'HTML'],
    [1, ['/does/not/exist'], '/does/not/exist: cannot be read (ENOENT)', 'folders'],
    [1, [fixture('pcap/pcapnggen-be-test001.pcapng')], 'no truth beside it', '--use-server'],
    [1, [fixture('pcap/tcpdump-empty.pcap'), '--use-server'], 'no client->server packet of a vip', 'CSV'],
    [
      1,
      [captures, '--estimator', 'handshake', '--report', '/does/not/exist.html'],
      'cannot be written',
      'directory',
    ],
  ])('%i: %j', async (code, args, message, hint) => {
    const outcome = await inband(['eval', ...args]);
    expect({ code: outcome.code, stdout: outcome.stdout }).toEqual({ code, stdout: '' });
    expect(outcome.stderr).toMatch(errorPattern);
    const [what, how] = outcome.stderr.split('\n');
    expect(what).toContain(message);
    expect(how).toContain(hint);
  });
});

test('a folder with nothing but a truth is told what is missing', async () => {
  const path = temporaryFile('lonely.truth.csv', 't_send_ns,rtt_ns,sport,kind\n');
  const { code, stdout, stderr } = await inband(['eval', dirname(path)]);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(errorPattern);
  expect(stderr).toContain('lonely.truth.csv: a truth without its capture');
});
