import { Command } from 'commander';
import pino, { type Logger } from 'pino';
import pretty from 'pino-pretty';
import type { Settings } from '../config/settings.ts';
import { toDocument } from '../config/write.ts';
import { makePolicy } from '../control/registry.ts';
import { LoadBalancer, type RunOptions } from '../daemon.ts';
import { dropTo, primaryGroup } from './privileges.ts';
import { addRunFlags, type RunFlags, settingsOf } from './run-flags.ts';

export function runCommand(): Command {
  const command = new Command('run').description(
    'Run the load balancer on an interface until SIGTERM or SIGINT',
  );
  return addRunFlags(command).action(run);
}

async function run(flags: RunFlags): Promise<void> {
  const warnings: string[] = [];
  const settings = settingsOf(flags, (line) => warnings.push(line));
  const { user, logLevel } = settings;
  const options = toOptions(settings);
  if (user !== undefined) primaryGroup(user);
  const log = logger(logLevel);
  for (const warning of warnings) log.warn({ event: 'config_warning', warning });
  const balancer = await LoadBalancer.start(options, log);
  try {
    if (user !== undefined) dropTo(user);
    const signal = await ended();
    log.info({ event: 'stopping', signal });
  } finally {
    await balancer.stop();
  }
}

/** @throws InbandError `USAGE` for settings of a policy that are out of range */
const toOptions = (settings: Settings): RunOptions => ({
  ...settings,
  vips: settings.vips.map((vip) => ({ ...vip, policy: makePolicy(vip.policy) })),
  configuration: toDocument(settings),
});

/** JSON lines, or lines for people on a terminal. */
function logger(level: string): Logger {
  if (!process.stderr.isTTY) return pino({ level, base: null }, pino.destination({ fd: 2, sync: true }));
  return pino(
    { level, base: null },
    pretty({ destination: 2, sync: true, translateTime: 'SYS:HH:MM:ss.l', messageKey: 'event' }),
  );
}

/** Resolves with the signal that asks to stop. */
function ended(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve);
  });
}
