import { type IncomingMessage, request } from 'node:http';
import { InbandError, isErrorCode } from '../errors.ts';

/** How long a daemon may take to begin its answer. */
const timeoutMs = 5_000;
/** Changing thousands of backends takes longer than telling about them. */
const changeTimeoutMs = 30_000;

/** What to ask beside a path. */
interface Asked {
  /** Sent by POST, as JSON; without it the path is only read. */
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
}

/** Asks the daemon for a path, and resolves with its answer as it begins to come. */
async function answerTo(
  socketPath: string,
  path: string,
  { body, signal }: Asked = {},
): Promise<IncomingMessage> {
  const isChange = body !== undefined;
  const timeout = isChange ? changeTimeoutMs : timeoutMs;
  const text = isChange ? JSON.stringify(body) : '';
  const headers = isChange
    ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
    : {};
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const method = isChange ? 'POST' : 'GET';
    const asked = request({ socketPath, path, method, headers, timeout, ...(signal && { signal }) }, resolve);
    asked.once('timeout', () => asked.destroy(new Error(`no answer within ${timeout / 1000} s`)));
    asked.once('error', (cause: NodeJS.ErrnoException) => reject(unreachable(socketPath, cause)));
    asked.end(text);
  });
  // From here on it may be silent: samples are streamed as they are taken.
  response.socket.setTimeout(0);
  if (response.statusCode === 200) return response;
  const otherwise = `${socketPath}: ${path} was answered with ${response.statusCode}`;
  throw refusal(otherwise, await textOf(socketPath, response));
}

async function textOf(socketPath: string, response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of chunks(socketPath, response)) text += chunk;
  return text;
}

/** What comes until the answer ends; a daemon that dies meanwhile is one that cannot be reached. */
async function* chunks(socketPath: string, response: IncomingMessage): AsyncGenerator<string, void> {
  try {
    yield* response.setEncoding('utf8');
  } catch (cause) {
    throw unreachable(socketPath, cause as NodeJS.ErrnoException);
  }
}

/** What the daemon says of a request that it refuses: an error with its code, as the daemon would print it. */
function refusal(otherwise: string, text: string): InbandError {
  const { code, error, hint, details } = parsed(text);
  const lines = Array.isArray(details) ? details.map(String) : [];
  if (typeof code === 'string' && isErrorCode(code) && typeof error === 'string') {
    return new InbandError(code, error, { ...(typeof hint === 'string' && { hint }), details: lines });
  }
  return new InbandError('DAEMON_UNREACHABLE', otherwise, { hint: 'is the daemon of the same version?' });
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

/**
 * The daemon's answer to a path, parsed.
 * @throws InbandError `DAEMON_UNREACHABLE` when nobody answers, `PERMISSION` when the socket may not be opened, what the
 * daemon says of a request that it refuses
 */
export async function ask<T>(socketPath: string, path: string): Promise<T> {
  return JSON.parse(await askText(socketPath, path)) as T;
}

/** The daemon's answer to a path, as it is. Errors as `ask`. */
export async function askText(socketPath: string, path: string): Promise<string> {
  return textOf(socketPath, await answerTo(socketPath, path));
}

/** Has the daemon change something, and returns what it answers. Errors as `ask`. */
export async function post<T>(socketPath: string, path: string, body: unknown): Promise<T> {
  return JSON.parse(await textOf(socketPath, await answerTo(socketPath, path, { body }))) as T;
}

/** The lines that the daemon streams for a path, each parsed, until it ends or `signal` aborts. Errors as `ask`. */
export async function* follow<T>(
  socketPath: string,
  path: string,
  signal?: AbortSignal,
): AsyncGenerator<T, void> {
  let rest = '';
  for await (const chunk of chunks(socketPath, await answerTo(socketPath, path, { signal }))) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    for (const line of lines) yield JSON.parse(line) as T;
  }
}

function unreachable(socketPath: string, cause: NodeJS.ErrnoException): InbandError {
  if (cause.code === 'EACCES' || cause.code === 'EPERM') {
    return new InbandError('PERMISSION', `${socketPath}: permission denied`, {
      hint: 'run this as the user that the daemon runs as, or as root',
      cause,
    });
  }
  return new InbandError('DAEMON_UNREACHABLE', `${socketPath}: ${cause.code ?? cause.message}`, {
    hint: 'is `inband run` running, and with this --socket?',
    cause,
  });
}
