import type { Command } from 'commander';
import { InbandError } from '../errors.ts';
import { colorPaint, plainPaint } from '../report/terminal.ts';
import { topLines } from '../report/top.ts';
import { TopFeed } from '../report/top-feed.ts';
import { type TopView, topView } from '../report/top-view.ts';
import { usage } from './flags.ts';
import { exitCodeOf, onSignals } from './interruption.ts';
import { findVip, type RemoteFlags, remoteCommand, textOptions } from './remote.ts';
import { TopSession } from './top-session.ts';
import { recorded } from './top-source.ts';

interface Flags extends RemoteFlags {
  readonly once?: true;
  readonly vip?: string;
}

/** A frame is there after this long at most, or the daemon does not make any. */
const firstFrameMs = 10_000;

export function topCommand(): Command {
  return remoteCommand('top', 'Watch a running load balancer: shares, flows, latencies, decisions, drops')
    .option('--once', 'print one frame and exit')
    .option('--vip <VIP>', 'with --once, only this vip')
    .addHelpText('after', '\nWith --json and without --once, an object each second until interrupted.')
    .action(top);
}

async function top(flags: Flags): Promise<void> {
  if (flags.vip !== undefined && !flags.once)
    throw usage('--vip goes with --once', 'press v to choose a vip');
  if (flags.once || flags.json) {
    await printFrames(flags);
    return;
  }
  const { stdin, stdout } = process;
  if (!stdin.isTTY || !stdout.isTTY) {
    throw usage(
      'standard input or output is no terminal',
      'print one frame with --once, or each with --json',
    );
  }
  await watch(new TopSession(flags.socket, stdin, stdout, stdout.hasColors()));
}

/** Shows the session until it ends by itself or by a signal. */
async function watch(session: TopSession): Promise<void> {
  const stopListening = onSignals(['SIGINT', 'SIGTERM', 'SIGHUP'], (signal) => {
    process.exitCode = exitCodeOf(signal);
    session.end();
  });
  const resume = () => session.resume();
  process.on('SIGCONT', resume);
  try {
    await session.run();
  } finally {
    stopListening();
    process.off('SIGCONT', resume);
  }
}

/** Prints the first frame that rates can be told of, or all from there on. */
async function printFrames({ socket, once, json, vip }: Flags): Promise<void> {
  const feed = new TopFeed();
  const ended = new AbortController();
  const timer = setTimeout(() => ended.abort(), firstFrameMs);
  let isPast = true;
  try {
    for await (const line of recorded(socket, ended.signal)) {
      feed.take(line);
      // Decisions end what was recorded before.
      isPast &&= !('decisions' in line);
      const isDue = once ? feed.frames.length > 1 : 'frame' in line;
      const view = isPast || !isDue ? undefined : topView(feed);
      if (!view) continue;
      clearTimeout(timer);
      process.stdout.write(`${json ? JSON.stringify(only(view, vip)) : frameText(only(view, vip))}\n`);
      if (once) return;
    }
  } catch (error) {
    if (!ended.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
    ended.abort();
  }
  if (once) throw new InbandError('DAEMON_UNREACHABLE', `${socket}: no frame within ${firstFrameMs / 1e3} s`);
}

/** @throws InbandError `USAGE` for a vip that is not there */
function only(view: TopView, text: string | undefined): TopView {
  if (text === undefined) return view;
  const name = findVip(
    view.vips.map(({ vip }) => vip),
    text,
  );
  return {
    ...view,
    vips: view.vips.filter(({ vip }) => vip === name),
    decisions: view.decisions.filter(({ vip }) => vip === name),
  };
}

function frameText(view: TopView): string {
  const { width, color } = textOptions();
  const paint = color ? colorPaint : plainPaint;
  return topLines(view, { width, paint, sort: 'name', isReversed: false, scroll: 0, hasKeys: false }).join(
    '\n',
  );
}
