import { request } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { accountOf } from '../chaos/account.ts';
import { patienceMs } from '../chaos/rig.ts';
import { useRig } from './support.ts';

const rig = useRig();

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Asks the local socket, whatever that may be. */
function ask(method: string, path: string, body: string | Buffer = '', headers = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { socket: socketPath } = rig().balancer;
    const asked = request({ socketPath, path, method, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part) => {
        text += part;
      });
      response.once('close', () => resolve({ status: response.statusCode!, body: text }));
    });
    asked.once('error', reject);
    asked.end(body);
  });
}

/** Sends bytes and resolves with what comes back until the daemon closes, or nothing more for a time. */
function talk(bytes: string | Buffer, quietMs: number): Promise<{ text: string; closed: boolean }> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(rig().balancer.socket, () => socket.write(bytes));
    const done = (closed: boolean) => {
      socket.destroy();
      resolve({ text, closed });
    };
    socket.setTimeout(quietMs, () => done(false));
    socket.setEncoding('latin1').on('data', (part) => {
      text += part;
    });
    socket.on('error', () => {}).once('close', () => done(true));
  });
}

/** The daemon is the same one, its loop goes on, and nothing was changed. */
async function alive<T>(happen: () => Promise<T>): Promise<T> {
  const { balancer } = rig();
  const before = await balancer.status();
  const result = await happen();
  const after = await balancer.status();
  expect(after.pid).toBe(before.pid);
  expect(after.control.ticks).toBeGreaterThan(before.control.ticks);
  expect(after.vips[0]!.backends.map(({ weight }) => weight)).toEqual([1, 1]);
  return result;
}

beforeAll(() => rig()?.startLoad({ connections: 8, thinkUs: 500 }));

describe('the local socket, under load', () => {
  test.each([
    ['GET', '/', 404],
    ['GET', '/nothing', 404],
    ['GET', '/../status', 404],
    ['GET', '/constructor', 404],
    ['DELETE', '/status', 405],
    ['POST', '/status', 405],
    ['GET', '/reload', 405],
    ['GET', '/backend', 405],
    ['GET', '/flows?limit=many', 400],
    ['GET', '/flows?nonsense=1', 400],
    ['GET', '/flows?client=nobody', 400],
    ['GET', '/trace', 400],
    ['GET', '/trace?client=1.2.3.4:5&vip=nowhere', 404],
    ['GET', '/trace?client=1.2.3.4:5&vip=1.2.3.4:5/tcp', 404],
  ])('refuses %s %s with %d', (method, path, status) =>
    alive(async () => {
      const answer = await ask(method, path);
      expect(answer.status).toBe(status);
      expect(JSON.parse(answer.body).error).toEqual(expect.any(String));
    }),
  );

  test.each([
    ['no JSON', '{'],
    ['nothing', ''],
    ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x00, 0x80])],
    ['a list', '[]'],
    ['null', 'null'],
    ['a backend that is no text', '{"backend": 7, "weight": 2}'],
    ['a backend that there is not', '{"backend": "10.77.0.99", "weight": 2}'],
    ['a vip that there is not', '{"backend": "10.77.0.11", "vip": "1.2.3.4:5/tcp", "weight": 2}'],
    ['a weight below 0', '{"backend": "10.77.0.11", "weight": -1}'],
    ['a weight that is no number', '{"backend": "10.77.0.11", "weight": "2"}'],
    ['a weight beyond all numbers', '{"backend": "10.77.0.11", "weight": 1e999}'],
    ['a state that there is not', '{"backend": "10.77.0.11", "state": "asleep"}'],
    ['a key that there is not', '{"backend": "10.77.0.11", "weight": 2, "colour": "red"}'],
    ['nothing to change', '{"backend": "10.77.0.11"}'],
    ['a prototype', '{"__proto__": {"state": "drain"}, "backend": "10.77.0.11"}'],
    ['depth without end', '['.repeat(30_000)],
  ])('refuses a change that is %s, and changes nothing', (_, body) =>
    alive(async () => {
      const answer = await ask('POST', '/backend', body);
      expect([400, 404, 422]).toContain(answer.status);
      expect(JSON.parse(answer.body).error).toEqual(expect.any(String));
    }),
  );

  test('refuses a body that is too large, whether it says so before or not', () =>
    alive(async () => {
      const huge = Buffer.alloc(200_000, 0x20);
      expect((await ask('POST', '/reload', huge)).status).toBe(413);
      const head = 'POST /reload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n';
      const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`;
      const { text } = await talk(head + chunk + chunk, 2_000);
      expect(text).toMatch(/^HTTP\/1\.1 413 /);
    }));

  test('refuses what is no HTTP', () =>
    alive(async () => {
      for (const bytes of ['\0\0\0\0\r\n\r\n', 'hello\r\n\r\n', Buffer.alloc(3_000, 0xff)]) {
        const { text, closed } = await talk(bytes, 2_000);
        expect(text).toMatch(/^HTTP\/1\.1 400 |^$/);
        expect(closed).toBe(true);
      }
    }));

  test('cuts off who does not finish a request, and answers others meanwhile', () =>
    alive(async () => {
      const slow = talk('POST /reload HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{', 15_000);
      const silent = talk('GET /sta', 15_000);
      for (let i = 0; i < 10; i++) {
        expect((await ask('GET', '/status')).status).toBe(200);
        await sleep(20);
      }
      for (const { closed, text } of await Promise.all([slow, silent])) {
        expect(closed).toBe(true);
        expect(text).toMatch(/^HTTP\/1\.1 408 |^$/);
      }
    }));

  test('answers again when more have connected than it takes at a time', () =>
    alive(async () => {
      const idle = Array.from({ length: 200 }, () => {
        const socket = connect(rig().balancer.socket);
        return socket.on('error', () => {});
      });
      await sleep(300);
      for (const socket of idle) socket.destroy();
      await sleep(100);
      expect((await ask('GET', '/status')).status).toBe(200);
    }));

  test('forgets who asks for samples and does not read them', () =>
    alive(async () => {
      const head = 'GET /samples HTTP/1.1\r\nHost: x\r\n\r\n';
      const deaf = Array.from({ length: 8 }, () => {
        const socket = connect(rig().balancer.socket, () => socket.write(head));
        return socket.on('error', () => {}).pause();
      });
      await sleep(1_000);
      expect((await ask('GET', '/status')).status).toBe(200);
      for (const socket of deaf) socket.destroy();
    }));

  test('did not cost a connection in all that', async () => {
    const { unexcused, answered } = accountOf(await rig().endLoad(), [], patienceMs * 1e6);
    expect(unexcused).toEqual([]);
    expect(answered).toBeGreaterThan(1_000);
  });
});
