import { createServer, type IncomingMessage, type Server } from 'node:http';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { BackendAnswer, ChangeAnswer, ChangeRequest } from '../../src/admin/answers.ts';
import { temporaryDirectory } from '../datapath/replay/support.ts';

/** A backend as GET /backends has it, in good health. */
export function aBackend(vip: string, backend: string, more: Partial<BackendAnswer> = {}): BackendAnswer {
  return {
    vip,
    backend,
    number: 0,
    state: 'ready',
    health: { state: 'up', since: '2026-01-01T00:00:00.000Z', check: 'tcp', reason: '', ejected: null },
    weight: 1,
    weight_configured: 1,
    share: 0.5,
    slots: 32_768,
    flows_held: 10,
    flows_begun: 1_000,
    packets: 20_000,
    bytes: 2_000_000,
    obstacle: null,
    encap: 'l2',
    in_flight: 3,
    oldest_ns: 1e6,
    retransmits: 0,
    resets: 0,
    latency: { kind: 'request', p50_ns: 300e3, p99_ns: 1.2e6, samples: 400 },
    ...more,
  };
}

interface Refusal {
  readonly status: number;
  readonly body: unknown;
}

/** What answers on a Unix socket in place of a daemon: from a list of backends, and what a test lays down. */
export class FakeDaemon {
  readonly socket = join(temporaryDirectory(), 'inband.sock');
  readonly posted: { path: string; body: unknown }[] = [];
  readonly asked: string[] = [];
  /** Answers of other routes, by path without query. */
  readonly answers: Record<string, unknown> = {};
  readonly refusals: Record<string, Refusal> = {};
  /** What happens between two looks at the backends. */
  onBackends: () => void = () => {};
  note: string | undefined;
  backends: BackendAnswer[];
  #server: Server | undefined;

  private constructor(backends: BackendAnswer[]) {
    this.backends = backends;
  }

  /** Answers until the test ends. */
  static async start(backends: BackendAnswer[]): Promise<FakeDaemon> {
    const daemon = new FakeDaemon(backends);
    await daemon.listen();
    onTestFinished(() => daemon.close());
    return daemon;
  }

  async listen(): Promise<void> {
    const server = createServer(async (request, response) => {
      const { status, body } = await this.#answer(request);
      response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
      response.end(typeof body === 'string' ? body : `${JSON.stringify(body)}\n`);
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.socket, resolve));
  }

  async close(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise((resolve) => (this.#server ? this.#server.close(resolve) : resolve(undefined)));
    this.#server = undefined;
  }

  async #answer(request: IncomingMessage): Promise<Refusal> {
    this.asked.push(request.url!);
    const path = request.url!.split('?')[0]!;
    const refusal = this.refusals[path];
    if (refusal) return refusal;
    if (request.method === 'POST') return { status: 200, body: await this.#post(request, path) };
    if (path === '/backends') {
      this.onBackends();
      return { status: 200, body: { schema: 'inband.backends/1', backends: this.backends } };
    }
    if (path in this.answers) return { status: 200, body: this.answers[path] };
    return { status: 404, body: { error: 'no such path' } };
  }

  async #post(request: IncomingMessage, path: string): Promise<unknown> {
    let text = '';
    for await (const chunk of request) text += chunk;
    const body = JSON.parse(text);
    this.posted.push({ path, body });
    return path === '/backend' ? this.#change(body) : this.answers[path];
  }

  #change({ backend, vip, state, weight }: ChangeRequest): ChangeAnswer {
    const isMeant = (one: BackendAnswer) => one.backend === backend && (vip === undefined || one.vip === vip);
    this.backends = this.backends.map((one) => {
      if (!isMeant(one)) return one;
      const to = weight === null ? one.weight_configured : (weight ?? one.weight);
      return { ...one, state: state ?? one.state, weight: to };
    });
    return {
      schema: 'inband.change/1',
      changed: this.backends.filter(isMeant).map(({ vip, backend, state, weight, flows_held }) => {
        return { vip, backend, state, weight, flows_held };
      }),
      kept: this.note === undefined,
      ...(this.note !== undefined && { note: this.note }),
    };
  }
}
