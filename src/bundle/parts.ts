import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { arch, platform, release, uptime, version } from 'node:os';
import { ask, askText } from '../admin/client.ts';
import { diagnoseCapture, gatherCapture } from '../doctor/capture.ts';
import { runCommand } from '../doctor/command.ts';
import { gatherFacts } from '../doctor/gather.ts';
import { diagnosisText } from '../doctor/text.ts';
import { diagnose } from '../doctor/verdict.ts';
import { InbandError } from '../errors.ts';
import { parseAddress, parseEndpoint } from '../net/address.ts';
import { plainPaint } from '../report/terminal.ts';
import { packageVersion } from '../version.ts';
import type { Part } from './bundle.ts';
import { redact } from './redact.ts';

/** Of a log, its end is taken. */
export const logBytesMax = 1 << 20;
const doctorWidth = 100;

/** Where to look. */
export interface Sources {
  readonly socket: string;
  /** Interface that the daemon works on; undefined: the one that it says. */
  readonly interface: string | undefined;
  readonly log: string | undefined;
}

/** What the parts need to know of the daemon's configuration. */
interface Running {
  readonly interface: string | undefined;
  readonly isCapture: boolean;
  readonly vips: readonly string[];
  readonly backends: readonly string[];
}

/** All that a support archive has. Nothing of it changes anything. */
export async function bundleParts(sources: Sources): Promise<Part[]> {
  const running = await runningOf(sources);
  return [
    ...daemonParts(sources.socket),
    { name: 'doctor.txt', about: 'what `inband doctor` finds', read: () => doctorText(running) },
    { name: 'versions.json', about: 'versions, kernel, age of the machine', read: versions },
    ...machineParts(running.interface),
    ...(sources.log === undefined
      ? []
      : [{ name: 'log.txt', about: 'the end of the log', read: () => logTail(sources.log!) }]),
  ];
}

function daemonParts(socket: string): Part[] {
  const json = (name: string, about: string): Part => ({
    name: `${name}.json`,
    about,
    read: () => ask(socket, `/${name}`),
  });
  return [
    json('status', 'what it does: vips, shares, latencies, counters'),
    {
      name: 'config.json',
      about: 'what it was told, secrets left out',
      read: async () => redact(await ask(socket, '/config')),
    },
    json('backends', 'backends with state and health'),
    json('why', 'the last decisions and what they rest on'),
    json('history', 'changes of shares'),
    { name: 'metrics.txt', about: 'all metrics once', read: () => askText(socket, '/metrics') },
    {
      name: 'recent.ndjson',
      about: 'the last ten minutes, second by second',
      read: () => askText(socket, '/recent'),
    },
  ];
}

/** As far as the daemon tells; nothing of it if it does not answer. */
async function runningOf({ socket, interface: named }: Sources): Promise<Running> {
  try {
    const status = await ask<{
      datapath: { name: string; interface: string };
      vips: { vip: string; backends: { backend: string }[] }[];
    }>(socket, '/status');
    return {
      interface: named ?? status.datapath.interface,
      isCapture: status.datapath.name === 'capture',
      vips: status.vips.map(({ vip }) => vip),
      backends: [...new Set(status.vips.flatMap(({ backends }) => backends.map(({ backend }) => backend)))],
    };
  } catch {
    return { interface: named, isCapture: false, vips: [], backends: [] };
  }
}

async function doctorText({ interface: link, isCapture, vips, backends }: Running): Promise<string> {
  const facts = await gatherFacts({
    interface: link,
    vips: vips.map((vip) => parseEndpoint(vip, 'vip')),
    backends: backends.map((backend) => parseAddress(backend)!),
    // Nothing is attached to an interface that carries traffic.
    probe: false,
  });
  const diagnosis = isCapture ? diagnoseCapture(facts, gatherCapture(facts)) : diagnose(facts);
  return `${diagnosisText(diagnosis, doctorWidth, plainPaint)}\n`;
}

const versions = () => ({
  inband: packageVersion(),
  node: process.versions,
  platform: platform(),
  arch: arch(),
  kernel: release(),
  kernel_version: version(),
  os: osRelease(),
  uptime_s: Math.round(uptime()),
});

function osRelease(): string | null {
  try {
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? null;
  } catch {
    return null;
  }
}

/** What the kernel says of interfaces, neighbours, programs and sockets; each by the command that people use for it. */
function machineParts(link: string | undefined): Part[] {
  const command = (name: string, about: string, ...argv: string[]): Part => ({
    name: `machine/${name}.txt`,
    about,
    read: () => outputOf(argv),
  });
  const named = link === undefined ? [] : ['dev', link];
  return [
    command('links', 'interfaces with counters', 'ip', '-details', '-statistics', 'link', 'show', ...named),
    command('addresses', 'addresses', 'ip', 'address', 'show', ...named),
    command('routes', 'routes of all tables', 'ip', 'route', 'show', 'table', 'all'),
    command('neighbours', 'neighbours', 'ip', 'neighbour', 'show'),
    ...(link === undefined
      ? []
      : [
          command('driver', 'driver of the interface', 'ethtool', '-i', link),
          command('offloads', 'offloads of the interface', 'ethtool', '-k', link),
          command('nic', 'what the interface counts', 'ethtool', '-S', link),
        ]),
    command('bpf-links', 'what is attached', 'bpftool', 'link', 'show'),
    command('bpf-programs', 'BPF programs', 'bpftool', 'prog', 'show'),
    command(
      'sysctl',
      'settings of the network',
      'sysctl',
      '-a',
      '--pattern',
      '^net\\.(core|ipv4\\.conf|ipv4\\.ip_forward)',
    ),
    { name: 'machine/memory.txt', about: 'memory', read: () => readFileSync('/proc/meminfo', 'utf8') },
    {
      name: 'machine/interrupts.txt',
      about: 'packets by CPU',
      read: () => readFileSync('/proc/net/softnet_stat', 'utf8'),
    },
  ];
}

/** @throws InbandError for a command that is not there, or fails */
function outputOf(argv: readonly string[]): string {
  const result = runCommand(argv);
  if ('output' in result) return result.output;
  throw new InbandError('ENVIRONMENT', `${argv.join(' ')}: ${result.problem}`);
}

function logTail(path: string): string {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const from = Math.max(0, size - logBytesMax);
    const bytes = Buffer.alloc(size - from);
    const text = bytes.toString('utf8', 0, readSync(file, bytes, 0, bytes.length, from));
    // Begins with a whole line.
    return from > 0 ? text.slice(text.indexOf('\n') + 1) : text;
  } finally {
    closeSync(file);
  }
}
