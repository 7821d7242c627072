import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ask, follow, post } from '../../src/admin/client.ts';
import { type Asker, bodyBytesMax } from '../../src/admin/http.ts';
import { checked } from '../../src/admin/refusal.ts';
import { AdminServer } from '../../src/admin/server.ts';
import { InbandError } from '../../src/errors.ts';

let directory: string;
let path: string;
let server: AdminServer | undefined;
let write: ((line: string) => void) | undefined;
let streams = 0;

const schema = z.strictObject({ weight: z.number().min(0) });

const routes = {
  '/status': { json: () => ({ fine: true }) },
  '/later': { json: async ({ query }: Asker) => ({ ...Object.fromEntries(query), waited: await 1 }) },
  '/refused': {
    json: () => {
      throw new InbandError('CONFIG_INVALID', 'lb.yaml: 1 error', { hint: 'look', details: ['line 1'] });
    },
  },
  '/broken': {
    json: () => {
      throw new TypeError('a fault of the daemon');
    },
  },
  '/change': {
    post: async (body: unknown) => ({ took: checked(schema, body, 'the body') }),
  },
  '/samples': {
    stream: (writer: (line: string) => void) => {
      write = writer;
      streams++;
      return () => {
        streams--;
      };
    },
  },
};

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'inband-admin-'));
  path = join(directory, 'deep', 'inband.sock');
  streams = 0;
  server = await AdminServer.listen(path, routes);
});

afterEach(async () => {
  await server?.close();
  server = undefined;
  rmSync(directory, { recursive: true });
});

/** Status and body of any request. */
function raw(method: string, url: string, body = ''): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: path, path: url, method }, async (response) => {
      let text = '';
      for await (const chunk of response) text += chunk;
      resolve({ status: response.statusCode!, text });
    });
    asked.once('error', reject);
    asked.end(body);
  });
}

