import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { InbandError } from '../errors.ts';
import { Refusal } from './refusal.ts';

/** Connections answered at a time; further ones are closed. */
const connectionsMax = 64;
/** Time for a client to send its request, and how often that is looked at. */
const requestTimeoutMs = 5_000;
const checkingIntervalMs = 1_000;
/** A request without a body is no longer than this. */
const headerBytesMax = 8_192;
/** Bytes of the body of a `POST`: what it says fits hundreds of times. */
export const bodyBytesMax = 65_536;
/** Time for a client to take an answer that ends, and to take in more of one that does not. */
const answerTimeoutMs = 10_000;
/** A connection that asks nothing is kept for this long: Prometheus asks again in 15 s and may connect anew. */
const keepAliveMs = 5_000;

/** Who asked, for an answer that takes its time. */
export interface Asker {
  /** What stands behind the `?` of the path. */
  readonly query: URLSearchParams;
  /** Whether the client is gone. */
  readonly isGone: boolean;
}

/** Answers a request. What it throws as an InbandError, or rejects with, is the client's mistake and told to it. */
export type Route =
  /** A value, as JSON. */
  | { readonly json: (asker: Asker) => unknown }
  /** Changes something as the body, a JSON value, says, and answers with JSON. */
  | { readonly post: (body: unknown) => Promise<unknown> }
  /** A text of this type, known at once, or in parts that are made as the client takes them. */
  | {
      readonly type: string;
      readonly text: () => string | AsyncIterable<string>;
      /** The Content-Security-Policy of a page; by default nothing may be loaded nor run. */
      readonly policy?: string;
    }
  /** Lines until the client is gone, which ends it by the returned function; JSON lines unless `type` says otherwise. */
  | { readonly type?: string; readonly stream: (write: (line: string) => void) => () => void };

export type Routes = Readonly<Record<string, Route>>;

/**
 * A server that answers `GET` of known paths without a body, `POST` of those that change something, and refuses everything
 * else. Requests, bodies, connections and the time that a client takes are bounded; nothing that it sends can end the daemon.
 * @param isWelcome whether to answer a request at all
 */
export function routeServer(routes: Routes, isWelcome: (request: IncomingMessage) => boolean): Server {
  const options = {
    maxHeaderSize: headerBytesMax,
    requestTimeout: requestTimeoutMs,
    headersTimeout: requestTimeoutMs,
    connectionsCheckingInterval: checkingIntervalMs,
    keepAliveTimeout: keepAliveMs,
  };
  const server = createServer(options, (request, response) => {
    if (isWelcome(request)) answer(routes, request, response);
    else refuse(response, 403, 'not asked for by a name of this server');
  });
  server.maxConnections = connectionsMax;
  return server;
}

function answer(routes: Routes, request: IncomingMessage, response: ServerResponse): void {
  const [path, query = ''] = (request.url ?? '').split(/\?(.*)/s) as [string, string?];
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (!route) {
    refuse(response, 404, `no such path; there is ${Object.keys(routes).join(', ')}`);
    return;
  }
  const method = 'post' in route ? 'POST' : 'GET';
  if (request.method !== method) refuse(response, 405, `only ${method} is answered`);
  else if ('post' in route) void whole(response, change(route, request));
  else if (hasBody(request)) refuse(response, 413, 'a request has no body here');
  else if ('stream' in route) stream(route, response);
  else if ('text' in route) text(route, response);
  else void whole(response, value(route, query, response));
}

function hasBody({ headers }: IncomingMessage): boolean {
  return (headers['content-length'] ?? '0') !== '0' || headers['transfer-encoding'] !== undefined;
}

async function value(
  { json }: Extract<Route, { json: unknown }>,
  query: string,
  response: ServerResponse,
): Promise<unknown> {
  return json({
    query: new URLSearchParams(query),
    get isGone() {
      return response.destroyed;
    },
  });
}

