import { createConnection } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KeyValueServer, talk } from './programs.ts';
import { programsUnavailable, skipAll } from './require.ts';

const unavailable = programsUnavailable('kv');
let server: KeyValueServer;

skipAll(unavailable);

beforeAll(async () => {
  if (!unavailable) server = await KeyValueServer.start();
});
afterAll(() => server?.stop());

/** A conversation: what the client sends, and all that the server answers before it closes. */
const conversations: [string, string, string][] = [
  [
    'answers a set and gives the value back',
    'set a 7 0 3\r\nxyz\r\nget a\r\n',
    'STORED\r\nVALUE a 7 3\r\nxyz\r\nEND\r\n',
  ],
  ['answers a miss', 'get nothing\r\n', 'END\r\n'],
  [
    'leaves misses out of a get of many keys',
    'set b 0 0 1\r\nB\r\nset c 0 0 1\r\nC\r\nget b nil c\r\n',
    'STORED\r\nSTORED\r\nVALUE b 0 1\r\nB\r\nVALUE c 0 1\r\nC\r\nEND\r\n',
  ],
  [
    'adds a number to the header of gets',
    'set d 0 0 1\r\nD\r\ngets d\r\n',
    'STORED\r\nVALUE d 0 1 1\r\nD\r\nEND\r\n',
  ],
  [
    'is silent after noreply',
    'set e 0 0 1 noreply\r\nE\r\nget e\r\ndelete e noreply\r\nget e\r\n',
    'VALUE e 0 1\r\nE\r\nEND\r\nEND\r\n',
  ],
  [
    'deletes what is there',
    'set f 0 0 0\r\n\r\ndelete f\r\ndelete f\r\n',
    'STORED\r\nDELETED\r\nNOT_FOUND\r\n',
  ],
  [
    'replaces a value by a longer one',
    'set g 0 0 1\r\n1\r\nset g 0 0 4\r\n4444\r\nget g\r\n',
    'STORED\r\nSTORED\r\nVALUE g 0 4\r\n4444\r\nEND\r\n',
  ],
  [
    'keeps line ends within a value',
    'set h 0 0 4\r\n\r\n\r\n\r\nget h\r\n',
    'STORED\r\nVALUE h 0 4\r\n\r\n\r\n\r\nEND\r\n',
  ],
  ['takes a line that ends without a carriage return', 'get nothing\n', 'END\r\n'],
  [
    'refuses unknown commands and goes on',
    'incr a 1\r\nget\r\nset a\r\n\r\nversion\r\n',
    'ERROR\r\nERROR\r\nERROR\r\nERROR\r\nVERSION inband-kv\r\n',
  ],
  [
    'refuses a value that is longer than announced',
    'set i 0 0 1\r\nab\r\n',
    'CLIENT_ERROR bad data chunk\r\nERROR\r\n',
  ],
  [
    'skips a value that is too large',
    `set j 0 0 20000\r\n${'x'.repeat(20000)}\r\nget nothing\r\n`,
    'SERVER_ERROR object too large for cache\r\nEND\r\n',
  ],
  [
    'refuses a key that is too long',
    `get ${'k'.repeat(251)}\r\n`,
    'CLIENT_ERROR key too long or too many keys\r\n',
  ],
  [
    'refuses a get of too many keys',
    `get${' k'.repeat(33)}\r\n`,
    'CLIENT_ERROR key too long or too many keys\r\n',
  ],
];

describe('the key-value server', () => {
  test.each(conversations)('%s', async (_, request, reply) => {
    expect(await talk(server.port, `${request}quit\r\n`)).toBe(reply);
  });

  test('closes a connection whose line does not end', async () => {
    expect(await talk(server.port, 'x'.repeat(3000))).toBe('CLIENT_ERROR line too long\r\n');
  });

  test('answers a command that arrives byte by byte', async () => {
    const socket = createConnection({ port: server.port, host: '127.0.0.1', noDelay: true });
    let received = '';
    socket.setEncoding('latin1').on('data', (chunk) => {
      received += chunk;
    });
    for (const byte of 'set bytes 0 0 2\r\nok\r\nget bytes\r\nquit\r\n') {
      socket.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await new Promise((resolve) => socket.once('close', resolve));
    expect(received).toBe('STORED\r\nVALUE bytes 0 2\r\nok\r\nEND\r\n');
  });

  test('gives a client that reads late everything it asked for', async () => {
    const value = 'v'.repeat(16 * 1024);
    const gets = 2000;
    await talk(server.port, `set large 0 0 ${value.length}\r\n${value}\r\nquit\r\n`);
    const socket = createConnection({ port: server.port, host: '127.0.0.1' });
    socket.pause();
    socket.write(`${'get large\r\n'.repeat(gets)}quit\r\n`);
    await new Promise((resolve) => setTimeout(resolve, 100));
    let bytes = 0;
    socket.on('data', (chunk) => {
      bytes += chunk.length;
    });
    socket.resume();
    await new Promise((resolve) => socket.once('close', resolve));
    expect(bytes).toBe(gets * `VALUE large 0 16384\r\n${value}\r\nEND\r\n`.length);
  });

  test('takes its processing delay for each command, one after the other', async () => {
    const commands = 50;
    const timed = async (delayUs: number) => {
      server.setDelay(delayUs);
      const start = performance.now();
      await talk(server.port, `${'get nothing\r\n'.repeat(commands)}quit\r\n`);
      return performance.now() - start;
    };
    expect(await timed(4000)).toBeGreaterThanOrEqual(commands * 4);
    expect(await timed(0)).toBeLessThan(commands * 4);
  });

  test('counts commands, hits and misses', async () => {
    const counts = async () => ({
      get: await server.stat('cmd_get'),
      set: await server.stat('cmd_set'),
      hits: await server.stat('get_hits'),
    });
    const before = await counts();
    await talk(server.port, 'set k 0 0 1\r\nv\r\nget k missing\r\nquit\r\n');
    const after = await counts();
    expect(after).toEqual({ get: before.get + 2, set: before.set + 1, hits: before.hits + 1 });
  });
});
