import type { IncomingMessage, Server } from 'node:http';
import ipaddr from 'ipaddr.js';
import { InbandError } from '../errors.ts';
import { formatAddress, parseAddress } from '../net/address.ts';
import { type Routes, routeServer } from './http.ts';

/** Where to answer over TCP. */
export interface Listen {
  /** As `formatAddress` writes it. */
  readonly address: string;
  /** 0 to 65535; 0 is any that is free. */
  readonly port: number;
}

/** `127.0.0.1:9464`, `[::1]:9464`. */
export function formatListen({ address, port }: Listen): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port}`;
}

/**
 * Parses `ADDR:PORT`, with brackets around an IPv6 address.
 * @throws InbandError `USAGE` naming `what`, what was given and what is allowed.
 */
export function parseListen(text: string, what: string): Listen {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text.trim());
  const address = match ? parseAddress(match[1] ?? match[2]!) : undefined;
  const port = Number(match?.[3]);
  if (!match || !address || (match[1] === undefined) !== (address.family === 4) || port > 65535) {
    throw new InbandError('USAGE', `${what}: '${text}' is not ADDR:PORT`, {
      hint: 'for example 127.0.0.1:9464 or [::1]:9464',
    });
  }
  return { address: formatAddress(address.family, ...address.words), port };
}

/** Whether nobody but this machine can reach it. */
export const isLoopback = ({ address }: Listen): boolean => ipaddr.parse(address).range() === 'loopback';

/**
 * HTTP over TCP, which any user of this machine may ask, and others where it is public: for what is no secret. On a
 * loopback address it answers those alone who ask by that address or `localhost`, so that a web page that gave its own
 * name this address (DNS rebinding) reads nothing.
 */
export class HttpListener {
  /** `http://127.0.0.1:9464/`, with the port that was taken. */
  readonly url: string;
  readonly #server: Server;

  private constructor(server: Server, url: string) {
    this.#server = server;
    this.url = url;
  }

  /**
   * Starts to answer.
   * @throws InbandError `ALREADY_RUNNING` when the port is taken, `PERMISSION` or `ENVIRONMENT` when it cannot be had
   */
  static async listen(listen: Listen, routes: Routes): Promise<HttpListener> {
    const server = routeServer(routes, isLoopback(listen) ? isLocalName : () => true);
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host: listen.address, port: listen.port }, resolve);
      });
    } catch (cause) {
      throw refused(listen, cause as NodeJS.ErrnoException);
    }
    const taken = server.address();
    const port = typeof taken === 'object' && taken ? taken.port : listen.port;
    return new HttpListener(server, `http://${formatListen({ ...listen, port })}/`);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function isLocalName({ headers: { host = '' } }: IncomingMessage): boolean {
  const name = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::\d{1,5})?$/.exec(host);
  const text = name?.[1] ?? name?.[2] ?? '';
  return (
    text.toLowerCase() === 'localhost' || (ipaddr.isValid(text) && isLoopback({ address: text, port: 0 }))
  );
}

function refused(listen: Listen, cause: NodeJS.ErrnoException): InbandError {
  const message = `--http ${formatListen(listen)}: ${cause.message}`;
  const hints: Record<string, readonly ['ALREADY_RUNNING' | 'PERMISSION' | 'ENVIRONMENT', string]> = {
    EADDRINUSE: ['ALREADY_RUNNING', 'give another port, or 0 for any that is free'],
    EACCES: ['PERMISSION', 'give a port from 1024 on, or CAP_NET_BIND_SERVICE'],
    EADDRNOTAVAIL: ['ENVIRONMENT', 'give an address of this machine, such as 127.0.0.1'],
  };
  const [code, hint] = hints[cause.code ?? ''] ?? ['ENVIRONMENT', 'give another address and port'];
  return new InbandError(code, message, { hint, cause });
}
