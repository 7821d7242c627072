import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { InbandError } from '../errors.ts';
import { inNetns, run, start } from './commands.ts';
import { type Host, type LabOptions, labDefaults, labLimits, type Plan, planLab } from './plan.ts';
import { Reaper } from './reaper.ts';
import { abandonedLabs, findRecord, makeLabDirectory, self, writeRecord } from './records.ts';
import { labProblem } from './requirements.ts';
import { type Segments, segmentsOf } from './segments.ts';
import {
  applicationOf,
  applicationPid,
  controlFile,
  type DelayLineState,
  readDelayLine,
  startApplication,
  startServices,
  writeDelay,
} from './services.ts';
import * as topology from './topology.ts';

/** Commands that set a lab up and run at the same time. */
const parallelMax = 8;
const crashPollMs = 2;

async function inParallel<T>(items: readonly T[], task: (item: T) => Promise<unknown>): Promise<void> {
  const rest = items.values();
  const worker = async () => {
    for (const item of rest) await task(item);
  };
  await Promise.all(Array.from({ length: parallelMax }, worker));
}

async function setUp(plan: Plan, reaper: Reaper): Promise<void> {
  const holds = reaper.held;
  const batch = (netns: string, tool: 'ip' | 'bridge', input: string) =>
    run(inNetns(netns, [tool, '-batch', '-']), { input, holds });
  const set = (netns: string, settings: string[]) =>
    run(inNetns(netns, ['sysctl', '-q', '-e', '-w', ...settings]), { holds });

  await run(['ip', '-batch', '-'], { input: topology.addNamespaces(plan), holds });
  await set(plan.switch, topology.settings('switch'));
  await inParallel(topology.allHosts(plan), (host) => set(host.netns, topology.settings(host)));
  await run(['ip', '-batch', '-'], { input: topology.addCables(plan), holds });
  await batch(plan.switch, 'ip', topology.configureSwitch(plan));
  await batch(plan.switch, 'bridge', topology.configureForwarding(plan));
  await inParallel(topology.allHosts(plan), (host) =>
    batch(host.netns, 'ip', topology.configureHost(plan, host)),
  );
  await inParallel(topology.checksumPorts(plan), (port) =>
    run(inNetns(plan.switch, ['ethtool', '-K', port, 'tx', 'off']), { holds }),
  );
  await startServices(plan);
}

/**
 * A testbed in network namespaces of this machine: clients, a switch, a place for a load balancer, and servers that
 * have the vip on their loopback interface and answer clients directly. Frames from the switch to a server, and only
 * those, pass a delay line.
 *
 * A lab goes away with the process that set it up, however that ends; several can be up at the same time.
 */
export class Lab {
  readonly plan: Plan;
  #reaper: Reaper | undefined;

  private constructor(plan: Plan, reaper: Reaper | undefined) {
    this.plan = plan;
    this.#reaper = reaper;
  }

  /**
   * Sets a lab up and returns when its servers accept connections. With `detached` it stays when this process ends.
   * @throws InbandError `USAGE` for options out of range, `PERMISSION` and `ENVIRONMENT` for what this machine lacks.
   */
  static async up(options: Partial<LabOptions> & { detached?: boolean } = {}): Promise<Lab> {
    const { detached = false, ...rest } = options;
    const full = { ...labDefaults, ...rest };
    planLab(full.prefix, full);
    const problem = labProblem();
    if (problem) throw problem;

    const id = makeLabDirectory(full.prefix);
    const plan = planLab(id, full);
    writeRecord({ id, owner: self(), options: full });
    const reaper = new Reaper(id);
    try {
      await setUp(plan, reaper);
    } catch (error) {
      await reaper.reap();
      throw error;
    }
    if (!detached) return new Lab(plan, reaper);
    writeRecord({ id, owner: 'detached', options: full });
    await reaper.dismiss();
    return new Lab(plan, undefined);
  }

  /**
   * A lab that is up, by identifier; without one, the only lab there is. It stays when this process ends.
   * @throws InbandError `USAGE` when there is no such lab, or several to choose from.
   */
  static open(id?: string): Lab {
    const record = findRecord(id);
    return new Lab(planLab(record.id, record.options), undefined);
  }

  /** Removes labs whose process is gone and that were not set up to stay; returns their identifiers. */
  static async sweep(): Promise<string[]> {
    const ids = abandonedLabs();
    await Promise.all(ids.map((id) => new Reaper(id).reap()));
    return ids;
  }

  /** Ends every process in the lab's namespaces and removes all of the lab. Doing it again does nothing. */
  async down(): Promise<void> {
    const reaper = this.#reaper ?? new Reaper(this.id);
    this.#reaper = undefined;
    await reaper.reap();
  }

  get id(): string {
    return this.plan.id;
  }

  get vip(): string {
    return this.plan.options.vip;
  }

  get lb(): Host {
    return this.plan.lb;
  }

  get clients(): readonly Host[] {
    return this.plan.clients;
  }

  get servers(): readonly Host[] {
    return this.plan.servers;
  }

  /** What the servers run. */
  get application(): 'memcached' | 'kv' | 'none' {
    return applicationOf(this.plan);
  }