describe('the local socket', () => {
  it('is open to nobody but its user', () => {
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('answers a known path with JSON', async () => {
    expect(await ask(path, '/status')).toEqual({ fine: true });
  });

  it('refuses unknown paths, other methods and inherited names, and goes on', async () => {
    expect(await raw('GET', '/nothing')).toMatchObject({ status: 404 });
    expect((await raw('GET', '/nothing')).text).toContain('there is /status, /later');
    expect(await raw('GET', '/__proto__')).toMatchObject({ status: 404 });
    expect(await raw('POST', '/status', 'x'.repeat(100_000))).toMatchObject({ status: 405 });
    expect(await ask(path, '/status')).toEqual({ fine: true });
  });

  it('changes what a body asks for, and tells every mistake of one', async () => {
    expect(await post(path, '/change', { weight: 3 })).toEqual({ took: { weight: 3 } });
    await expect(post(path, '/change', { weight: -1, wait: 1 })).rejects.toMatchObject({
      code: 'USAGE',
      exitCode: 2,
      message: 'the body: weight: -1 is too small; give at least 0',
      details: ['wait: unknown key; there is weight'],
    });
    expect(await raw('GET', '/change')).toMatchObject({ status: 405 });
    expect(await ask(path, '/status')).toEqual({ fine: true });
  });

  it.each([
    ['', 'the body is no JSON'],
    ['{"weight":', 'the body is no JSON'],
    ['\u0000', 'the body is no JSON'],
    ['[]', 'the body: expected a mapping, found a list'],
    ['"weight"', "the body: expected a mapping, found 'weight'"],
    ['{"__proto__":{"weight":1}}', 'the body: weight: missing'],
  ])('refuses the body %j', async (body, error) => {
    const { status, text } = await raw('POST', '/change', body);
    expect(status).toBe(400);
    expect(JSON.parse(text)).toMatchObject({ code: 'USAGE', error });
    expect(await ask(path, '/status')).toEqual({ fine: true });
  });

  it('reads no more of a body than is allowed, whether or not it says how long it is', async () => {
    const body = JSON.stringify({ weight: 1, pad: 'x'.repeat(bodyBytesMax) });
    const announced = await raw('POST', '/change', body);
    expect([announced.status, JSON.parse(announced.text).error]).toEqual([
      413,
      `a body has at most ${bodyBytesMax} bytes`,
    ]);
    const chunked = await new Promise<number>((resolve, reject) => {
      const asked = request({ socketPath: path, path: '/change', method: 'POST' }, (response) => {
        response.resume();
        resolve(response.statusCode!);
        asked.destroy();
      });
      asked.on('error', reject);
      asked.write(body.slice(0, bodyBytesMax));
      asked.write(body.slice(bodyBytesMax));
    });
    expect(chunked).toBe(413);
    expect(await ask(path, '/status')).toEqual({ fine: true });
  });

  it('outlives a client that goes away in the middle of its body', async () => {
    await new Promise<void>((resolve) => {
      const asked = request({ socketPath: path, path: '/change', method: 'POST' });
      asked.on('error', () => {});
      asked.on('close', resolve);
      asked.write('{"weight":');
      setTimeout(() => asked.destroy(), 50);
    });
    expect(await ask(path, '/status')).toEqual({ fine: true });
  });

  it('hands queries on and waits for answers that take their time', async () => {
    expect(await ask(path, '/later?a=1&b=%2F')).toEqual({ a: '1', b: '/', waited: 1 });
  });

  it('tells a refusal with its code, hint and details, and a fault of its own without harm', async () => {
    await expect(ask(path, '/refused')).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      exitCode: 3,
      message: 'lb.yaml: 1 error',
      hint: 'look',
      details: ['line 1'],
    });
    expect(await raw('GET', '/broken')).toMatchObject({
      status: 500,
      text: '{"error":"internal error: a fault of the daemon"}\n',
    });
    expect(await ask(path, '/status')).toEqual({ fine: true });
  });

  it('survives what is not HTTP', async () => {
    const { connect } = await import('node:net');
    await new Promise<void>((resolve) => {
      const socket = connect(path, () => socket.write('\u0000\u0001 nonsense\r\n\r\n'));
      socket.resume();
      socket.on('close', () => resolve());
      socket.on('error', () => {});
    });
    expect(await ask(path, '/status')).toEqual({ fine: true });
  });

  it('streams lines until the reader goes, and then stops its source', async () => {
    const lines = follow<{ n: number }>(path, '/samples');
    const first = lines.next();
    await expect.poll(() => streams).toBe(1);
    write!('{"n":1}\n{"n":2}\n');
    expect((await first).value).toEqual({ n: 1 });
    expect((await lines.next()).value).toEqual({ n: 2 });
    await lines.return();
    await expect.poll(() => streams).toBe(0);
  });

  it('loses lines for a reader that is too slow instead of holding them', async () => {
    await new Promise<void>((resolve) => {
      const asked = request({ socketPath: path, path: '/samples' }, (response) => {
        response.pause();
        resolve();
      });
      asked.end();
    });
    const line = `{"n":"${'x'.repeat(1000)}"}\n`;
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 100_000; i++) write!(line);
    expect(process.memoryUsage().rss - before).toBeLessThan(50e6);
  });

  it('does not push out a daemon that answers', async () => {
    await expect(AdminServer.listen(path, routes)).rejects.toMatchObject({
      code: 'ALREADY_RUNNING',
      exitCode: 7,
    });
    expect(await ask(path, '/status')).toEqual({ fine: true });
  });

  it('takes the place of a socket that nobody listens on any more', async () => {
    await server!.close();
    writeFileSync(path, '');
    server = await AdminServer.listen(path, routes);
    expect(await ask(path, '/status')).toEqual({ fine: true });
  });

  it('is gone after close', async () => {
    await server!.close();
    server = undefined;
    await expect(ask(path, '/status')).rejects.toMatchObject({ code: 'DAEMON_UNREACHABLE', exitCode: 1 });
  });
});

describe('the client', () => {
  it('says which path cannot be listened on', async () => {
    const file = join(directory, 'file');
    writeFileSync(file, '');
    await expect(AdminServer.listen(join(file, 'inband.sock'), routes)).rejects.toMatchObject({
      code: 'ENVIRONMENT',
    });
  });

  it('tells an answer that is no good from none', async () => {
    await expect(ask(path, '/other')).rejects.toThrow('/other was answered with 404');
  });

  it('gives up on a daemon that hangs up', async () => {
    const other = join(directory, 'other.sock');
    const silent = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => silent.listen(other, resolve));
    await expect(ask(other, '/status')).rejects.toMatchObject({ code: 'DAEMON_UNREACHABLE' });
    silent.close();
  });
});
