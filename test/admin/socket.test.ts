import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ask, follow } from '../../src/admin/client.ts';
import { AdminServer } from '../../src/admin/server.ts';

let directory: string;
let path: string;
let server: AdminServer | undefined;
let write: ((line: string) => void) | undefined;
let streams = 0;

const routes = {
  '/status': { json: () => ({ fine: true }) },
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
    expect((await raw('GET', '/nothing')).text).toContain('there is /status, /samples');
    expect(await raw('GET', '/__proto__')).toMatchObject({ status: 404 });
    expect(await raw('POST', '/status', 'x'.repeat(100_000))).toMatchObject({ status: 405 });
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
