import { spawnSync } from 'node:child_process';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { labProgram } from '../../src/lab/requirements.ts';
import { freePort, KeyValueServer, listen, load } from './programs.ts';
import { programsUnavailable, skipAll } from './require.ts';

const unavailable = programsUnavailable('kv', 'load');
let server: KeyValueServer;

skipAll(unavailable);

beforeAll(async () => {
  if (!unavailable) server = await KeyValueServer.start();
});
afterAll(() => server?.stop());

async function against(onConnection: (socket: Socket) => void, flags: string[]) {
  const fake = await listen(onConnection);
  try {
    return (await load(fake.port, flags)).summary;
  } finally {
    fake.server.close();
  }
}

describe('the load generator', () => {
  test('counts exactly the commands that the server counts', async () => {
    const before = { get: await server.stat('cmd_get'), set: await server.stat('cmd_set') };
    const { summary } = await load(server.port, [
      '--depth',
      '4',
      '--duration-ms',
      '300',
      '--set-ratio',
      '0.3',
    ]);
    expect(summary.errors).toBe(0);
    expect((await server.stat('cmd_get')) - before.get).toBe(summary.get.requests);
    expect((await server.stat('cmd_set')) - before.set).toBe(summary.set.requests);
    expect(summary.requests).toBe(summary.get.requests + summary.set.requests);
    expect(summary.set.requests / summary.requests).toBeCloseTo(0.3, 1);
  });

  test('prints intervals that add up to the summary, on the clock of this process', async () => {
    const start = Number(process.hrtime.bigint());
    const { intervals, summary } = await load(server.port, ['--duration-ms', '300', '--interval-ms', '50']);
    expect(intervals.length).toBeGreaterThanOrEqual(6);
    const sum = (member: 'requests' | 'connects' | 'misses') =>
      intervals.reduce((total, interval) => total + interval[member], 0);
    expect(sum('requests')).toBe(summary.requests);
    expect(sum('connects')).toBe(16);
    expect(sum('misses')).toBe(summary.misses);
    const times = intervals.map((interval) => interval.monoNs);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(times[0]).toBeGreaterThan(start);
    expect(times.at(-1)).toBeLessThan(Number(process.hrtime.bigint()));
  });

  test('reports quantiles in order', async () => {
    const { summary } = await load(server.port, ['--duration-ms', '200']);
    const { p50Us, p95Us, p99Us, maxUs } = summary;
    expect(p50Us).toBeGreaterThan(0);
    expect([p50Us, p95Us, p99Us, maxUs]).toEqual([p50Us!, p95Us!, p99Us!, maxUs!].sort((a, b) => a - b));
  });

  test('connects anew after the number of requests it is told', async () => {
    const flags = ['--connections', '4', '--requests-per-connection', '10', '--duration-ms', '200'];
    const { summary } = await load(server.port, flags);
    expect(summary.errors).toBe(0);
    expect(summary.connects).toBeGreaterThan(8);
    expect(Math.abs(summary.connects - summary.requests / 10)).toBeLessThanOrEqual(4);
  });

  test('lets users think between requests', async () => {
    const flags = ['--connections', '1', '--think-us', '5000', '--duration-ms', '500'];
    const { summary } = await load(server.port, flags);
    expect(summary.requests).toBeGreaterThan(20);
    expect(summary.requests).toBeLessThan(200);
  });

  test('sends at the rate it is told, in the open loop', async () => {
    const { summary } = await load(server.port, ['--rate', '2000', '--duration-ms', '500']);
    expect(Math.abs(summary.requests + summary.unsent - summary.tMs * 2)).toBeLessThanOrEqual(2);
    expect(summary.unsent).toBeLessThan(100);
  });

  test('counts from when a request was due in the open loop, from sending in the closed one', async () => {
    server.setDelay(2000);
    const flags = ['--connections', '1', '--duration-ms', '600'];
    const closed = (await load(server.port, flags)).summary;
    const open = (await load(server.port, [...flags, '--rate', '1000'])).summary;
    server.setDelay(0);
    expect(closed.p50Us).toBeGreaterThanOrEqual(2000);
    expect(closed.p50Us).toBeLessThan(10_000);
    // A server of 500 requests/s falls behind by half a second each second.
    expect(open.p50Us).toBeGreaterThan(50_000);
    expect(open.unsent).toBeGreaterThan(200);
  });

  test('ends at SIGTERM with a summary', async () => {
    const { summary } = await load(server.port, ['--duration-ms', '60000'], (child) =>
      child.stdout!.once('data', () => child.kill('SIGTERM')),
    );
    expect(summary.requests).toBeGreaterThan(0);
    expect(summary.tMs).toBeLessThan(30_000);
  });

  test('counts refused connections and goes on', async () => {
    const { summary } = await load(await freePort(), ['--connections', '2', '--duration-ms', '200']);
    expect(summary.connectFailures).toBeGreaterThan(2);
    expect(summary).toMatchObject({ requests: 0, p50Us: null, errors: summary.connectFailures });
  });

  test('counts closed connections as resets', async () => {
    const summary = await against(
      (socket) => socket.once('data', () => socket.destroy()),
      ['--connections', '2', '--duration-ms', '200'],
    );
    expect(summary.resets).toBeGreaterThan(2);
    expect(summary.errors).toBe(summary.resets);
  });

  test.each([
    ['an error', 'ERROR\r\n'],
    ['a line without end', 'x'.repeat(600)],
    ['a reply to another request', 'VALUE key-99999999 0 1\r\nx\r\nEND\r\n'],
    ['a value of the wrong length', 'VALUE key-00000000 0 1\r\nxyz\r\nEND\r\n'],
    ['more than was asked for', 'END\r\nEND\r\n'],
  ])('counts %s as a wrong reply', async (_, reply) => {
    const flags = ['--connections', '1', '--keys', '1', '--set-ratio', '0', '--duration-ms', '100'];
    const summary = await against((socket) => socket.on('data', () => socket.write(reply)), flags);
    expect(summary.wrongReplies).toBeGreaterThan(0);
    expect(summary.errors).toBe(summary.wrongReplies);
  });

  test('counts a request without a reply as timed out after a second', async () => {
    const summary = await against(
      (socket) => socket.resume(),
      ['--connections', '1', '--depth', '3', '--duration-ms', '100'],
    );
    expect(summary).toMatchObject({ requests: 0, timeouts: 3, errors: 3 });
  });

  test('reads replies that arrive in pieces', async () => {
    const value = 'x'.repeat(64);
    const summary = await against(
      (socket) =>
        socket.on('data', async () => {
          for (const piece of [`VALUE key-00000000 0 ${value.length}\r`, `\n${value}`, '\r\nEND', '\r\n']) {
            socket.write(piece);
            await new Promise((resolve) => setTimeout(resolve, 2));
          }
        }),
      ['--connections', '1', '--keys', '1', '--set-ratio', '0', '--duration-ms', '100'],
    );
    expect(summary.requests).toBeGreaterThan(0);
    expect(summary).toMatchObject({ errors: 0, misses: 0 });
  });

  test('gives a request the time that it is told', async () => {
    const flags = ['--connections', '1', '--duration-ms', '50', '--timeout-ms', '300'];
    const summary = await against((socket) => socket.resume(), flags);
    expect(summary).toMatchObject({ requests: 0, timeouts: 1 });
    expect(summary.monoNs).toBeGreaterThan(0);
  });

  test.each([
    [['--connections', '0'], /connections: '0' is not an integer from 1 to 4096/],
    [['--set-ratio', '2'], /set-ratio: '2' is not a number from 0 to 1/],
    [['--rate', '100', '--think-us', '5'], /--think-us is for the closed loop/],
    [['--bind', 'here'], /'here' is not an IPv4 address/],
    [['--depth', '1x'], /depth/],
  ])('refuses %j with one line', (flags, message) => {
    const { status, stderr } = spawnSync(labProgram('load'), [...flags, '127.0.0.1', '1'], {
      encoding: 'utf8',
    });
    expect(status).toBe(1);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});

describe('the account of connections', () => {
  const accountAgainst = async (onConnection: (socket: Socket) => void, flags: string[]) => {
    const fake = await listen(onConnection);
    try {
      return await load(fake.port, ['--account', ...flags]);
    } finally {
      fake.server.close();
    }
  };

  test('names the server of each, and adds up to what was counted', async () => {
    const named = await KeyValueServer.start('s7');
    const flags = ['--connections', '4', '--requests-per-connection', '25', '--duration-ms', '200'];
    const { connections, summary } = await load(named.port, [...flags, '--account']);
    named.stop();
    expect(summary.errors).toBe(0);
    expect(connections.length).toBe(summary.connects);
    const answered = connections.map((connection) => connection.answered);
    expect(answered.reduce((sum, count) => sum + count)).toBe(summary.requests);
    for (const { end, server, port, lost, startedNs, endedNs, answered } of connections) {
      expect({ server, lost }).toEqual({ server: 's7', lost: 0 });
      expect(port).toBeGreaterThan(0);
      expect(endedNs).toBeGreaterThan(startedNs);
      expect(end).toBe(answered === 25 ? 'completed' : 'kept');
    }
    expect(connections.filter(({ end }) => end === 'kept').length).toBeLessThanOrEqual(4);
  });

  test('keeps those that are never made anew', async () => {
    const flags = ['--connections', '3', '--depth', '2', '--duration-ms', '100', '--account'];
    const { connections, summary } = await load(server.port, flags);
    expect(connections.map(({ end }) => end)).toEqual(['kept', 'kept', 'kept']);
    expect(connections.reduce((sum, { answered }) => sum + answered, 0)).toBe(summary.requests);
  });

  test('says of those that were closed what was lost', async () => {
    const onConnection = (socket: Socket) =>
      socket.on('data', (data) => {
        if (data.includes('version')) socket.write('VERSION fake s1\r\n');
        else socket.destroy();
      });
    const flags = ['--connections', '1', '--depth', '2', '--set-ratio', '0', '--duration-ms', '50'];
    const { connections, summary } = await accountAgainst(onConnection, flags);
    const broken = connections.filter(({ end }) => end === 'reset');
    expect(broken.length).toBeGreaterThan(0);
    expect(broken.reduce((sum, { lost }) => sum + lost, 0)).toBe(summary.resets);
    expect(broken[0]).toMatchObject({ server: 's1', answered: 0, lost: 2 });
  });

  test('says of those that got no answer that they timed out, without a name', async () => {
    const flags = ['--connections', '2', '--duration-ms', '50', '--timeout-ms', '200'];
    const { connections } = await accountAgainst((socket) => socket.resume(), flags);
    expect(connections).toHaveLength(2);
    expect(connections[0]).toMatchObject({ end: 'timed_out', server: '', answered: 0, lost: 1 });
  });

  test('counts what could not be made', async () => {
    const { connections, summary } = await load(await freePort(), [
      ...['--connections', '1', '--duration-ms', '100', '--account'],
    ]);
    expect(connections.length).toBe(summary.connectFailures);
    expect(new Set(connections.map(({ end }) => end))).toEqual(new Set(['connect_failed']));
  });

  test.each(['VERSION a"b\r\n', `VERSION ${'x'.repeat(40)}\r\n`])(
    'has no name for a server that calls itself %j',
    async (version) => {
      const onConnection = (socket: Socket) => socket.once('data', () => socket.write(version));
      const flags = ['--connections', '1', '--duration-ms', '50', '--timeout-ms', '100'];
      const { connections } = await accountAgainst(onConnection, flags);
      expect(connections[0]!.server).toBe('');
    },
  );
});
