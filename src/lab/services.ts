import type { ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { InbandError } from '../errors.ts';
import { inNetns, start } from './commands.ts';
import { type Host, type Plan, serverPort } from './plan.ts';
import { labDirectory } from './records.ts';
import { findCommand, labProgram } from './requirements.ts';
import { serverPorts } from './topology.ts';

/** Frames that all delay lines together can hold, at 2 KiB each; a lab with few servers gives each up to the other. */
const ringFramesTotal = 65_536;
const ringFramesMax = 16_384;
/** A service that is not ready by then will not be. */
const readyMsMax = 5_000;
const readyPollMs = 2;

/** Files that a running service maps: how it is controlled, and what it counts. Integers of 64 bits. */
export const controlFile = (id: string, server: Host, kind: 'delay' | 'kv'): string =>
  join(labDirectory(id), `${server.name}.${kind}`);

const nsPerUs = 1000n;

/** Takes effect at once: the service reads its mapping of the file for every frame or command. */
export function writeDelay(file: string, delayUs: number): void {
  const fd = openSync(file, 'r+');
  try {
    writeFileSync(fd, new BigUint64Array([BigInt(delayUs) * nsPerUs]));
  } finally {
    closeSync(fd);
  }
}

/** What a delay line counted; `dropped` frames found its ring full or were refused by the server's interface. */
export interface DelayLineState {
  delayUs: number;
  ready: boolean;
  forwarded: number;
  dropped: number;
}

/** Undefined before the lab has made the file and after it has removed it. */
export function readDelayLine(file: string): DelayLineState | undefined {
  if (!existsSync(file)) return undefined;
  const bytes = readFileSync(file);
  const word = (index: number) => Number(bytes.readBigUInt64LE(index * 8));
  return { delayUs: word(0) / 1000, ready: word(1) === 1, forwarded: word(2), dropped: word(3) };
}

const makeControlFile = (file: string, words: number, delayUs: number): void =>
  writeFileSync(file, new BigUint64Array([BigInt(delayUs) * nsPerUs, ...Array(words - 1).fill(0n)]));

/** Whether a process of that namespace listens on a TCP port, by proc(5): state 0A is LISTEN. */
function listens(pid: number, port: number): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return new RegExp(`^ *\\d+: [0-9A-F]{8}:${hex} [0-9A-F:]+ 0A `, 'm').test(
    readFileSync(`/proc/${pid}/net/tcp`, 'utf8'),
  );
}

interface Service {
  name: string;
  netns: string;
  argv: string[];
  isReady(child: ChildProcess): boolean;
}

/** Holds the process of a service, which may have ended. */
const pidFile = (id: string, service: string): string => join(labDirectory(id), `${service}.pid`);

async function launch(id: string, service: Service): Promise<void> {
  const log = join(labDirectory(id), `${service.name}.log`);
  const fd = openSync(log, 'a');
  // A process group of its own: Ctrl-C is the owner's to handle, and a lab that stays outlives its terminal.
  const child = start(inNetns(service.netns, service.argv), {
    stdio: ['ignore', fd, fd],
    detached: true,
    cwd: '/',
  });
  closeSync(fd);
  child.unref();
  if (child.pid !== undefined) writeFileSync(pidFile(id, service.name), String(child.pid));
  let failure: string | undefined;
  child.once('error', (error) => {
    failure = error.message;
  });
  const giveUp = performance.now() + readyMsMax;
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) {
      failure = readFileSync(log, 'utf8').trim().split('\n').at(-1) || 'it ended';
    }
    if (failure === undefined && performance.now() > giveUp) failure = `not ready after ${readyMsMax} ms`;
    if (failure !== undefined) {
      throw new InbandError('ENVIRONMENT', `${service.name}: ${failure}`, {
        hint: `it was started as: ${service.argv.join(' ')}`,
      });
    }
    if (service.isReady(child)) return;
    await sleep(readyPollMs);
  }
}

function delayLine(plan: Plan, server: Host): Service {
  const file = controlFile(plan.id, server, 'delay');
  const { line, far } = serverPorts(server);
  const frames = Math.min(ringFramesMax, Math.floor(ringFramesTotal / plan.servers.length));
  makeControlFile(file, 4, plan.options.delayUs);
  return {
    name: `${server.name}.delay`,
    netns: plan.switch,
    argv: [labProgram('delay'), file, line, far, String(frames)],
    isReady: () => readDelayLine(file)?.ready === true,
  };
}

/** What the servers of a lab run. */
export function applicationOf(plan: Plan): 'memcached' | 'kv' | 'none' {
  const { application, processingDelayUs } = plan.options;
  if (application !== 'auto') return application;
  return processingDelayUs === undefined && findCommand('memcached') !== undefined ? 'memcached' : 'kv';
}

function memcached(server: Host): Service {
  const limits = ['-m', '64', '-c', '4096', '-t', '1'];
  return {
    name: `${server.name}.memcached`,
    netns: server.netns,
    argv: ['memcached', '-u', 'nobody', '-l', '0.0.0.0', '-p', String(serverPort), '-U', '0', ...limits],
    isReady: (child) => listens(child.pid!, serverPort),
  };
}

function kv(plan: Plan, server: Host): Service {
  const file = controlFile(plan.id, server, 'kv');
  makeControlFile(file, 1, plan.options.processingDelayUs ?? 0);
  return {
    name: `${server.name}.kv`,
    netns: server.netns,
    argv: [labProgram('kv'), file, '0.0.0.0', String(serverPort), server.name],
    isReady: (child) => listens(child.pid!, serverPort),
  };
}

function applicationService(plan: Plan, server: Host): Service | undefined {
  const application = applicationOf(plan);
  if (application === 'none') return undefined;
  return application === 'kv' ? kv(plan, server) : memcached(server);
}

/** Starts the delay lines and the servers' applications, and returns when all of them are ready. */
export async function startServices(plan: Plan): Promise<void> {
  const services = plan.servers.flatMap((server) => [
    ...(plan.options.delayLines ? [delayLine(plan, server)] : []),
    ...[applicationService(plan, server) ?? []].flat(),
  ]);
  await Promise.all(services.map((service) => launch(plan.id, service)));
}

/** Starts the application of a server, and returns when it is ready; there must be none running. */
export async function startApplication(plan: Plan, server: Host): Promise<void> {
  const service = applicationService(plan, server);
  if (service) await launch(plan.id, service);
}

/** The process of a server's application; undefined before the first start, and of a lab without applications. */
export function applicationPid(plan: Plan, server: Host): number | undefined {
  const file = pidFile(plan.id, `${server.name}.${applicationOf(plan)}`);
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) : undefined;
}
