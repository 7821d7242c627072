import { settingChanges } from '../config/difference.ts';
import type { Settings } from '../config/settings.ts';
import { InbandError } from '../errors.ts';

/** Keys of the file that a running daemon takes; vips, pools and backends beside them. */
const taken = /^(policy|lost_flows|tick|log\.level|health\.(?!source$).*)$/;

/**
 * Refuses settings that need another process, because memory, sockets or rights were made by them.
 * @throws InbandError `CONFIG_INVALID` with each of them as a line of its details
 */
export function checkReloadable(before: Settings, after: Settings): void {
  const fixed = settingChanges(before, after).filter(({ key }) => !taken.test(key));
  if (fixed.length === 0) return;
  const keys = fixed.map(({ key }) => key).join(', ');
  throw new InbandError('CONFIG_INVALID', `what cannot change while the daemon runs: ${keys}`, {
    hint: before.detach
      ? 'restart the daemon'
      : 'restart the daemon; on the xdp datapath forwarding goes on meanwhile',
    details: fixed.map((one) => `${one.key}: ${shown(one.before)} -> ${shown(one.after)}`),
  });
}

const shown = (value: unknown): string => (value === null ? 'not given' : JSON.stringify(value));

/** How it went with the configuration since the start. */
export class Reloads {
  succeeded = 0;
  failed = 0;
  lastSucceeded = true;
  /** When the configuration that runs was taken, Unix time in s. */
  timeS = Date.now() / 1e3;

  note(succeeded: boolean): void {
    this.lastSucceeded = succeeded;
    if (succeeded) {
      this.succeeded++;
      this.timeS = Date.now() / 1e3;
    } else this.failed++;
  }
}
