import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import type { BackendAnswer, BackendsAnswer } from '../src/admin/answers.ts';
import { ask } from '../src/admin/client.ts';
import { Daemon } from '../src/demo/daemon.ts';
import { HealthMonitor } from '../src/health/monitor.ts';
import { tcpPacket } from '../src/health/packets.ts';
import { healthDefault } from '../src/health/settings.ts';
import { Lab } from '../src/lab/lab.ts';
import { startLoad } from '../src/lab/load.ts';
import { type Host, serverPort } from '../src/lab/plan.ts';
import { labDirectory } from '../src/lab/records.ts';
import { SignalMemory } from '../src/latency/signal-memory.ts';
import { parseEndpoint } from '../src/net/address.ts';
import { Packet, tcpAck, tcpSyn } from '../src/net/packet.ts';
import { ns } from '../src/units.ts';
import { linkBuilt } from './built.ts';
import { type BenchResult, type Row, rounded, type Target } from './result.ts';

export const name = 'health';

/** As the daemon is started, once `linkBuilt` has run. */
const command = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const backendCount = 1_000;
/** LINKTYPE_RAW: packets of checks begin with their IP header. */
const linkTypeRaw = 101;
const measuredMs = 20_000;
const warmMs = 5_000;
const cpuTarget = 1;
const repetitions = 3;
const patienceMs = 60_000;
/** The priority that config/systemd/inband.service gives the daemon. */
const prefix = ['nice', '-n', '-15'];
/** Clock ticks per second of proc(5): 100 on every architecture of Linux that Node runs on. */
const ticksPerS = 100;
const { intervalNs, fall } = healthDefault;
/** Within which a dead backend must be out by checks alone. */
const checksMs = (intervalNs * fall) / 1e6;
/** The third SYN that comes again at a load as here: a SYN's first time-out, and a little. */
const passiveMs = 1_500;

/** CPU time of a process, user and system, in s. */
function cpuS(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerS;
}

/** Time that checks without a network are made for, each poll of it right after the other, and time before. */
const simulatedS = 120;
const warmS = 30;
const pollsPerS = 100;

/** CPU of the monitor alone, in percent of a core if it ran in real time; what stands in for the servers is in it. */
function monitorCost(): number {
  const vip = parseEndpoint(`10.0.0.100:${serverPort}/tcp`, 'vip');
  const own = parseEndpoint('10.0.0.5:1/tcp', 'own').address;
  let now = 0;
  let listener: (packet: Uint8Array) => void = () => {};
  const sent: Uint8Array[] = [];
  const monitor = new HealthMonitor({
    datapath: {
      sendProbe: (_number, packet) => sent.push(packet) > 0,
      listenProbes: (_source, given) => {
        listener = given;
      },
      obstacle: () => undefined,
    },
    log: pino({ level: 'silent' }),
    interface: 'eth0',
    now: () => ns(now),
    sourceOf: () => own,
  });
  const memory = new SignalMemory(backendCount);
  const backends = Array.from({ length: backendCount }, (_, number) => ({
    ...{ number, name: `10.78.${number >> 8}.${number & 255}`, checked: true, startsUp: false },
    signals: memory.of(number),
  }));
  monitor.configure([{ endpoint: vip, settings: healthDefault, backends }]);
  const packet = new Packet();
  let before = process.cpuUsage();
  for (let poll = 0; poll < (warmS + simulatedS) * pollsPerS; poll++) {
    if (poll === warmS * pollsPerS) before = process.cpuUsage();
    now += 1e9 / pollsPerS;
    monitor.poll(ns(now));
    for (const data of sent.splice(0)) {
      packet.decode(data, 0, data.length, data.length, linkTypeRaw);
      if (packet.tcpFlags !== tcpSyn) continue;
      const to = { address: own, port: packet.srcPort, proto: vip.proto };
      const back = { source: vip.address, sourcePort: vip.port, vip: to };
      listener(tcpPacket(back, { flags: tcpSyn | tcpAck, seq: 1, ack: packet.seq + 1 }));
    }
  }
  const { user, system } = process.cpuUsage(before);
  return rounded((user + system) / simulatedS / 1e4);
}

