import { settingsDefault } from '../config/settings.ts';
import { pinRoot } from '../datapath/xdp/pins.ts';
import { exitCode } from '../errors.ts';
import { bold, heading, italic, tagged } from './roff.ts';

/** What each exit code means; a new one does not compile until it is described here. */
const meaning: Record<keyof typeof exitCode, string> = {
  ok: 'Done; of `check` and `doctor`: nothing is wrong.',
  failure: 'It failed while running: a file, the daemon or the kernel refused.',
  usage: 'The command line is wrong.',
  config: 'The configuration is invalid.',
  warnings: 'Done, with warnings, and `--strict` was given.',
  environment: 'The machine lacks something: kernel, interface, tool. `inband doctor` says what.',
  permission: 'Permission is missing.',
  alreadyRunning: 'inband runs already on that interface or socket, or another program holds the XDP hook.',
  abiMismatch: 'What is pinned was left by a version that this one cannot take over from.',
};

export function exitStatusPart(): string {
  const codes = Object.entries(exitCode).map(([name, code]) =>
    tagged(bold(String(code)), meaning[name as keyof typeof exitCode]),
  );
  return [heading('Exit status'), ...codes].join('\n');
}

export function filesPart(): string {
  return [
    heading('Files'),
    tagged(
      italic('/etc/inband/inband.yaml'),
      'Where the service keeps its configuration; any other file will do for `--config`.',
    ),
    tagged(
      italic(settingsDefault.socket),
      'Local socket of the daemon, mode 0600: who may open it may change everything.',
    ),
    tagged(
      italic(settingsDefault.state),
      'Where drains, maintenance and weights are kept over restarts, see `--state`.',
    ),
    tagged(
      italic(`${pinRoot}/INTERFACE-NAMESPACE`),
      'Program, flows and counters by which forwarding outlives the daemon, see `--pin`. `inband detach` removes them.',
    ),
  ].join('\n');
}

export function environmentPart(): string {
  return [
    heading('Environment'),
    tagged(
      bold('NOTIFY_SOCKET'),
      'Where a service manager wants to be told that the daemon is ready, reloads and stops; see sd_notify(3).',
    ),
    tagged(
      `${bold('WATCHDOG_USEC')}, ${bold('WATCHDOG_PID')}`,
      'How often the service manager wants to hear that the control loop of that process runs.',
    ),
    tagged(bold('CC'), 'The C compiler that `node native/build.mjs` uses; cc otherwise.'),
    tagged(bold('CLANG'), 'The clang that it compiles programs for the kernel with; clang otherwise.'),
  ].join('\n');
}
