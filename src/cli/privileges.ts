import { readFileSync } from 'node:fs';
import { InbandError } from '../errors.ts';

/**
 * Becomes another user for good: its groups, its group, its identity, in the order in which that is still allowed.
 * Memory that is mapped and files that are open stay usable.
 * @throws InbandError `PERMISSION` when this process may not, `USAGE` for a user that does not exist
 */
export function dropTo(user: string): void {
  const { setgid, setuid, setgroups } = process;
  if (!setgid || !setuid || !setgroups) {
    throw new InbandError('ENVIRONMENT', '--user: this system has no users to become');
  }
  try {
    const { gid } = idsOf(user);
    setgroups([gid]);
    setgid(gid);
    setuid(user);
  } catch (cause) {
    if (cause instanceof InbandError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ERR_UNKNOWN_CREDENTIAL') {
      throw new InbandError('USAGE', `--user: there is no user '${user}'`, {
        hint: 'give the name of a user of this machine',
        cause,
      });
    }
    throw new InbandError('PERMISSION', `--user: ${message}`, {
      hint: 'only root can become another user',
      cause,
    });
  }
}

/**
 * Numbers of a user and of its own group, as the password file has them.
 * @throws InbandError `USAGE` for a user that does not exist
 */
export function idsOf(user: string): { readonly uid: number; readonly gid: number } {
  const entry = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find(([name]) => name === user);
  if (entry) return { uid: Number(entry[2]), gid: Number(entry[3]) };
  throw new InbandError('USAGE', `--user: there is no user '${user}'`, {
    hint: 'give the name of a user of this machine',
  });
}
