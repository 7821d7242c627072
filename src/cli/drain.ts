import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import type { BackendsAnswer, ChangeAnswer } from '../admin/answers.ts';
import { ask } from '../admin/client.ts';
import { InbandError } from '../errors.ts';
import { changeText } from '../report/change.ts';
import { DrainProgress, drainedText } from '../report/drain.ts';
import { printable } from '../report/format.ts';
import { formatDuration, type Ns, parseDuration } from '../units.ts';
import { usage } from './flags.ts';
import { exitCodeOf, onSignals } from './interruption.ts';
import { type BackendFlags, backendCommand, print, requestChange } from './remote.ts';

interface Flags extends BackendFlags {
  readonly wait?: true;
  readonly timeout?: Ns;
}

const timeoutDefault = '5m';
/** How often the daemon is asked how many flows are left. */
const pollMs = 500;
/** A daemon that is started again answers by then. */
const unreachableMsMax = 15_000;

export function drainCommand(): Command {
  return backendCommand('drain', 'Give a backend no new flows, while those that it has go on')
    .option('--wait', 'wait until it holds no flow any more')
    .addOption(
      new Option('--timeout <DURATION>', `wait no longer than this (default: ${timeoutDefault})`).argParser(
        (text) => parseDuration(text, '--timeout'),
      ),
    )
    .addHelpText(
      'after',
      '\nExit code: 1 if --wait ends with flows left, which go on; `inband ready` ends a drain.',
    )
    .action(drain);
}

async function drain(backend: string, flags: Flags): Promise<void> {
  if (flags.timeout !== undefined && !flags.wait)
    throw usage('--timeout: nothing is waited for', 'add --wait');
  const answer = await requestChange(flags, backend, { state: 'drain' });
  if (!flags.wait) {
    print(flags, answer, changeText);
    return;
  }
  if (!flags.json) print(flags, answer, changeText);
  const waited = await wait(flags, answer);
  const result = { ...answer, schema: 'inband.drain/1', ...waited };
  if (flags.json || waited.end === 'drained') print(flags, result, () => drainedText(waited.waited_ms));
  finish(answer.changed[0]!.backend, waited, flags.timeout);
}

/** How waiting ended, and with how many flows. */
interface Waited {
  readonly end: 'drained' | 'removed' | 'ready' | 'timeout' | 'interrupted';
  readonly flows_left: number;
  readonly waited_ms: number;
  readonly signal?: NodeJS.Signals;
}

/** Waits for the flows of what was changed to end. */
async function wait(flags: Flags, { changed }: ChangeAnswer): Promise<Waited> {
  const timeoutMs = (flags.timeout ?? parseDuration(timeoutDefault, '--timeout')) / 1e6;
  const began = performance.now();
  const progress = new DrainProgress(process.stderr, flags.json === true);
  const interruption = new AbortController();
  const stopListening = onSignals(['SIGINT', 'SIGTERM'], (signal) => interruption.abort(signal));
  let left = changed.reduce((sum, one) => sum + one.flows_held, 0);
  const ended = (end: Waited['end']): Waited => ({
    end,
    flows_left: left,
    waited_ms: Math.round(performance.now() - began),
  });
  try {
    for (;;) {
      const now = await heldBy(flags.socket, changed, interruption.signal);
      if (now === undefined) return ended('removed');
      left = now.flows;
      progress.show(left, performance.now() - began);
      // Flows may begin again as soon as it is ready in any of the vips.
      if (!now.isDrained) return ended('ready');
      if (left === 0) return ended('drained');
      const restMs = timeoutMs - (performance.now() - began);
      if (restMs <= 0) return ended('timeout');
      await sleep(Math.min(pollMs, restMs), undefined, { signal: interruption.signal });
    }
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
    return { ...ended('interrupted'), signal: interruption.signal.reason };
  } finally {
    progress.stop();
    stopListening();
  }
}

/** Flows that are left, and whether all of it is kept from new ones; undefined if none of it is configured any more. */
async function heldBy(
  socket: string,
  changed: ChangeAnswer['changed'],
  signal: AbortSignal,
): Promise<{ flows: number; isDrained: boolean } | undefined> {
  const { backends } = await askPatiently<BackendsAnswer>(socket, '/backends', signal);
  const there = backends.filter((one) =>
    changed.some(({ vip, backend }) => one.vip === vip && one.backend === backend),
  );
  if (there.length === 0) return undefined;
  return {
    flows: there.reduce((sum, one) => sum + one.flows_held, 0),
    isDrained: there.every((one) => one.state !== 'ready'),
  };
}

/** As `ask`, but goes on while the daemon is started again. */
async function askPatiently<T>(socket: string, path: string, signal: AbortSignal): Promise<T> {
  const began = performance.now();
  for (;;) {
    try {
      return await ask<T>(socket, path);
    } catch (error) {
      const isAway = error instanceof InbandError && error.code === 'DAEMON_UNREACHABLE';
      if (!isAway || performance.now() - began > unreachableMsMax) throw error;
      await sleep(pollMs, undefined, { signal });
    }
  }
}

/** Tells what did not come to its end, in words and as exit code. */
function finish(backend: string, { end, flows_left, signal }: Waited, timeout: Ns | undefined): void {
  const left = `${flows_left} ${flows_left === 1 ? 'flow' : 'flows'} left`;
  if (end === 'interrupted') {
    process.stderr.write(
      `inband: ${printable(backend)} goes on draining, ${left}; \`inband ready ${printable(backend)}\` ends it\n`,
    );
    process.exitCode = exitCodeOf(signal!);
  } else if (end === 'timeout') {
    const limit = timeout === undefined ? timeoutDefault : formatDuration(timeout);
    throw new InbandError('NOT_DRAINED', `${backend} still has flows after ${limit}: ${left}`, {
      hint: 'it goes on draining; ask again with --wait, or see them with `inband flows --backend`',
    });
  } else if (end === 'ready') {
    throw new InbandError('NOT_DRAINED', `${backend} was made ready by somebody else meanwhile, ${left}`);
  } else if (end === 'removed') {
    process.stderr.write(`inband: ${printable(backend)} is not configured any more, it had ${left}\n`);
  }
}
