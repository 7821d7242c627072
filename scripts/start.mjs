// Shows what inband does: the demo where this machine allows it, by XDP or, where BPF is refused, by capturing; else a
// replay of a capture of such a run.
import { spawnSync } from 'node:child_process';
import process from 'node:process';

process.chdir(new URL('..', import.meta.url).pathname);

/** Exit codes of the command that speak of the machine: environment, permission. */
const machineLacks = [5, 6];

function inband(...args) {
  const { status, signal } = spawnSync(process.execPath, ['dist/cli/main.js', ...args], { stdio: 'inherit' });
  return status ?? (signal === 'SIGINT' ? 130 : 1);
}

let status = inband('demo', '--report', 'build/report.html');
if (machineLacks.includes(status)) {
  process.stderr.write(
    'The demo cannot run here, for the reason above. A replay of a capture of such a run:\n\n',
  );
  const run = 'test/fixtures/two-servers';
  status = inband(
    'replay',
    `${run}/lb.pcap.gz`,
    ...['--truth', `${run}/truth.csv.gz`, '--assign', `${run}/flows.csv`, '--report', 'build/report.html'],
  );
}
process.exitCode = status;
