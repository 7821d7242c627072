import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { evaluate } from '../../../../src/datapath/replay/eval/eval.ts';
import type { EvalCapture } from '../../../../src/datapath/replay/eval/result.ts';
import { CaptureWriter } from '../../../../src/pcap/writer.ts';
import { frameOf, type Segment, syn, synAck, temporaryDirectory } from '../support.ts';
import { options } from './support.ts';

const fixture = (name: string) => new URL(`../../../fixtures/${name}`, import.meta.url).pathname;
const twoServers = fixture('two-servers');

const row = ({ rows }: EvalCapture, estimator: string) => rows.find((one) => one.estimator === estimator)!;

describe('two servers, one of which becomes 1 ms slower', async () => {
  const { result, timelines } = await evaluate(options([twoServers]), 'none');
  const [capture] = result.captures;

  test('the capture is called after its folder, and its flows belong to the servers in flows.csv', () => {
    expect(result.skipped).toEqual([]);
    expect(capture).toMatchObject({ name: 'two-servers', backends: ['s2', 's1'], warnings: [] });
    expect(capture!.truth.source).toBe(`${twoServers}/truth.csv.gz`);
    expect(capture!.truth.handshakes).toBeGreaterThan(100);
  });

  test('a handshake is compared with handshakes, and is right', () => {
    const handshake = row(capture!, 'handshake');
    expect(handshake.matched).toBe(handshake.samples);
    expect(handshake.within_20_percent).toBe(1);
    expect(handshake.window_error_p90).toBeLessThan(0.02);
  });

  test('windows are those of each server', () => {
    const ensemble = row(capture!, 'ensemble:smooth:backend');
    expect(ensemble.truth_windows).toBeGreaterThan(40);
    expect(ensemble.windows).toBeLessThanOrEqual(ensemble.truth_windows);
  });

  test('the step of the slower server is found, and nobody else’s', () => {
    expect(capture!.steps.map(({ backend }) => backend)).toEqual(['s2']);
    const found = capture!.steps[0]!.rows.find(({ estimator }) => estimator === 'handshake')!;
    expect((found.truth_after_ns! - found.truth_before_ns!) / 1e6).toBeCloseTo(1, 1);
    expect((found.after_ns! - found.before_ns!) / 1e6).toBeCloseTo(1, 1);
    expect(found.seen_after_windows).toBeLessThanOrEqual(2);
  });

  test('the picture has both servers in order, with the step marked at one of them', () => {
    expect(timelines[0]!.backends.map(({ backend, stepS }) => [backend, stepS !== undefined])).toEqual([
      ['s1', false],
      ['s2', true],
    ]);
    const [s1] = timelines[0]!.backends;
    expect(s1!.truth.timeS.length).toBeGreaterThan(20);
    expect(s1!.estimates.map(({ estimator }) => estimator)).toEqual(['handshake', 'ensemble:smooth:backend']);
  });

  test('without flows.csv a vip is one backend, or each destination MAC address', async () => {
    const folder = temporaryDirectory();
    for (const name of ['lb.pcap.gz', 'truth.csv.gz'])
      copyFileSync(`${twoServers}/${name}`, `${folder}/${name}`);
    const names = async (assign: 'flows' | 'dst-mac') =>
      (await evaluate(options([folder], { assign }), 'none')).result.captures[0]!.backends;
    expect(await names('flows')).toEqual(['10.77.0.100:11211/tcp']);
    expect(await names('dst-mac')).toEqual(['02:00:00:00:00:02']);
  });

  test('shorter windows are more windows', async () => {
    const short = await evaluate(options([twoServers], { windowNs: 50e6 as never }), 'none');
    expect(short.result.window_ms).toBe(50);
    const [more, fewer] = [short.result.captures[0]!, capture!].map(
      (one) => row(one, 'ensemble:smooth:backend').truth_windows,
    );
    expect(more).toBeGreaterThan(1.5 * fewer!);
  });
});

/** A client that thinks for longer acknowledges a response after this time. */
const delayedAckMs = 40;

