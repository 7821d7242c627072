import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { labDirectory } from '../../src/lab/records.ts';

const entries = (path: string): string[] => (existsSync(path) ? readdirSync(path) : []);

/** Processes whose command line names the lab: its services, and whatever runs in its namespaces by `nsenter`. */
function processesOf(id: string): number[] {
  const pids = entries('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(id);
    } catch {
      return false;
    }
  });
}

/** What is there of a lab: namespaces, processes, directories. */
export const remainsOf = (id: string): string[] => [
  ...entries('/run/netns').filter((name) => name.startsWith(id)),
  ...processesOf(id).map((pid) => `process ${pid}`),
  ...(existsSync(labDirectory(id)) ? [labDirectory(id)] : []),
];
