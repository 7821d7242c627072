import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { capAsserts, rebuildCommand } from '../../src/datapath/capture/packages.ts';
import { main } from '../cli/inband.ts';
import { labUnavailable } from '../lab/require.ts';

const load = createRequire(import.meta.url);

/** Why a package cannot be used; undefined when it can. */
function missing(name: string): string | undefined {
  try {
    load(name);
    return undefined;
  } catch (error) {
    return `${name}: ${(error as Error).message.split('\n')[0]}`;
  }
}

/** Why the capture datapath cannot run in a lab here; undefined when it can. */
export function captureUnavailable(): string | undefined {
  const lacking = labUnavailable() ?? missing('cap') ?? missing('raw-socket');
  if (lacking !== undefined) return lacking;
  if (!existsSync(main)) return 'dist is not built; run: npm run setup';
  return capAsserts() ? `cap was built with assertions; run: ${rebuildCommand}` : undefined;
}
