import { existsSync } from 'node:fs';
import { beforeEach } from 'vitest';
import { probeXdp } from '../../src/datapath/xdp/capabilities.ts';
import { type LabProgram, labProblem, labProgram } from '../../src/lab/requirements.ts';
import { main } from '../cli/inband.ts';

/** Why tests that need a lab cannot run here; undefined when they can. */
export function labUnavailable(): string | undefined {
  const problem = labProblem();
  return problem && `${problem.message}; ${problem.hint}`;
}

/** Why tests of programs of the lab that need no privilege cannot run here; undefined when they can. */
export function programsUnavailable(...names: LabProgram[]): string | undefined {
  const missing = names.filter((name) => !existsSync(labProgram(name)));
  return missing.length > 0 ? `${missing.join(', ')} not built; run: npm run setup` : undefined;
}

/** Why a daemon with the xdp datapath cannot run in a lab here; undefined when it can. */
export function daemonUnavailable(): string | undefined {
  const problem = labUnavailable();
  if (problem) return problem;
  if (!existsSync(main)) return 'dist is not built; run: npm run setup';
  try {
    probeXdp();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Skips every test of the file, with the reason, when there is one. To be called at the top of the file. */
export function skipAll(reason: string | undefined): void {
  beforeEach((context) => {
    if (reason !== undefined) context.skip(reason);
  });
}
