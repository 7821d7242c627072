import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

/** Connections answered at a time; further ones are closed. */
const connectionsMax = 64;
/** Time for a client to send its request, and how often that is looked at. */
const requestTimeoutMs = 5_000;
const checkingIntervalMs = 1_000;
/** A request without a body is no longer than this. */
const headerBytesMax = 8_192;
/** Time for a client to take an answer that ends, and to take in more of one that does not. */
const answerTimeoutMs = 10_000;
/** A connection that asks nothing is kept for this long: Prometheus asks again in 15 s and may connect anew. */
const keepAliveMs = 5_000;

/** Answers a request. */
export type Route =
  /** A value, as JSON. */
  | { readonly json: () => unknown }
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
 * A server that answers `GET` of known paths without a body and refuses everything else. Requests, connections and the
 * time that a client takes are bounded; nothing that it sends can end the daemon.
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
  const path = (request.url ?? '').split('?')[0]!;
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers;
  if (!route) refuse(response, 404, `no such path; there is ${Object.keys(routes).join(', ')}`);
  else if (request.method !== 'GET') refuse(response, 405, 'only GET is answered');
  else if (length !== '0' || encoding !== undefined) refuse(response, 413, 'a request has no body here');
  else if ('stream' in route) stream(route, response);
  else if ('json' in route) whole(response, 'application/json', `${JSON.stringify(route.json())}\n`);
  else text(route, response);
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

function refuse(response: ServerResponse, status: number, message: string): void {
  head(response, status, 'application/json');
  response.end(`${JSON.stringify({ error: message })}\n`);
}

/** Cuts the client off unless the answer is taken in time. */
function limit(response: ServerResponse): void {
  const timer = setTimeout(() => response.destroy(), answerTimeoutMs);
  response.once('close', () => clearTimeout(timer));
}

function whole(response: ServerResponse, type: string, body: string, policy?: string): void {
  limit(response);
  head(response, 200, type, policy);
  response.end(body);
}

function text({ type, text, policy }: Extract<Route, { text: unknown }>, response: ServerResponse): void {
  const body = text();
  if (typeof body === 'string') {
    whole(response, type, body, policy);
    return;
  }
  limit(response);
  head(response, 200, type, policy);
  // A client that sees the answer end early knows that it is not complete.
  writeParts(body, response).catch(() => response.destroy());
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