/** Addresses that lead to the lab's servers in turn, as neighbours that need not be asked for. */
async function manyBackends(lab: Lab): Promise<string[]> {
  const addresses = Array.from({ length: backendCount }, (_, i) => `10.78.${i >> 8}.${i & 255}`);
  const neighbours = addresses.map((address, i) => {
    const { mac } = lab.servers[i % lab.servers.length]!;
    return `neigh replace ${address} lladdr ${mac} dev ${lab.lb.interface} nud permanent`;
  });
  const lines = [`route add 10.78.0.0/16 dev ${lab.lb.interface}`, ...neighbours];
  await lab.exec(lab.lb, ['ip', '-batch', '-'], `${lines.join('\n')}\n`);
  return addresses;
}

/**
 * CPU of a daemon without clients, and checks per second. The daemon is asked for what it knows as seldom as can be: to
 * say it of so many is work, too.
 */
async function cost(lab: Lab, check: string): Promise<{ cpuPercent: number; checksPerS: number }> {
  const backends = await manyBackends(lab);
  const socket = join(labDirectory(lab.id), 'inband.sock');
  const argv = [
    ...[...prefix, process.execPath, command, 'run', '--interface', lab.lb.interface, '--detach'],
    ...[
      '--vip',
      `${lab.vip}:${serverPort}/tcp`,
      '--policy',
      'static',
      '--tick',
      '10ms',
      '--check',
      check,
      '--socket',
      socket,
    ],
    ...['--state', join(labDirectory(lab.id), 'state'), '--log-level', 'error'],
    ...backends.flatMap((backend) => ['--backend', backend]),
  ];
  const daemon = lab.spawn(lab.lb, argv, { stdio: 'inherit' });
  try {
    await ready(socket, backends.length);
    await sleep(warmMs);
    const segments = async () => (await lab.segments(lab.servers[0]!)).received;
    const [from, start, before] = [cpuS(daemon.pid!), performance.now(), await segments()];
    await sleep(measuredMs);
    const tookS = (performance.now() - start) / 1e3;
    // A check is a SYN and a reset; servers have the same part of backends each.
    const checks = ((await segments()) - before) * (lab.servers.length / 2);
    return {
      cpuPercent: rounded(((cpuS(daemon.pid!) - from) / tookS) * 100),
      checksPerS: Math.round(checks / tookS),
    };
  } finally {
    daemon.kill('SIGTERM');
    await once(daemon, 'exit');
    await lab.exec(lab.lb, ['ip', 'neigh', 'flush', 'nud', 'permanent', 'to', '10.78.0.0/16']);
    await lab.exec(lab.lb, ['ip', 'route', 'del', '10.78.0.0/16']);
  }
}

/** Waits until packets can be sent to every backend, and none waits for its first check. */
async function ready(socket: string, count: number): Promise<void> {
  for (const giveUp = performance.now() + patienceMs; performance.now() < giveUp; await sleep(1_000)) {
    const answer = await ask<BackendsAnswer>(socket, '/backends').catch(() => undefined);
    const isReady = ({ obstacle, health }: BackendAnswer) => obstacle === null && health.state !== 'starting';
    if ((answer?.backends ?? []).filter(isReady).length === count) return;
  }
  throw new Error(`not all of ${count} backends are ready`);
}

async function of(lab: Lab, { address }: Host): Promise<BackendAnswer> {
  const socket = join(labDirectory(lab.id), 'inband.sock');
  const { backends } = await ask<BackendsAnswer>(socket, '/backends');
  return backends.find(({ backend }) => backend === address)!;
}

async function until(lab: Lab, server: Host, isWanted: (backend: BackendAnswer) => boolean) {
  for (const giveUp = performance.now() + patienceMs; ; await sleep(10)) {
    const backend = await of(lab, server);
    if (isWanted(backend)) return backend;
    if (performance.now() > giveUp) throw new Error(`${server.name} is still ${JSON.stringify(backend)}`);
  }
}

interface Death {
  readonly how: string;
  readonly passive: boolean;
  readonly kill: (lab: Lab, server: Host) => Promise<void>;
  readonly heal: (lab: Lab, server: Host) => Promise<void>;
}

