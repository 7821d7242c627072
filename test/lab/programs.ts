import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConnectionRecord, LoadCounts, LoadSummary } from '../../src/lab/load.ts';
import { parseLine } from '../../src/lab/load.ts';
import { labProgram } from '../../src/lab/requirements.ts';

const host = '127.0.0.1';

/** Listens on a free port of the loopback interface. */
export async function listen(
  onConnection: (socket: Socket) => void,
): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const { server, port } = await listen(() => {});
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Sends text to a port and returns all that came back: `bytes` of it, or until the other side closes. */
export function talk(port: number, text: string, bytes = Number.POSITIVE_INFINITY): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = '';
    const socket = createConnection({ port, host }, () => socket.write(text));
    socket.setEncoding('latin1').on('data', (chunk) => {
      received += chunk;
      if (received.length >= bytes) socket.destroy();
    });
    socket.on('error', reject).on('close', () => resolve(received));
  });
}

/** The key-value server on a free port of the loopback interface. */
export class KeyValueServer {
  readonly port: number;
  readonly #control: string;
  readonly #directory: string;
  readonly #child: ChildProcess;

  private constructor(port: number, directory: string, child: ChildProcess) {
    this.port = port;
    this.#directory = directory;
    this.#control = join(directory, 'control');
    this.#child = child;
  }

  static async start(...name: string[]): Promise<KeyValueServer> {
    const directory = mkdtempSync(join(tmpdir(), 'inband-kv-'));
    const control = join(directory, 'control');
    writeFileSync(control, Buffer.alloc(8));
    const port = await freePort();
    const child = spawn(labProgram('kv'), [control, host, String(port), ...name], { stdio: 'inherit' });
    const server = new KeyValueServer(port, directory, child);
    for (let attempt = 0; ; attempt += 1) {
      const banner = await talk(port, 'version\r\n', 1).catch(() => '');
      if (banner !== '') return server;
      if (attempt === 200) throw new Error('the key-value server does not answer');
      await sleep(10);
    }
  }

  setDelay(us: number): void {
    writeFileSync(this.#control, new BigUint64Array([BigInt(us) * 1000n]), { flag: 'r+' });
  }

  /** A value of the reply to `stats`. */
  async stat(name: string): Promise<number> {
    const text = await talk(this.port, 'stats\r\nquit\r\n');
    return Number(new RegExp(`STAT ${name} (\\d+)`).exec(text)![1]);
  }

  stop(): void {
    this.#child.kill('SIGKILL');
    rmSync(this.#directory, { recursive: true });
  }
}

export interface LoadOutput {
  intervals: LoadCounts[];
  summary: LoadSummary;
  connections: ConnectionRecord[];
}

/** Runs the load generator against a port of the loopback interface; `meanwhile` gets its process. */
export async function load(
  port: number,
  flags: string[],
  meanwhile: (child: ChildProcess) => void = () => {},
): Promise<LoadOutput> {
  const child = spawn(labProgram('load'), [...flags, host, String(port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  meanwhile(child);
  const code = await new Promise((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`the load generator ended with ${code}`);
  const lines = text.trim().split('\n').map(parseLine);
  const connections = lines.filter((line): line is ConnectionRecord => 'end' in line);
  const counts = lines.filter((line): line is LoadCounts => !('end' in line));
  return { intervals: counts.slice(0, -1), summary: counts.at(-1) as LoadSummary, connections };
}