/** A closed loop of `count` requests, each answered after `latencyMs`, then acknowledged by the next. */
function closedLoop(
  path: string,
  count: number,
  latencyMs: (i: number) => number,
  isOneSided = false,
  thinkMs = 0.01,
): void {
  const [client, server] = ['10.0.0.9:4000', '10.0.0.1:80'];
  const writer = CaptureWriter.toFile(path, { timeBaseS: 1_700_000_000 });
  const write = (segment: Omit<Segment, 'from' | 'to'>, atMs: number, isFromServer = false) => {
    if (isFromServer && isOneSided) return;
    const [from, to] = isFromServer ? [server, client] : [client, server];
    writer.write(frameOf({ from, to, ...segment }), atMs * 1e6);
  };
  write({ flags: syn, seq: 99 }, 0);
  write({ flags: synAck, seq: 499, ack: 100 }, 0.2, true);
  write({ seq: 100, ack: 500 }, 0.25);
  let now = 1;
  for (let i = 0; i < count; i++) {
    write({ seq: 100 + 10 * i, ack: 500 + 50 * i, payloadBytes: 10 }, now);
    now += latencyMs(i);
    write({ seq: 500 + 50 * i, ack: 110 + 10 * i, payloadBytes: 50 }, now, true);
    if (thinkMs > delayedAckMs) write({ seq: 110 + 10 * i, ack: 550 + 50 * i }, now + delayedAckMs);
    now += thinkMs;
  }
  write({ seq: 100 + 10 * count, ack: 500 + 50 * count }, now);
  writer.close();
}

describe('the truth of both directions', () => {
  test('is compared with estimates that saw one direction', async () => {
    const path = `${temporaryDirectory()}/loop.pcap`;
    closedLoop(path, 50, () => 2);
    const { result } = await evaluate(
      options([path], { useServer: true, estimators: ['fixed:256us'] }),
      'none',
    );
    const [capture] = result.captures;
    expect(capture).toMatchObject({
      truth: { source: 'both directions of the capture', responses: 50, handshakes: 1, p50_ns: 2e6 },
      exchanges: { turns: 50, countable: 50 },
    });
    const fixed = row(capture!, 'fixed:256us');
    expect(fixed.exchanges_matched).toBe(1);
    expect(fixed.error_ns.p50).toBeCloseTo(10e3);
  });

  test('a real one has the turns that others counted, and estimators see nothing of the server', async () => {
    const path = fixture('wild/zeek-redis-50-pings.pcap');
    const { result } = await evaluate(options([path], { useServer: true }), 'none');
    expect(result.captures[0]).toMatchObject({
      packets: { client: 58, server: 58 },
      exchanges: { turns: 54, countable: 54 },
    });
  });

  test('an estimator of several kinds has a row of what is used of them, and one for each', async () => {
    const path = `${temporaryDirectory()}/loop.pcap`;
    closedLoop(path, 400, (i) => 1 + (i % 3));
    const { result } = await evaluate(options([path], { useServer: true, estimators: ['auto'] }), 'none');
    const [whole, ...kinds] = result.captures[0]!.rows;
    expect(whole).toMatchObject({ estimator: 'auto', kind: null, exchanges_told: 1 });
    expect(kinds.map(({ kind }) => kind)).toEqual(result.estimators[0]!.kinds);
    const request = kinds.find(({ kind }) => kind === 'request')!;
    expect(request.exchanges_matched).toBeGreaterThan(0.99);
    expect(request.exchanges_told).toBeUndefined();
    expect(whole!.samples).toBe(request.samples);
    expect(whole!.p95_absolute_relative_error).toBeLessThan(0.02);
  });

  test('turns whose responses are acknowledged late are told of, though they give no samples', async () => {
    const path = `${temporaryDirectory()}/think.pcap`;
    closedLoop(path, 200, () => 1, false, 60);
    const { result } = await evaluate(options([path], { useServer: true, estimators: ['auto'] }), 'none');
    const [whole] = result.captures[0]!.rows;
    expect(whole!.exchanges_told).toBe(1);
    expect(whole!.exchanges_matched).toBeLessThan(0.2);
  });

  test('hidden server packets leave samples as they are', async () => {
    const folder = temporaryDirectory();
    mkdirSync(`${folder}/b`);
    closedLoop(`${folder}/a.pcap`, 50, (i) => 1 + (i % 7));
    closedLoop(`${folder}/b/a.pcap`, 50, (i) => 1 + (i % 7), true);
    const truth = 'client_port,req_index,t_send_ns,t_first_byte_ns,t_last_byte_ns\n';
    const rows = '4000,0,1700000000001000000,1700000000002000000,1700000000002000000\n';
    for (const name of ['a', 'b/a']) writeFileSync(`${folder}/${name}.truth.csv`, truth + rows);
    const { result } = await evaluate(
      options([folder], { estimators: ['handshake', 'fixed:256us'] }),
      'none',
    );
    const [two, one] = result.captures;
    expect(two!.packets.server).toBe(51);
    expect(one!.packets.server).toBe(0);
    expect(two!.rows).toEqual(one!.rows);
  });
});

