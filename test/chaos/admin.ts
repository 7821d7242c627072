import { execFileSync } from 'node:child_process';
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { ChangeAnswer } from '../../src/admin/answers.ts';
import { InbandError } from '../../src/errors.ts';
import type { World } from './world.ts';

/** More than the local socket takes. */
const hugeBodyBytes = 1 << 20;
/** How long a request that is no good is waited for. */
const waitMs = 300;

/** What is no configuration. */
const badConfigurations = ['{', '{"interface": "eth0"}', 'vips: 3\n', '\u0000', ''];

export async function badReload(world: World): Promise<string> {
  const { balancer } = world.rig;
  const text = badConfigurations[world.ms(0, badConfigurations.length - 1)]!;
  writeFileSync(balancer.configFile, text);
  const answer = await balancer.post('/reload', {}).catch((error: unknown) => error);
  world.rig.configure(world.pool.configured);
  if (!(answer instanceof InbandError) || answer.code !== 'CONFIG_INVALID') {
    world.fail(`a reload of ${JSON.stringify(text)} was answered with ${String(answer)}`);
  }
  return `a reload of ${JSON.stringify(text)} is refused`;
}

/** Sends bytes to the local socket and resolves with the beginning of the answer, empty if there is none in time. */
function talk(path: string, bytes: Uint8Array): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(path, () => socket.write(bytes));
    socket.setEncoding('latin1').on('data', (part) => {
      text = (text + part).slice(0, 1_000);
      socket.destroy();
    });
    socket.on('error', () => {}).on('close', () => resolve(text));
    setTimeout(() => socket.destroy(), waitMs);
  });
}

const http = (head: string, body: Uint8Array = new Uint8Array()): Uint8Array =>
  Buffer.concat([Buffer.from(`${head}\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`), body]);

export async function abuse(world: World): Promise<string> {
  const { socket } = world.rig.balancer;
  const junk = Uint8Array.from({ length: 2_000 }, () => world.ms(0, 255));
  const cases: [string, Uint8Array][] = [
    ['random bytes', junk],
    ['broken JSON', http('POST /backend HTTP/1.1', Buffer.from('{"backend": '))],
    ['JSON of another shape', http('POST /backend HTTP/1.1', Buffer.from('[1,2,3]'))],
    ['a huge body', http('POST /reload HTTP/1.1', Buffer.alloc(hugeBodyBytes, 0x20))],
    ['an unknown route', http(`GET /${'x'.repeat(world.ms(1, 9_000))} HTTP/1.1`)],
    ['another method', http('DELETE /status HTTP/1.1')],
    [
      'a body that never comes',
      Buffer.from('POST /reload HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n'),
    ],
    ['half a request', Buffer.from('GET /sta')],
  ];
  const [what, bytes] = cases[world.ms(0, cases.length - 1)]!;
  const answer = await talk(socket, bytes);
  if (/^HTTP\/1\.1 2/.test(answer))
    world.fail(`the local socket answers ${what} with ${answer.slice(0, 40)}`);
  return `the local socket gets ${what}: ${answer.split('\r\n')[0] || 'no answer'}`;
}

/** Asks for everything at once, and does not read some of the answers. */
export async function look(world: World): Promise<string> {
  const { balancer } = world.rig;
  const client = world.rig.lab.clients[0]!;
  const paths = [
    ...['/status', '/backends', '/why', '/history', '/flows?limit=50', '/config'],
    `/trace?client=${client.address}:${world.ms(1_024, 65_535)}&vip=${balancer.vip}`,
  ];
  const slowReader = request({ socketPath: balancer.socket, path: '/samples' });
  slowReader.on('error', () => {});
  slowReader.end();
  for (const path of paths) await balancer.get(path);
  setTimeout(() => slowReader.destroy(), 500);
  return 'everything is looked at';
}

/** The disk of the state directory is full for an operation. */
export async function fillDisk(world: World): Promise<string> {
  const [name] = world.pool.configured;
  const { balancer, lab } = world.rig;
  const server = lab.host(name!);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'none', balancer.state]);
  try {
    fill(join(balancer.state, 'filler'));
    const change = { backend: server.address, weight: 7 };
    const answer = await balancer.post<ChangeAnswer>('/backend', change);
    if (answer.kept || !answer.note) world.fail(`a full disk is not told of: ${JSON.stringify(answer)}`);
  } finally {
    execFileSync('umount', ['-l', balancer.state]);
  }
  const weight = world.pool.told(server.name).weight;
  await balancer.post('/backend', { backend: server.address, weight });
  return `the disk is full while ${server.name} gets another weight`;
}

/** Writes to a file until the disk is full. */
export function fill(file: string): void {
  const fd = openSync(file, 'w');
  try {
    for (const size of [4_096, 512, 1]) {
      try {
        for (;;) writeSync(fd, Buffer.alloc(size));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      }
    }
  } finally {
    closeSync(fd);
  }
}
