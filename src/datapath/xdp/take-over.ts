import { InbandError } from '../../errors.ts';
import { addon } from './addon.ts';
import { inherit } from './inherit.ts';
import { gracePeriod, hookHolder, type InterfaceName, type XdpMode } from './link.ts';
import {
  findPinDirectory,
  makePinDirectory,
  pinGeneration,
  pinLink,
  removeGeneration,
  removePins,
} from './pins.ts';
import { type Attachment, programName, XdpProgram, type XdpProgramOptions } from './program.ts';
import { closeRunning, findRunning, type Running } from './running.ts';

/** A program on its interface. */
export interface Installed {
  readonly program: XdpProgram;
  readonly attachment: Attachment;
  /** Whether it went on with the flows of the one before. */
  readonly adopted: boolean;
  /** What is not as it was asked for, a line each. */
  readonly notices: readonly string[];
}

/** BPF_MAP_TYPE_RINGBUF: its reader begins anew. */
const ringType = 27;
/** Variables of a process that reads rings. */
const ofProcess: readonly string[] = ['.bss', '.data'];

/**
 * Puts the program on an interface for as long as this process runs, or, with a pin directory, until it is taken down;
 * there it takes the place of the one that runs, whose flows, slots and counters go on.
 * @throws InbandError `HOOK_TAKEN`, and as `XdpProgram.load`, `findRunning` and `inherit` do; what runs goes on then
 */
export function install(options: XdpProgramOptions, target: InterfaceName, directory?: string): Installed {
  if (directory === undefined) return start(options, target);
  const running = findRunning(directory, target);
  if (running) return takeOver(running, options, target);
  makePinDirectory(directory);
  const started = start(options, target);
  try {
    pin(directory, 1, started.program);
    pinLink(directory, started.program.link!);
    return started;
  } catch (error) {
    started.program.close();
    removePins(directory);
    throw error;
  }
}

function start(options: XdpProgramOptions, target: InterfaceName): Installed {
  const program = XdpProgram.load(options);
  try {
    return { program, attachment: program.attach(target), adopted: false, notices: [] };
  } catch (error) {
    program.close();
    if (isTaken(error)) checkUnpinned(target, undefined, error);
    throw error;
  }
}

/** Nothing changes for packets until the link turns to the next program, and flows are the same before and after. */
function takeOver(running: Running, options: XdpProgramOptions, target: InterfaceName): Installed {
  const { directory, generation, link } = running;
  let program: XdpProgram | undefined;
  try {
    const inheritance = inherit(running, options, addon().possibleCpus);
    program = XdpProgram.load(inheritance.options, 'inband', inheritance);
    pin(directory, generation + 1, program);
    // Before as well: should this process be killed in between, little more than nothing is missing.
    inheritance.carry(program.object);
    program.succeed(link, running.program);
    if (inheritance.isCarried) {
      gracePeriod();
      inheritance.carry(program.object);
    }
    removeGeneration(directory, generation);
    program.configure(inheritance.options.vips);
    const mode = (hookHolder(target)?.mode ?? 'native') as XdpMode;
    const reason = mode === 'native' ? '' : `it was started in ${mode} mode`;
    return { program, attachment: { mode, reason }, adopted: true, notices: inheritance.notices };
  } catch (error) {
    if (!program?.link) removeGeneration(directory, generation + 1);
    program?.close();
    if (!program?.link) link.close();
    throw error;
  } finally {
    closeRunning(running);
  }
}

/** Pins all that the next process needs. */
function pin(directory: string, generation: number, program: XdpProgram): void {
  const { maps } = program.object;
  const names = [...maps.values()]
    .filter(({ name, type }) => type !== ringType && !ofProcess.includes(name))
    .map(({ name }) => name);
  pinGeneration(directory, generation, program.object, programName, names);
}

const isTaken = (error: unknown): error is InbandError =>
  error instanceof InbandError && error.code === 'HOOK_TAKEN';

/**
 * Sees to it that no load balancer which was pinned takes the packets of an interface.
 * @param directory where it may be pinned, beside those of the root
 * @throws InbandError `HOOK_TAKEN` with how to go on with it or take it down
 */
export function checkUnpinned(target: InterfaceName, directory: string | undefined, cause?: unknown): void {
  const found = findPinDirectory(target.index, directory);
  if (found === undefined) return;
  throw new InbandError('HOOK_TAKEN', `${target.name}: a load balancer that was pinned runs there`, {
    hint: `go on with it: --datapath xdp --pin ${found}; or take it down: inband detach --interface ${target.name} --pin ${found}`,
    cause,
  });
}
