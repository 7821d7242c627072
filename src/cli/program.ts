import { Command } from 'commander';
import { InbandError } from '../errors.ts';
import { packageVersion } from '../version.ts';

/** Every command by its name, in the order of the help. Each is loaded when it is asked for. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  run: async () => (await import('./run.ts')).runCommand(),
  detach: async () => (await import('./detach.ts')).detachCommand(),
  check: async () => (await import('./check.ts')).checkCommand(),
  diff: async () => (await import('./diff.ts')).diffCommand(),
  'config-schema': async () => (await import('./config-schema.ts')).configSchemaCommand(),
  reload: async () => (await import('./reload.ts')).reloadCommand(),
  status: async () => (await import('./status.ts')).statusCommand(),
  top: async () => (await import('./top.ts')).topCommand(),
  backends: async () => (await import('./backends.ts')).backendsCommand(),
  flows: async () => (await import('./flows.ts')).flowsCommand(),
  trace: async () => (await import('./trace.ts')).traceCommand(),
  why: async () => (await import('./why.ts')).whyCommand(),
  samples: async () => (await import('./samples.ts')).samplesCommand(),
  drain: async () => (await import('./drain.ts')).drainCommand(),
  ready: async () => (await import('./ready.ts')).readyCommand(),
  maintenance: async () => (await import('./maintenance.ts')).maintenanceCommand(),
  weight: async () => (await import('./weight.ts')).weightCommand(),
  doctor: async () => (await import('./doctor.ts')).doctorCommand(),
  bundle: async () => (await import('./bundle.ts')).bundleCommand(),
  'backend-setup': async () => (await import('./backend-setup.ts')).backendSetupCommand(),
  demo: async () => (await import('./demo.ts')).demoCommand(),
  replay: async () => (await import('./replay.ts')).replayCommand(),
  eval: async () => (await import('./eval.ts')).evalCommand(),
  simulate: async () => (await import('./simulate.ts')).simulateCommand(),
  lab: async () => (await import('./lab.ts')).labCommand(),
  completion: async () => (await import('./completion.ts')).completionCommand(),
};

/**
 * The `inband` command with all below it, or with the one that is wanted, which spares half of the time that a start
 * takes. Man pages and completions are made from it.
 */
export async function program(wanted?: string): Promise<Command> {
  const inband = new Command('inband')
    .description('Latency-aware layer-4 load balancer: direct server return, Maglev, in-band feedback')
    .version(packageVersion())
    .configureHelp({ showGlobalOptions: true });
  for (const command of await Promise.all(loadersOf(wanted).map((load) => load())))
    inband.addCommand(command);
  throwUsage(inband, 'inband');
  return inband;
}

/** Those of the command that is wanted; of all of them when it is none, so that the nearest can be named. */
function loadersOf(wanted: string | undefined): readonly (() => Promise<Command>)[] {
  if (wanted === '--version' || wanted === '-V') return [];
  const known = wanted !== undefined && Object.hasOwn(commands, wanted);
  return known ? [commands[wanted]!] : Object.values(commands);
}

/** Makes a command line that cannot be understood an error like any other, for a command and all below it. */
function throwUsage(command: Command, path: string): void {
  command.configureOutput({ outputError: () => {} });
  command.exitOverride((error) => {
    if (error.code.startsWith('commander.help') || error.exitCode === 0) throw error;
    const [message, suggestion] = error.message.replace(/^error: /, '').split('\n');
    const hint = suggestion ? suggestion.replace(/^\((.*)\)$/, '$1') : `${path} --help shows what is allowed`;
    throw new InbandError('USAGE', message!, { hint });
  });
  for (const below of command.commands) throwUsage(below, `${path} ${below.name()}`);
}