async function change(
  { post }: Extract<Route, { post: unknown }>,
  request: IncomingMessage,
): Promise<unknown> {
  return post(parsed(await bodyOf(request)));
}

/** The body of a request, of which no more is read than is allowed. */
function bodyOf(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let length = 0;
    const grow = (bytes: number) => {
      length += bytes;
      if (length <= bodyBytesMax) return;
      request.pause().removeAllListeners('data');
      reject(new Refusal(413, `a body has at most ${bodyBytesMax} bytes`));
    };
    request.on('data', (part: Buffer) => {
      parts.push(part);
      grow(part.length);
    });
    request.once('end', () => resolve(Buffer.concat(parts)));
    request.once('error', reject);
    if (Number(request.headers['content-length'] ?? 0) > bodyBytesMax) grow(bodyBytesMax + 1);
  });
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (cause) {
    throw new Refusal(400, 'the body is no JSON', { cause });
  }
}

const nothingAllowed = "default-src 'none'";

function head(response: ServerResponse, status: number, type: string, policy = nothingAllowed): void {
  response.writeHead(status, {
    'content-type': type,
    'cache-control': 'no-store',
    'content-security-policy': policy,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-resource-policy': 'same-origin',
    ...(status >= 400 && { connection: 'close' }),
  });
}

function refuse(response: ServerResponse, status: number, error: string, more: object = {}): void {
  head(response, status, 'application/json');
  response.end(`${JSON.stringify({ error, ...more })}\n`);
}

/** Cuts the client off unless the answer is taken in time. */
function limit(response: ServerResponse): void {
  const timer = setTimeout(() => response.destroy(), answerTimeoutMs);
  response.once('close', () => clearTimeout(timer));
}

/** Answers with JSON when it is there, or says why it will not be. */
async function whole(response: ServerResponse, made: Promise<unknown>): Promise<void> {
  try {
    const body = `${JSON.stringify(await made)}\n`;
    limit(response);
    head(response, 200, 'application/json');
    response.end(body);
  } catch (error) {
    if (response.destroyed || response.headersSent) response.destroy();
    else decline(response, error);
  }
}

/** What was asked wrongly is told with its hint; a fault of the daemon's own ends the request and not the daemon. */
function decline(response: ServerResponse, error: unknown): void {
  if (error instanceof Refusal) {
    refuse(response, error.status, error.message, error.about);
  } else if (error instanceof InbandError) {
    const { code, message, hint, details } = error;
    refuse(response, code === 'USAGE' ? 400 : 422, message, { code, hint, details });
  } else {
    const why = error instanceof Error ? error.message : String(error);
    refuse(response, 500, `internal error: ${why}`);
  }
}

function text({ type, text, policy }: Extract<Route, { text: unknown }>, response: ServerResponse): void {
  const body = text();
  limit(response);
  head(response, 200, type, policy);
  if (typeof body === 'string') response.end(body);
  // A client that sees the answer end early knows that it is not complete.
  else writeParts(body, response).catch(() => response.destroy());
}

async function writeParts(parts: AsyncIterable<string>, response: ServerResponse): Promise<void> {
  for await (const part of parts) {
    if (!response.write(part)) await room(response);
    if (response.destroyed) return;
  }
  response.end();
}

/** Resolves when the client can take more, or is gone. */
function room(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });
}

function stream({ type, stream }: Extract<Route, { stream: unknown }>, response: ServerResponse): void {
  head(response, 200, type ?? 'application/x-ndjson');
  response.flushHeaders();
  let fullMs = 0;
  const stop = stream((line) => {
    // A reader that cannot keep up loses lines, and one that takes nothing is cut off: the daemon never holds them.
    if (!response.writableNeedDrain) {
      fullMs = 0;
      response.write(line);
      return;
    }
    fullMs ||= performance.now();
    if (performance.now() - fullMs > answerTimeoutMs) response.destroy();
  });
  response.once('close', stop);
}
