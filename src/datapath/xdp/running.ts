import { join } from 'node:path';
import { InbandError } from '../../errors.ts';
import { inbandAbi } from '../../generated/layout.ts';
import { type InterfaceName, XdpLink } from './link.ts';
import { PinnedMap, PinnedProgram } from './pinned.ts';
import {
  linkPath,
  pinnedMapNames,
  programPath,
  readPinDirectory,
  removeGeneration,
  removePins,
} from './pins.ts';

/** The map of constants, whose first word is the ABI in every version. */
const constantsName = 'rodata';

/** What a process before this one left running: its program is on the interface, and forwards. */
export interface Running {
  readonly directory: string;
  readonly generation: number;
  readonly link: XdpLink;
  readonly program: PinnedProgram;
  /** By the names that they are pinned under. */
  readonly maps: ReadonlyMap<string, PinnedMap>;
  /** The program's `.rodata`. */
  readonly constants: DataView;
}

/** Lets go of what `findRunning` opened, but not of the link; what runs goes on. */
export function closeRunning({ program, maps }: Pick<Running, 'program' | 'maps'>): void {
  program.close();
  for (const map of maps.values()) map.close();
}

/**
 * Finds what runs on an interface by its pins, and removes what a crash left beside it. Pins of an interface that is gone,
 * and those of a set-up that was never finished, are removed, and there is nothing then.
 * @throws InbandError `ABI_MISMATCH` when this version cannot take it over, `ENVIRONMENT` when the pins are of another
 *   interface, `PERMISSION`; nothing is changed then
 */
export function findRunning(directory: string, target: InterfaceName): Running | undefined {
  const found = readPinDirectory(directory);
  if (!found) return undefined;
  const link = found.hasLink ? XdpLink.open(linkPath(directory)) : undefined;
  try {
    const { ifindex, programId } = link?.info() ?? { ifindex: 0, programId: 0 };
    if (!link || ifindex === 0) {
      link?.close();
      removePins(directory);
      return undefined;
    }
    if (ifindex !== target.index) throw otherInterface(directory, target, ifindex);
    const running = openRunning(directory, found.generations, link, programId);
    if (typeof running === 'string') throw abiMismatch(directory, target, running);
    for (const other of found.generations) {
      if (other !== running.generation) removeGeneration(directory, other);
    }
    return running;
  } catch (error) {
    link?.close();
    throw error;
  }
}

/** Opens the generation whose program a link holds; a string says why it cannot be understood. */
function openRunning(
  directory: string,
  generations: readonly number[],
  link: XdpLink,
  programId: number,
): Running | string {
  for (const generation of generations) {
    const program = openProgram(directory, generation);
    if (program?.id !== programId) {
      program?.close();
      continue;
    }
    const maps = openMaps(directory, generation);
    const bytes = maps.get(constantsName)?.lookup(new Uint8Array(4));
    const abi = bytes && new DataView(bytes.buffer).getUint32(0, true);
    if (bytes && abi === inbandAbi.abi)
      return { directory, generation, link, program, maps, constants: new DataView(bytes.buffer) };
    closeRunning({ program, maps });
    return abi === undefined ? 'has no constants' : `has ABI ${abi}, this version ABI ${inbandAbi.abi}`;
  }
  return 'is not pinned';
}

/** The program of a generation; undefined where a crash left none. */
function openProgram(directory: string, generation: number): PinnedProgram | undefined {
  try {
    return PinnedProgram.open(programPath(directory, generation));
  } catch (error) {
    if (error instanceof InbandError && error.code === 'BPF_FAILED') return undefined;
    throw error;
  }
}

function openMaps(directory: string, generation: number): Map<string, PinnedMap> {
  const maps = new Map<string, PinnedMap>();
  for (const name of pinnedMapNames(directory, generation)) {
    maps.set(name, PinnedMap.open(join(directory, String(generation), name)));
  }
  return maps;
}

/** A load balancer of another version runs, and goes on: how to take it down. */
export const abiMismatch = (directory: string, target: InterfaceName, why: string): InbandError =>
  new InbandError('ABI_MISMATCH', `${target.name}: a load balancer is pinned there whose program ${why}`, {
    hint:
      'it goes on to forward by its last table; run the version that started it, or take it down, which ends its ' +
      `flows: inband detach --interface ${target.name} --pin ${directory}`,
  });

const otherInterface = (directory: string, { name, index }: InterfaceName, ifindex: number): InbandError =>
  new InbandError(
    'ENVIRONMENT',
    `--pin: what is pinned in ${directory} is of the interface with index ${ifindex}, and ${name} has ${index}`,
    { hint: 'give each interface a directory of its own, in each network namespace' },
  );
