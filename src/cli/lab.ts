import { Command } from 'commander';
import { InbandError } from '../errors.ts';
import { Lab } from '../lab/lab.ts';
import { type Host, type LabOptions, labDefaults } from '../lab/plan.ts';
import { isAbandoned, listRecords } from '../lab/records.ts';
import { labProblem } from '../lab/requirements.ts';
import { formatDuration, parseDuration } from '../units.ts';

const nsPerUs = 1000;

function parseCount(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new InbandError('USAGE', `'${text}' is not a count`, { hint: 'give a number such as 2' });
}

/** A delay in whole us; unlike other durations it may be 0. */
function parseDelay(text: string): number {
  const us = /^0(us|ms|s)?$/.test(text) ? 0 : parseDuration(text, 'delay') / nsPerUs;
  if (Number.isInteger(us)) return us;
  throw new InbandError('USAGE', `delay: '${text}' is finer than 1us`, { hint: 'give whole microseconds' });
}

/** A lab as `--json` prints it. */
const describe = (lab: Lab) => ({
  id: lab.id,
  vip: lab.vip,
  application: lab.application,
  switch: lab.plan.switch,
  hosts: [lab.lb, ...lab.clients, ...lab.servers].map((host: Host) => ({
    ...host,
    delay_us: host.role === 'server' ? (lab.delayLine(host)?.delayUs ?? null) : null,
  })),
});

function print(lab: Lab, json: boolean | undefined): void {
  const description = describe(lab);
  if (json) {
    console.log(JSON.stringify(description));
    return;
  }
  console.log(`lab ${lab.id}: vip ${lab.vip}, servers run ${lab.application}, switch in ${lab.plan.switch}`);
  for (const host of description.hosts) {
    const delay = host.delay_us === null ? '' : `  delay ${formatDuration(host.delay_us * nsPerUs)}`;
    console.log(`  ${host.name.padEnd(4)} ${host.address.padEnd(12)} ${host.mac}  ${host.netns}${delay}`);
  }
}

function requirePossible(): void {
  const problem = labProblem();
  if (problem) throw problem;
}

interface UpOptions {
  servers: number;
  clients: number;
  delay: number;
  processingDelay?: number;
  vip: string;
  application: LabOptions['application'];
  json?: boolean;
}

async function up(options: UpOptions): Promise<void> {
  const { delay, processingDelay, json, ...rest } = options;
  const lab = await Lab.up({ ...rest, delayUs: delay, processingDelayUs: processingDelay, detached: true });
  print(lab, json);
}

async function down(options: { lab?: string; json?: boolean }): Promise<void> {
  requirePossible();
  const swept = options.lab === undefined ? await Lab.sweep() : [];
  const chosen = options.lab === undefined ? listRecords().filter(({ owner }) => owner === 'detached') : [];
  const ids = options.lab === undefined ? chosen.map(({ id }) => id) : [options.lab];
  await Promise.all(ids.map((id) => Lab.open(id).down()));
  const removed = [...swept, ...ids];
  if (options.json) console.log(JSON.stringify({ removed }));
  else console.log(removed.length > 0 ? `removed ${removed.join(', ')}` : 'there was no lab to remove');
}

function status(options: { json?: boolean }): void {
  const labs = listRecords().map((record) => ({
    lab: Lab.open(record.id),
    owner: record.owner === 'detached' ? null : record.owner.pid,
    abandoned: isAbandoned(record),
  }));
  if (options.json) {
    const described = labs.map(({ lab, owner, abandoned }) => ({ ...describe(lab), owner, abandoned }));
    console.log(JSON.stringify({ labs: described }));
    return;
  }
  if (labs.length === 0) console.log('there is no lab');
  for (const { lab, owner, abandoned } of labs) {
    print(lab, false);
    if (abandoned) console.log('  its process is gone: inband lab down removes it');
    else if (owner !== null) console.log(`  belongs to process ${owner}`);
  }
}

/** Runs a command in place of this one, as far as a shell can tell: same terminal, same exit status. */
async function exec(name: string, words: string[], options: { lab?: string }): Promise<void> {
  requirePossible();
  const argv = words[0] === '--' ? words.slice(1) : words;
  const lab = Lab.open(options.lab);
  const where = name === 'switch' ? lab.plan.switch : lab.host(name);
  const child = lab.spawn(where, argv, { stdio: 'inherit' });
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 128)));
  });
}

/** `inband lab`: a testbed in network namespaces that stays until it is taken down. */
export function labCommand(): Command {
  const command = new Command('lab')
    .description('a testbed in network namespaces of this machine')
    .enablePositionalOptions();
  command
    .command('up')
    .description('set up clients, a place for a load balancer, and servers with the vip')
    .option('--servers <count>', '1 to 64', parseCount, labDefaults.servers)
    .option('--clients <count>', '1 to 16', parseCount, labDefaults.clients)
    .option('--delay <duration>', 'of the path from the switch to each server, at most 1s', parseDelay, 0)
    .option('--processing-delay <duration>', 'that a server takes for each command', parseDelay)
    .option('--vip <address>', 'a free address of 10.77.0.0/24', labDefaults.vip)
    .option('--application <name>', 'auto, memcached, kv or none', labDefaults.application)
    .option('--json', 'print one JSON object')
    .action(up);
  command
    .command('down')
    .description('remove labs that were set up to stay, and what is left of those that crashed')
    .option('--lab <id>', 'only this one, even if it belongs to a running process')
    .option('--json', 'print one JSON object')
    .action(down);
  command
    .command('exec')
    .description('run a command on a host: lb, c1, s1, or the switch')
    .argument('<host>')
    .argument('<command...>')
    .option('--lab <id>', 'when there are several')
    .passThroughOptions()
    .action(exec);
  command
    .command('status')
    .description('list the labs, their hosts and delays')
    .option('--json', 'print one JSON object')
    .action(status);
  command
    .command('delay')
    .description('change the delay of the path to a server')
    .argument('<server>')
    .argument('<duration>', 'such as 1ms; 0 for none', parseDelay)
    .option('--lab <id>', 'when there are several')
    .action((name: string, delayUs: number, options: { lab?: string }) => {
      requirePossible();
      const lab = Lab.open(options.lab);
      lab.setDelay(lab.host(name), delayUs);
    });
  return command;
}
