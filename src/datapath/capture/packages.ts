import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { InbandError } from '../../errors.ts';

/** A capture session of the package `cap` (libpcap). */
export interface CapSession {
  /**
   * Opens an interface, always in promiscuous mode, and calls the object's `emit` with `packet`, a length and whether the
   * frame was cut for each frame, which is then at the start of `buffer`.
   */
  open(device: string, filter: string, ringBytes: number, buffer: Buffer): string;
  send(frame: Buffer, length: number): void;
  close(): boolean;
}

/** The package takes `emit` from the object when it is made: a class of one's own is called without an event emitter. */
export type CapConstructor = new () => CapSession;

/** The part of a socket of the package `raw-socket` that sends at once; its own `send` waits for the event loop. */
export interface RawSocket {
  readonly wrap: {
    send(
      packet: Buffer,
      offset: number,
      length: number,
      address: string,
      sent: (bytes: number) => void,
    ): unknown;
  };
  pauseRecv(): unknown;
  setOption(level: number, option: number, value: number): void;
  on(event: 'error' | 'close', listener: (error?: Error) => void): unknown;
  close(): unknown;
}

export interface RawSocketPackage {
  createSocket(options: { protocol: number; addressFamily: number }): RawSocket;
  readonly AddressFamily: { readonly IPv4: number };
  readonly SocketLevel: { readonly IPPROTO_IP: number };
  readonly SocketOption: { readonly IP_HDRINCL: number; readonly SO_SNDBUF: number };
}

const load = createRequire(import.meta.url);
/** What installs both packages; with its assertions compiled in, `cap` aborts the process when an interface goes down. */
export const installCommand =
  'apt-get install -y libpcap-dev g++ make python3 && CPPFLAGS=-DNDEBUG npm install cap@0.2.1 raw-socket@1.8.1';
/** What builds `cap` again without its assertions. */
export const rebuildCommand = 'CPPFLAGS=-DNDEBUG npm rebuild cap';

function required<T>(name: string, purpose: string): T {
  try {
    return load(name) as T;
  } catch (cause) {
    const line = (cause as Error).message.split('\n')[0]!;
    throw new InbandError('ENVIRONMENT', `${purpose} needs the package ${name}: ${line}`, {
      hint: installCommand,
      cause,
    });
  }
}

/** @throws InbandError `ENVIRONMENT` when it is not installed or does not load */
export const capConstructor = (): CapConstructor =>
  required<{ Cap: CapConstructor }>('cap', 'the capture datapath').Cap;

/** @throws InbandError as `capConstructor` */
export const rawSockets = (): RawSocketPackage => required('raw-socket', 'encap=ipip');

/** Why a package cannot be used, by its name; those that can are not there. */
export function packageProblems(): Map<string, string> {
  return new Map(
    ['cap', 'raw-socket'].flatMap((name) => {
      try {
        load(name);
        return [];
      } catch (error) {
        return [[name, (error as Error).message.split('\n')[0]!] as const];
      }
    }),
  );
}

/** Whether `cap` was built with assertions, one of which fails when an interface goes down; false if it is not there. */
export function capAsserts(): boolean {
  try {
    return readFileSync(load.resolve('cap/build/Release/cap.node')).includes('__assert_fail');
  } catch {
    return false;
  }
}