describe('what cannot be evaluated', () => {
  /** A folder with one good capture and these files beside it. */
  function folderWith(files: Record<string, string | Uint8Array>): string {
    const folder = temporaryDirectory();
    closedLoop(`${folder}/good.pcap`, 5, () => 1);
    const row = '4000,0,1700000000001000000,1700000000002000000,1700000000002000000';
    const header = 'client_port,req_index,t_send_ns,t_first_byte_ns,t_last_byte_ns';
    writeFileSync(`${folder}/good.truth.csv`, `${header}\n${row}\n`);
    for (const [name, content] of Object.entries(files)) writeFileSync(`${folder}/${name}`, content);
    return folder;
  }

  test.each([
    ['a capture without a truth', { 'bad.pcap': 'x' }, 'bad.pcap', 'no truth beside it'],
    ['a truth without a capture', { 'bad.truth.csv': 'x' }, 'bad.truth.csv', 'a truth without its capture'],
    [
      'what is no capture',
      { 'bad.pcap': 'no packets at all, only text', 'bad.truth.csv': 'x' },
      'bad.pcap',
      "unknown columns 'x'",
    ],
    [
      'a truth with a broken row',
      { 'bad.pcap': '', 'bad.truth.csv': 't_send_ns,rtt_ns,sport,kind\n1,2\n' },
      'bad.pcap',
      "bad.truth.csv:2: not a row of these columns: '1,2'",
    ],
  ])('%s is told, and the others are evaluated', async (_, files, name, reason) => {
    const folder = folderWith(files as unknown as Record<string, string>);
    const { result } = await evaluate(options([folder]), 'none');
    expect(result.captures.map(({ name }) => name)).toEqual(['good']);
    expect(result.skipped).toHaveLength(1);
    expect(result.skipped[0]!.path).toBe(`${folder}/${name}`);
    expect(result.skipped[0]!.reason).toContain(reason);
    expect(result.skipped[0]!.hint).toBeTruthy();
    expect(result.warnings).toHaveLength(1);
  });

  test('a capture that is no capture is told', async () => {
    const truth = 't_send_ns,rtt_ns,sport,kind\n';
    const folder = folderWith({ 'bad.pcap': 'no packets at all, only text', 'bad.truth.csv': truth });
    const { result } = await evaluate(options([folder]), 'none');
    expect(result.skipped).toMatchObject([{ path: `${folder}/bad.pcap` }]);
  });

  test('a capture of one direction has no truth of its own', async () => {
    const path = `${temporaryDirectory()}/one.pcap`;
    closedLoop(path, 5, () => 1, true);
    await expect(evaluate(options([path], { useServer: true }), 'none')).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
      message: `${path}: no server->client packet to take the truth from`,
    });
  });

  test('if there is nothing else, the first reason is the error', async () => {
    const path = `${temporaryDirectory()}/one.pcap`;
    closedLoop(path, 5, () => 1);
    await expect(evaluate(options([path]), 'none')).rejects.toMatchObject({
      message: `${path}: no truth beside it`,
      hint: expect.stringContaining('--use-server'),
    });
  });

  test('a damaged capture is evaluated as far as it goes, with a warning', async () => {
    const folder = temporaryDirectory();
    const whole = gunzipSync(readFileSync(`${twoServers}/lb.pcap.gz`));
    writeFileSync(`${folder}/lb.pcap`, whole.subarray(0, whole.length / 2 + 7));
    copyFileSync(`${twoServers}/truth.csv.gz`, `${folder}/truth.csv.gz`);
    const { result } = await evaluate(options([folder]), 'none');
    expect(result.captures[0]!.rows[0]!.samples).toBeGreaterThan(10);
    expect(result.warnings).toHaveLength(1);
    expect(result.warnings[0]).toContain('lb.pcap');
  });

  test('an estimator that is not known is named', async () => {
    const wrong = evaluate(options([twoServers], { estimators: ['guess'] }), 'none');
    await expect(wrong).rejects.toMatchObject({ code: 'USAGE', message: "estimator: 'guess' is not known" });
  });

  test('a table that is too small is told', async () => {
    const path = `${temporaryDirectory()}/crowd.pcap`;
    const to = '10.0.0.1:80';
    const writer = CaptureWriter.toFile(path, { timeBaseS: 1_700_000_000 });
    for (let i = 0; i < 300; i++) {
      const from = `10.0.0.9:${4000 + i}`;
      writer.write(frameOf({ from, to, flags: syn, seq: 99 }), i * 1e6);
      writer.write(frameOf({ from: to, to: from, flags: synAck, seq: 499, ack: 100 }), i * 1e6 + 100);
      writer.write(frameOf({ from, to, seq: 100, ack: 500 }), i * 1e6 + 200);
    }
    writer.close();
    const { result } = await evaluate(options([path], { flows: 16, useServer: true }), 'none');
    expect(result.warnings.join()).toContain('give more with --flows');
  });
});
