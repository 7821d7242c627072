import { mkdirSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { InbandError } from '../errors.ts';
import { type Routes, routeServer } from './http.ts';

/** Where the daemon answers unless told otherwise. */
export const socketDefault = '/run/inband/inband.sock';

/**
 * The local interface of a running load balancer: HTTP over a Unix socket that only its user may open (mode 0600). */
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
  static async listen(path: string, routes: Routes): Promise<AdminServer> {
    await makeRoom(path);
    const server = routeServer(routes, () => true);
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
