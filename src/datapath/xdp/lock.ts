import { InbandError } from '../../errors.ts';
import { addon, isNativeError } from './addon.ts';
import { errnoName, native } from './native-error.ts';

/** What keeps a second load balancer off an interface. */
export interface InterfaceLock {
  release(): void;
}

const nameOf = (interfaceName: string): string => `inband/${interfaceName}`;

/**
 * Takes the lock of an interface in this network namespace: an abstract Unix socket, which is free again when its holder
 * ends, however that happens. Without the addon there is no lock: nothing but capturing runs then.
 * @throws InbandError `ALREADY_RUNNING` naming the process that has it
 */
export function takeInterfaceLock(interfaceName: string): InterfaceLock {
  const calls = addonIfBuilt();
  if (!calls) return { release: () => {} };
  const name = nameOf(interfaceName);
  try {
    const handle = calls.lockTake(name);
    return { release: () => calls.close(handle) };
  } catch (error) {
    if (!isNativeError(error) || errnoName(error.errno) !== 'EADDRINUSE')
      return native(interfaceName, () => {
        throw error;
      });
    const pid = native(interfaceName, () => calls.lockHolder(name));
    const who = pid > 0 ? ` (process ${pid})` : '';
    throw new InbandError('ALREADY_RUNNING', `${interfaceName}: a load balancer runs there already${who}`, {
      hint: pid > 0 ? `end it first: kill ${pid}` : 'end it first, or give another --interface',
    });
  }
}

function addonIfBuilt() {
  try {
    return addon();
  } catch (error) {
    if (error instanceof InbandError && error.code === 'NATIVE_MISSING') return undefined;
    throw error;
  }
}