  /** A host by its name: `lb`, `c1`, `s1`. @throws InbandError `USAGE` when there is none. */
  host(name: string): Host {
    const all = topology.allHosts(this.plan);
    const host = all.find((host) => host.name === name);
    if (host) return host;
    throw new InbandError('USAGE', `the lab has no host '${name}'`, {
      hint: `it has ${all.map((host) => host.name).join(', ')}`,
    });
  }

  /**
   * Runs a command in a namespace, a host's or one by name, and returns what it printed on standard output.
   * @throws InbandError `ENVIRONMENT` with what it said on standard error when it fails.
   */
  exec(where: Host | string, argv: readonly string[], input = ''): Promise<string> {
    return run(inNetns(this.#netns(where), argv), { input });
  }

  /** Starts a command in a namespace. The lab's end is the command's, too. */
  spawn(where: Host | string, argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
    return start(inNetns(this.#netns(where), argv), options);
  }

  #netns(where: Host | string): string {
    return typeof where === 'string' ? where : where.netns;
  }

  /** Changes the delay of the path to a server, in us from 0 to 1 s, also for frames that wait already. */
  setDelay(server: Host, delayUs: number): void {
    this.#setDelay(server, 'delay', delayUs, this.plan.options.delayLines);
  }

  /** Changes the time that a server takes for each command, in us from 0 to 1 s. Only `kv` can be slow. */
  setProcessingDelay(server: Host, delayUs: number): void {
    this.#setDelay(server, 'kv', delayUs, this.application === 'kv');
  }

  #setDelay(server: Host, kind: 'delay' | 'kv', delayUs: number, possible: boolean): void {
    if (!possible || server.role !== 'server') {
      throw new InbandError(
        'USAGE',
        `${server.name} has no ${kind === 'kv' ? 'processing delay' : 'delay line'}`,
        {
          hint: kind === 'kv' ? "give processingDelayUs or application 'kv'" : 'leave delayLines on',
        },
      );
    }
    if (!Number.isInteger(delayUs) || delayUs < 0 || delayUs > labLimits.delayUs) {
      throw new InbandError('USAGE', `${server.name}: a delay of ${delayUs} us`, {
        hint: `give an integer from 0 to ${labLimits.delayUs}`,
      });
    }
    writeDelay(controlFile(this.id, server, kind), delayUs);
  }

  /** The delay and the counts of the delay line of a server; undefined when it has none, or the lab is gone. */
  delayLine(server: Host): DelayLineState | undefined {
    return this.plan.options.delayLines ? readDelayLine(controlFile(this.id, server, 'delay')) : undefined;
  }

  /** Plugs the cables of a host in or out, at the switch. */
  async setLink(host: Host, state: 'up' | 'down'): Promise<void> {
    const ports = [host.port, ...(host.role === 'server' ? [topology.serverPorts(host).tx] : [])];
    for (const port of ports) await this.exec(this.plan.switch, ['ip', 'link', 'set', 'dev', port, state]);
  }

  /** Kills the application of a server, whose kernel then resets its connections and refuses new ones. */
  async crash(server: Host): Promise<void> {
    const pid = applicationPid(this.plan, server);
    const isRunning = async () =>
      (await run(['ip', 'netns', 'pids', server.netns])).split('\n').includes(String(pid));
    if (pid === undefined || !(await isRunning())) return;
    process.kill(pid, 'SIGKILL');
    while (await isRunning()) await sleep(crashPollMs);
  }

  /** Starts the application of a server that was crashed, and returns when it accepts connections. */
  async revive(server: Host): Promise<void> {
    await startApplication(this.plan, server);
  }

  /**
   * Segments of TCP in the kernel of a host since the lab is up: those that it received, sent, sent again, and the
   * resets that it sent. A server resets what comes in the middle of a connection that is not its own.
   */
  async segments(host: Host): Promise<Segments> {
    return segmentsOf(await this.exec(host, ['cat', '/proc/net/snmp']));
  }

  /** Gives a server another MAC address, as a machine that takes its place has, and has it say so. */
  async changeMac(server: Host, mac: string): Promise<void> {
    const entry = `fdb replace ${mac} dev ${server.port} master static`;
    await this.exec(this.plan.switch, ['bridge', ...entry.split(' ')]);
    await this.exec(server, ['sysctl', '-q', '-w', 'net.ipv4.conf.eth0.arp_notify=1']);
    // The kernel forgets the neighbours of an interface whose address changes.
    const ends = ['eth1', 'eth0'].map((end) => `link set dev ${end} address ${mac}`);
    const lines = [...ends, ...topology.serverNeighbours(this.plan)];
    await this.exec(server, ['ip', '-batch', '-'], `${lines.join('\n')}\n`);
  }

  /** Makes the clients send what is for the vip to one server, past the load balancer. */
  async directTo(server: Host): Promise<void> {
    await inParallel(this.clients, (client) =>
      this.exec(client, ['ip', ...topology.vipNeighbour(this.plan, server).split(' ')]),
    );
  }

  /** Makes the clients send what is for the vip to the load balancer again, as at the start. */
  async throughLoadBalancer(): Promise<void> {
    const argv =
      this.plan.options.vipArp === 'static'
        ? topology.vipNeighbour(this.plan, this.lb).split(' ')
        : ['neigh', 'flush', 'to', this.vip, 'dev', 'eth0', 'nud', 'all'];
    await inParallel(this.clients, (client) => this.exec(client, ['ip', ...argv]));
  }
}
