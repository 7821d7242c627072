import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ask, askText, follow, post } from '../../src/admin/client.ts';
import { temporaryDirectory } from '../datapath/replay/support.ts';

/** A daemon that answers as told, until the test ends; its socket. */
async function answering(
  answer: (request: IncomingMessage, response: ServerResponse, body: string) => void,
): Promise<{ socket: string; server: Server }> {
  const socket = join(temporaryDirectory(), 'inband.sock');
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    answer(request, response, body);
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { socket, server };
}

describe('who asks for a change', () => {
  it('posts JSON with its length, and gets the answer', async () => {
    const { socket } = await answering((request, response, body) => {
      const { method, url, headers } = request;
      const { 'content-type': type, 'content-length': length } = headers;
      response.end(JSON.stringify({ method, url, type, length, body }));
    });
    const body = { backend: '10.0.0.11', name: 'größer' };
    const text = JSON.stringify(body);
    expect(await post(socket, '/backend', body)).toEqual({
      method: 'POST',
      url: '/backend',
      type: 'application/json',
      length: String(Buffer.byteLength(text)),
      body: text,
    });
  });

  it('hears what is refused as the error that it is', async () => {
    const { socket } = await answering((_, response) => {
      response.statusCode = 422;
      response.end(
        JSON.stringify({
          error: 'lb.yaml: 1 error',
          code: 'CONFIG_INVALID',
          hint: 'mend it',
          details: ['a', 'b'],
        }),
      );
    });
    await expect(post(socket, '/reload', {})).rejects.toMatchObject({
      name: 'InbandError',
      code: 'CONFIG_INVALID',
      exitCode: 3,
      message: 'lb.yaml: 1 error',
      hint: 'mend it',
      details: ['a', 'b'],
    });
  });

  it.each([
    ['no JSON', '<html>'],
    ['no object', '[]'],
    ['no code', '{"error":"x"}'],
    ['a code that nobody knows', '{"error":"x","code":"NOVEL"}'],
    ['a code of no text', '{"error":"x","code":5}'],
    ['an error of no text', '{"error":{},"code":"USAGE"}'],
  ])('takes a refusal with %s for one of another version', async (_, text) => {
    const { socket } = await answering((_request, response) => {
      response.statusCode = 400;
      response.end(text);
    });
    await expect(ask(socket, '/flows')).rejects.toMatchObject({
      code: 'DAEMON_UNREACHABLE',
      message: `${socket}: /flows was answered with 400`,
      details: [],
    });
  });
});

describe('who is told', () => {
  it('says that a daemon died in the middle of its answer', async () => {
    const { socket } = await answering((_, response) => {
      response.write('{"half":');
      setTimeout(() => response.destroy(), 50);
    });
    const asks = [
      () => ask(socket, '/status'),
      () => askText(socket, '/metrics'),
      () => follow(socket, '/frames').next(),
    ];
    for (const asked of asks) {
      await expect(asked()).rejects.toMatchObject({ code: 'DAEMON_UNREACHABLE', exitCode: 1 });
    }
  });

  it('gets lines however they are cut, until the stream ends', async () => {
    const { socket } = await answering((_, response) => {
      response.write('{"n":1}\n{"n"');
      setTimeout(() => response.end(':2}\n'), 20);
    });
    const lines: unknown[] = [];
    for await (const line of follow(socket, '/frames')) lines.push(line);
    expect(lines).toEqual([{ n: 1 }, { n: 2 }]);
  });

  it('is told no more once it says so, and does not keep the daemon busy', async () => {
    const { socket, server } = await answering((_, response) => response.write('{"n":1}\n'));
    const enough = new AbortController();
    const lines = follow(socket, '/frames', enough.signal);
    expect((await lines.next()).value).toEqual({ n: 1 });
    const next = lines.next();
    enough.abort();
    await expect(next).rejects.toMatchObject({ code: 'DAEMON_UNREACHABLE' });
    await expect
      .poll(() => new Promise((resolve) => server.getConnections((_, count) => resolve(count))))
      .toBe(0);
  });
});
