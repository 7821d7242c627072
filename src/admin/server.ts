import { mkdirSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { InbandError } from '../errors.ts';

/** Where the daemon answers unless told otherwise. */
export const socketDefault = '/run/inband/inband.sock';

/** Connections answered at a time; further ones are closed. */
const connectionsMax = 64;
/** Time for a client to send its request. */
const requestTimeoutMs = 5_000;

/** Answers a request: a value becomes its JSON; a stream writes to the response until the client is gone. */
export type Route =
  | { readonly json: () => unknown }
  | { readonly stream: (write: (line: string) => void) => () => void };

/**
 * The local interface of a running load balancer: HTTP over a Unix socket that only its user may open (mode 0600).
 * Requests are `GET` of a known path without a body; everything else is refused.
 */
export class AdminServer {
  readonly #server: Server;
  readonly #path: string;

  private constructor(path: string, server: Server) {
    this.#path = path;
    this.#server = server;
  }

  /**
   * Starts to answer.
   * @throws InbandError `ALREADY_RUNNING` when another daemon answers there, `PERMISSION` or `ENVIRONMENT` when the
   * socket cannot be made
   */
  static async listen(path: string, routes: Readonly<Record<string, Route>>): Promise<AdminServer> {
    await makeRoom(path);
    const server = createServer((request, response) => answer(routes, request, response));
    server.maxConnections = connectionsMax;
    server.requestTimeout = requestTimeoutMs;
    server.headersTimeout = requestTimeoutMs;
    const umask = process.umask(0o177);
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(path, resolve);
      });
    } catch (cause) {
      throw refused(path, cause as NodeJS.ErrnoException);
    } finally {
      process.umask(umask);
    }
    return new AdminServer(path, server);
  }

  /** Stops to answer and removes the socket, unless this process became a user who may not: the next daemon does then. */
  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    try {
      rmSync(this.#path, { force: true });
    } catch (cause) {
      if (!isDenied(cause as NodeJS.ErrnoException)) throw cause;
    }
  }
}

/** Removes the socket that a daemon left when it was killed. */
async function makeRoom(path: string): Promise<void> {
  const running = await new Promise<boolean>((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
  if (running) {
    throw new InbandError('ALREADY_RUNNING', `a daemon already answers on ${path}`, {
      hint: 'stop it, or give this one its own --socket',
    });
  }
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    rmSync(path, { force: true });
  } catch (cause) {
    throw refused(path, cause as NodeJS.ErrnoException);
  }
}

const isDenied = ({ code }: NodeJS.ErrnoException): boolean => code === 'EACCES' || code === 'EPERM';

function refused(path: string, cause: NodeJS.ErrnoException): InbandError {
  const code = isDenied(cause) ? 'PERMISSION' : 'ENVIRONMENT';
  return new InbandError(code, `${path}: ${cause.message}`, {
    hint: 'give a path that can be written with --socket',
    cause,
  });
}

function answer(
  routes: Readonly<Record<string, Route>>,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const path = (request.url ?? '').split('?')[0]!;
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (!route) {
    refuse(response, 404, `no such path; there is ${Object.keys(routes).join(', ')}`);
    return;
  }
  if (request.method !== 'GET') {
    refuse(response, 405, 'only GET is answered');
    return;
  }
  if ('json' in route) {
    response.setHeader('content-type', 'application/json');
    response.end(`${JSON.stringify(route.json())}\n`);
    return;
  }
  response.setHeader('content-type', 'application/x-ndjson');
  response.flushHeaders();
  // A reader that cannot keep up loses lines; it never makes the daemon hold them.
  const stop = route.stream((line) => {
    if (!response.writableNeedDrain) response.write(line);
  });
  response.once('close', stop);
}

function refuse(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
  response.end(`${JSON.stringify({ error: message })}\n`);
}
