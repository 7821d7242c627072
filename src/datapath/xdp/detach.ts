import { InbandError } from '../../errors.ts';
import { XdpLink } from './link.ts';
import { takeInterfaceLock } from './lock.ts';
import { interfaces } from './neighbours.ts';
import { linkPath, readPinDirectory, removePins } from './pins.ts';

/** What `detach` did; documented in docs/commands.md. */
export interface Detached {
  readonly schema: 'inband.detach/1';
  readonly interface: string;
  readonly pin: string;
  /** Whether a program was taken off the interface. */
  readonly detached: boolean;
  /** Whether there were pins. */
  readonly removed: boolean;
}

/**
 * Takes down what a process that has ended left running, of whatever version. The interface may be gone already.
 * @throws InbandError `ALREADY_RUNNING` while a process runs it, `ENVIRONMENT` when the pins are of another interface or
 *   hold something else, `PERMISSION`
 */
export function detach(interfaceName: string, directory: string): Detached {
  const lock = takeInterfaceLock(interfaceName);
  try {
    const found = readPinDirectory(directory);
    const detached = found?.hasLink === true && detachLink(interfaceName, directory);
    removePins(directory);
    return {
      schema: 'inband.detach/1',
      interface: interfaceName,
      pin: directory,
      detached,
      removed: found !== undefined,
    };
  } finally {
    lock.release();
  }
}

/** Takes the program off, so that the hook is free at once; false when the interface was gone. */
function detachLink(interfaceName: string, directory: string): boolean {
  const link = XdpLink.open(linkPath(directory));
  try {
    const { ifindex } = link.info();
    if (ifindex === 0) return false;
    const index = interfaces().find(({ name }) => name === interfaceName)?.index;
    if (ifindex !== index) {
      throw new InbandError(
        'ENVIRONMENT',
        `--pin: what is pinned in ${directory} is of the interface with index ${ifindex}, not of ${interfaceName}`,
        { hint: 'name that interface: ip link lists them with their index' },
      );
    }
    link.detach();
    return true;
  } finally {
    link.close();
  }
}
