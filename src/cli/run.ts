import { Command } from 'commander';
import pino, { type Logger } from 'pino';
import { LoadBalancer } from '../daemon.ts';
import { makeNotifier } from '../notify.ts';
import { dropTo, idsOf } from './privileges.ts';
import { addRunFlags, type RunFlags, settingsOf } from './run-flags.ts';

export function runCommand(): Command {
  const command = new Command('run').description(
    'Run the load balancer on an interface until SIGTERM or SIGINT',
  );
  return addRunFlags(command).action(run);
}

async function run(flags: RunFlags): Promise<void> {
  const warnings: string[] = [];
  const read = () => settingsOf(flags, (line) => warnings.push(line));
  const settings = read();
  const { user, logLevel } = settings;
  if (user !== undefined) idsOf(user);
  const log = await logger(logLevel);
  const warn = () => {
    for (const warning of warnings.splice(0)) log.warn({ event: 'config_warning', warning });
  };
  warn();
  const notifier = makeNotifier((error) => log.warn({ event: 'notify_failed', reason: String(error) }));
  const reread = () => {
    try {
      return read();
    } finally {
      warn();
    }
  };
  let running: LoadBalancer | undefined;
  // Nobody is to be ended by asking too early for what is read anyway. What goes wrong is in the log.
  process.on('SIGHUP', () => void running?.reload().catch(() => {}));
  const balancer = await LoadBalancer.start(settings, {
    log,
    notifier,
    ...(flags.config !== undefined && { reread }),
    ...(user !== undefined && { owner: idsOf(user) }),
  });
  running = balancer;
  try {
    if (user !== undefined) dropTo(user);
    const signal = await ended();
    log.info({ event: 'stopping', signal });
  } finally {
    await balancer.stop();
  }
}

/** JSON lines, or lines for people on a terminal, which take their time to be loaded. */
async function logger(level: string): Promise<Logger> {
  if (!process.stderr.isTTY) return pino({ level, base: null }, pino.destination({ fd: 2, sync: true }));
  const { default: pretty } = await import('pino-pretty');
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
