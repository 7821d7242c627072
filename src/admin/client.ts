import { type IncomingMessage, request } from 'node:http';
import { InbandError } from '../errors.ts';

/** How long a daemon may take to begin its answer. */
const timeoutMs = 5_000;

/** Asks the daemon for a path, and resolves with its answer as it begins to come. */
async function get(socketPath: string, path: string): Promise<IncomingMessage> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const asked = request({ socketPath, path, timeout: timeoutMs }, resolve);
    asked.once('timeout', () => asked.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
    asked.once('error', (cause: NodeJS.ErrnoException) => reject(unreachable(socketPath, cause)));
    asked.end();
  });
  if (response.statusCode === 200) return response;
  throw new InbandError(
    'DAEMON_UNREACHABLE',
    `${socketPath}: ${path} was answered with ${response.statusCode}`,
    {
      hint: 'is the daemon of the same version?',
    },
  );
}

/**
 * The daemon's answer to a path, parsed.
 * @throws InbandError `DAEMON_UNREACHABLE` when nobody answers, `PERMISSION` when the socket may not be opened
 */
export async function ask<T>(socketPath: string, path: string): Promise<T> {
  let text = '';
  for await (const chunk of (await get(socketPath, path)).setEncoding('utf8')) text += chunk;
  return JSON.parse(text) as T;
}

/** The lines that the daemon streams for a path, each parsed, until it ends. Errors as `ask`. */
export async function* follow<T>(socketPath: string, path: string): AsyncGenerator<T, void> {
  let rest = '';
  for await (const chunk of (await get(socketPath, path)).setEncoding('utf8')) {
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