const crash = {
  kill: (lab: Lab, server: Host) => lab.crash(server),
  heal: (lab: Lab, server: Host) => lab.revive(server),
};
const cut = {
  kill: (lab: Lab, server: Host) => lab.setLink(server, 'down'),
  heal: (lab: Lab, server: Host) => lab.setLink(server, 'up'),
};
const deaths: readonly Death[] = [
  { how: 'process killed', passive: true, ...crash },
  { how: 'process killed', passive: false, ...crash },
  { how: 'silent', passive: true, ...cut },
  { how: 'silent', passive: false, ...cut },
];

/** Times in ms from a server's death until it gets no new flow. */
async function outAfter(lab: Lab, { passive, kill, heal }: Death): Promise<{ ms: number; why: string }[]> {
  const file = join(labDirectory(lab.id), 'lb.yaml');
  const vips = `vips: [{ address: "${lab.vip}:${serverPort}/tcp", pool: { backends: [10.77.0.11] } }]`;
  const section = `health: { passive: { enabled: ${passive}, ejection: 1s, ejection_max: 1s }, slow_start: 100ms }`;
  writeFileSync(file, `interface: eth0\n${vips}\n${section}\n`);
  const daemon = await Daemon.start(lab, 'static', ['--config', file], { prefix });
  const load = startLoad(lab, lab.clients[0]!, {
    connections: 64,
    requestsPerConnection: 100,
    thinkUs: 1_000,
    durationMs: 600_000,
    timeoutMs: 5_000,
  });
  const found: { ms: number; why: string }[] = [];
  try {
    for (let i = 0; i < repetitions; i++) {
      const server = lab.servers[i % lab.servers.length]!;
      for (const one of lab.servers) await until(lab, one, ({ slots }) => slots > 10_000);
      // At any moment between two checks.
      await sleep(500 + (i * intervalNs) / 1e6 / repetitions);
      const start = performance.now();
      await kill(lab, server);
      const { health } = await until(lab, server, ({ slots }) => slots === 0);
      found.push({ ms: performance.now() - start, why: health.ejected?.reason ?? health.reason });
      await heal(lab, server);
    }
  } finally {
    load.stop();
    await load.done;
    await daemon.stop();
  }
  return found;
}

/** Measures what checks cost and how soon a dead backend gets no new flow. Takes two minutes; needs root. */
export async function run(): Promise<BenchResult> {
  linkBuilt();
  const lab = await Lab.up({ servers: 3, delayLines: false });
  try {
    const rows: Row[] = [];
    const targets: Target[] = [];
    for (const death of deaths) {
      const found = await outAfter(lab, death);
      const most = Math.round(Math.max(...found.map(({ ms }) => ms)));
      const { how, passive } = death;
      rows.push(
        ...found.map(({ ms, why }) => ({ how, passive: String(passive), out_ms: Math.round(ms), why })),
      );
      const asked = passive ? passiveMs : checksMs;
      const by = passive ? 'clients and checks' : 'checks alone';
      targets.push({
        what: `${how}: no new flow, by ${by}`,
        asked: `<= ${asked} ms`,
        measured: `${most} ms`,
        met: most <= asked,
      });
    }
    const alone = monitorCost();
    const none = await cost(lab, 'none');
    const tcp = await cost(lab, 'tcp');
    rows.push({ backends: backendCount, check: 'none', cpu_percent: none.cpuPercent, checks_per_s: 0 });
    rows.push({
      backends: backendCount,
      check: 'tcp',
      cpu_percent: tcp.cpuPercent,
      checks_per_s: tcp.checksPerS,
    });
    rows.push({ what: 'the monitor alone, no packet sent', backends: backendCount, cpu_percent: alone });
    targets.push({
      what: `CPU of the monitor for checks of ${backendCount} backends, one in 2 s each`,
      asked: `< ${cpuTarget} %`,
      measured: `${alone} %`,
      met: alone < cpuTarget,
    });
    return {
      name,
      rows,
      targets,
      notes: [
        `From the death of one of three servers until it has no slot, ${repetitions} times each, under connections that are made anew every 100 requests; settings of checks at their defaults.`,
        'CPU: user and system time of one core. Of the daemon with a tick each 10 ms, so that the rest of it stays small beside, and its frames go through the lab at its cost up to the servers.',
      ],
    };
  } finally {
    await lab.down();
  }
}
