import { existsSync } from 'node:fs';
import { beforeEach } from 'vitest';
import { type LabProgram, labProblem, labProgram } from '../../src/lab/requirements.ts';

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

/** Skips every test of the file, with the reason, when there is one. To be called at the top of the file. */
export function skipAll(reason: string | undefined): void {
  beforeEach((context) => {
    if (reason !== undefined) context.skip(reason);
  });
}
