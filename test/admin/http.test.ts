import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { formatListen, HttpListener, isLoopback, parseListen } from '../../src/admin/listen.ts';

let server: HttpListener | undefined;
let port: number;
let taken = 0;
let write: ((line: string) => void) | undefined;

/** Parts without end, counted as they are taken. */
async function* endless() {
  for (;;) {
    taken++;
    yield 'x'.repeat(65_536);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function* broken() {
  yield 'first';
  throw new Error('no more');
}

async function* parts() {
  yield 'one ';
  yield 'two';
}

const routes = {
  '/': { type: 'text/html; charset=utf-8', text: () => '<p>page</p>', policy: "script-src 'self'" },
  '/json': { json: () => ({ fine: true }) },
  '/parts': { type: 'text/plain', text: parts },
  '/endless': { type: 'text/plain', text: endless },
  '/broken': { type: 'text/plain', text: broken },
  '/events': {
    type: 'text/event-stream',
    stream: (writer: (line: string) => void) => {
      write = writer;
      return () => {
        write = undefined;
      };
    },
  },
};

beforeEach(async () => {
  taken = 0;
  server = await HttpListener.listen({ address: '127.0.0.1', port: 0 }, routes);
  port = Number(new URL(server.url).port);
});

afterEach(async () => {
  await server?.close();
  server = undefined;
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

function ask(path: string, options: { method?: string; host?: string; body?: string } = {}): Promise<Answer> {
  const { method = 'GET', host = `127.0.0.1:${port}`, body } = options;
  const headers = { host, ...(body !== undefined && { 'content-length': String(body.length) }) };
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, method, headers }, async (response) => {
      let text = '';
      try {
        for await (const chunk of response) text += chunk;
      } catch (error) {
        reject(error);
        return;
      }
      resolve({ status: response.statusCode!, headers: response.headers, text });
    });
    asked.once('error', reject);
    asked.end(body);
  });
}

/** What comes back for bytes, until the server hangs up. */
function send(bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    socket.on('error', () => {}).on('close', () => resolve(text));
  });
}

const isFine = async () => expect((await ask('/json')).text).toBe('{"fine":true}\n');

describe('HTTP over TCP', () => {
  it('answers known paths, with nothing to be kept and nothing to be loaded', async () => {
    const { status, headers, text } = await ask('/json');
    expect([status, text]).toEqual([200, '{"fine":true}\n']);
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'",
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    });
    const page = await ask('/');
    expect(page.headers['content-security-policy']).toBe("script-src 'self'");
    expect((await ask('/parts')).text).toBe('one two');
  });

  it('refuses other paths, methods and bodies, and goes on', async () => {
    expect((await ask('/status')).status).toBe(404);
    expect((await ask('/constructor')).status).toBe(404);
    expect((await ask('/json', { method: 'POST', body: 'x' })).status).toBe(405);
    expect((await ask('/json', { method: 'DELETE' })).status).toBe(405);
    expect((await ask('/json', { body: 'x'.repeat(1_000) })).status).toBe(413);
    const chunked = 'GET /json HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n';
    expect(await send(chunked)).toMatch(/^HTTP\/1\.1 413 /);
    await isFine();
  });

  it.each([
    `GET /json HTTP/1.1\r\nhost: localhost\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`,
    `GET /${'y'.repeat(20_000)} HTTP/1.1\r\nhost: localhost\r\n\r\n`,
  ])('refuses a request that is too long', async (bytes) => {
    expect(await send(bytes)).toMatch(/^HTTP\/1\.1 431 /);
    await isFine();
  });

  it('refuses what is not HTTP', async () => {
    expect(await send('\u0000\u0001 nonsense\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
    await isFine();
  });

  it.each(['rebound.example', 'rebound.example:80', '10.0.0.1', 'localhost.evil.example', '[fe80::1]'])(
    'does not answer a page that calls this machine %j',
    async (host) => {
      expect((await ask('/json', { host })).status).toBe(403);
    },
  );

  it.each(['localhost', 'LOCALHOST:9464', '127.0.0.1', '127.8.8.8:1', '[::1]:9464'])(
    'answers who calls it %s',
    async (host) => {
      expect((await ask('/json', { host })).status).toBe(200);
    },
  );

  it('makes no more of an answer than the client takes', async () => {
    const socket = connect(port, '127.0.0.1', () =>
      socket.write('GET /endless HTTP/1.1\r\nhost: localhost\r\n\r\n'),
    );
    socket.pause();
    await expect.poll(() => taken).toBeGreaterThan(1);
    let before = -1;
    await expect
      .poll(
        () => {
          const isSame = taken === before;
          before = taken;
          return isSame;
        },
        { timeout: 5_000, interval: 200 },
      )
      .toBe(true);
    await isFine();
    socket.destroy();
    const stopped = taken;
    await isFine();
    expect(taken - stopped).toBeLessThan(3);
  });

  it('cuts an answer off that it cannot complete', async () => {
    await expect(ask('/broken')).rejects.toThrow();
    await isFine();
  });

  it('stops the source of events when the client goes', async () => {
    const got = new Promise<string>((resolve) => {
      const asked = request({ host: '127.0.0.1', port, path: '/events' }, (response) => {
        expect(response.headers['content-type']).toBe('text/event-stream');
        response.setEncoding('utf8').once('data', (text: string) => {
          resolve(text);
          asked.destroy();
        });
      });
      asked.on('error', () => {}).end();
    });
    await expect.poll(() => write !== undefined).toBe(true);
    write!('data: 1\n\n');
    expect(await got).toBe('data: 1\n\n');
    await expect.poll(() => write).toBeUndefined();
  });

  it('says why it cannot listen', async () => {
    await expect(HttpListener.listen({ address: '127.0.0.1', port }, routes)).rejects.toMatchObject({
      code: 'ALREADY_RUNNING',
      message: expect.stringContaining(`--http 127.0.0.1:${port}: `),
      hint: 'give another port, or 0 for any that is free',
    });
    await expect(HttpListener.listen({ address: '192.0.2.1', port: 0 }, routes)).rejects.toMatchObject({
      code: 'ENVIRONMENT',
      hint: 'give an address of this machine, such as 127.0.0.1',
    });
  });
});

describe('an address to listen on', () => {
  it.each(['127.0.0.1:9464', '[::1]:9464', '0.0.0.0:0', '[2001:db8::1]:65535'])(
    'is read and written: %s',
    (text) => {
      expect(formatListen(parseListen(text, '--http'))).toBe(text);
    },
  );

  it.each([
    '127.0.0.1',
    '::1:9464',
    ':9464',
    'localhost:9464',
    '127.0.0.1:65536',
    '127.0.0.1:',
    '[127.0.0.1]:1',
    '127.0.0.1:9464/tcp',
    '',
  ])('is not %j', (text) => {
    expect(() => parseListen(text, '--http')).toThrow(`--http: '${text}' is not ADDR:PORT`);
  });

  it('is loopback or is reached by others', () => {
    const all = [
      '127.0.0.1:1',
      '127.255.0.9:1',
      '[::1]:1',
      '0.0.0.0:1',
      '[::]:1',
      '10.0.0.1:1',
      '[::ffff:127.0.0.1]:1',
    ];
    expect(all.filter((text) => isLoopback(parseListen(text, '')))).toEqual(all.slice(0, 3));
  });
});
