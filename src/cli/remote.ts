import { Command } from 'commander';
import type { BackendAnswer, BackendsAnswer, ChangeAnswer, ChangeRequest } from '../admin/answers.ts';
import { ask, post } from '../admin/client.ts';
import { socketDefault } from '../admin/server.ts';
import { suggest } from '../config/similar.ts';
import { formatAddress, formatEndpoint, parseAddress, parseEndpoint } from '../net/address.ts';
import { changeText } from '../report/change.ts';
import type { TextOptions } from '../report/text.ts';
import { usage } from './flags.ts';

/** What every command has that talks to a daemon. */
export interface RemoteFlags {
  readonly socket: string;
  readonly json?: true;
}

/** What those have that change a backend. */
export interface BackendFlags extends RemoteFlags {
  readonly vip?: string;
}

const widthDefault = 100;

/** A command that asks the daemon and prints what it answers. */
export function remoteCommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .option('--socket <PATH>', 'socket of the daemon', socketDefault)
    .option('--json', 'print one JSON object');
}

/** A command that changes a backend in one vip, or in all that have it. */
export function backendCommand(name: string, description: string): Command {
  return remoteCommand(name, description)
    .argument('<BACKEND>', 'address of the backend')
    .option('--vip <VIP>', 'only in this vip (default: in all that have the backend)');
}

/** How to write for whoever reads standard output. */
export const textOptions = (): TextOptions => ({
  width: process.stdout.columns ?? widthDefault,
  color: process.stdout.hasColors?.() ?? false,
});

/** Prints an answer as one line of JSON, or its text. */
export function print<T>(flags: RemoteFlags, answer: T, text: (answer: T, options: TextOptions) => string) {
  process.stdout.write(`${flags.json ? JSON.stringify(answer) : text(answer, textOptions())}\n`);
}

/** Has the daemon change a backend, and prints what that came to. */
export async function change(
  flags: BackendFlags,
  backend: string,
  to: Omit<ChangeRequest, 'backend' | 'vip'>,
): Promise<void> {
  print(flags, await requestChange(flags, backend, to), changeText);
}

/**
 * Has the daemon change a backend.
 * @throws InbandError `USAGE` for one that it does not have, with the one that was probably meant
 */
export async function requestChange(
  { socket, vip }: BackendFlags,
  backend: string,
  to: Omit<ChangeRequest, 'backend' | 'vip'>,
): Promise<ChangeAnswer> {
  const { backends } = await ask<BackendsAnswer>(socket, '/backends');
  const named = findBackend(backends, backend, vip);
  return post<ChangeAnswer>(socket, '/backend', { ...named, ...to } satisfies ChangeRequest);
}

/**
 * What the daemon calls a backend, and the vip if one is named.
 * @throws InbandError `USAGE` for what it does not have
 */
export function findBackend(
  backends: readonly Pick<BackendAnswer, 'vip' | 'backend'>[],
  text: string,
  vipText?: string,
): { backend: string; vip?: string } {
  const vips = unique(backends.map(({ vip }) => vip));
  const vip = vipText === undefined ? undefined : findVip(vips, vipText);
  const address = parseAddress(text.trim());
  const name = address ? formatAddress(address.family, ...address.words) : text;
  const there = backends.filter((one) => one.backend === name);
  if (there.length === 0) {
    const names = unique(
      backends.flatMap((one) => (vip === undefined || one.vip === vip ? one.backend : [])),
    );
    throw usage(`'${text}' is not a backend of the running load balancer`, suggest(text, names));
  }
  if (vip === undefined) return { backend: name };
  if (there.some((one) => one.vip === vip)) return { backend: name, vip };
  const others = there.map((one) => one.vip).join(', ');
  throw usage(`${name} is not a backend of ${vip}`, `it is one of ${others}`);
}

/**
 * What the daemon calls a vip.
 * @throws InbandError `USAGE` for one that it does not have
 */
export function findVip(vips: readonly string[], text: string): string {
  const vip = isEndpoint(text) ? formatEndpoint(parseEndpoint(text, '--vip')) : text;
  if (vips.includes(vip)) return vip;
  // `10.0.0.1:80` says enough where only one protocol is served there.
  const begun = vips.filter((one) => one.startsWith(`${vip}/`));
  if (begun.length === 1) return begun[0]!;
  throw usage(`'${text}' is not a vip of the running load balancer`, suggest(text, vips));
}

function isEndpoint(text: string): boolean {
  try {
    parseEndpoint(text, '--vip');
    return true;
  } catch {
    return false;
  }
}

export const unique = (names: readonly string[]): string[] => [...new Set(names)];
