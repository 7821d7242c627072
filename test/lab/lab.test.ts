import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Lab } from '../../src/lab/lab.ts';
import { startLoad } from '../../src/lab/load.ts';
import { type Host, serverPort } from '../../src/lab/plan.ts';
import { labDirectory } from '../../src/lab/records.ts';
import { compileOwner, removeOwner, startOwner } from './owner.ts';
import { remainsOf } from './remains.ts';
import { labUnavailable, skipAll } from './require.ts';

const unavailable = labUnavailable();

skipAll(unavailable);

/** Talks to a server of the lab from a client, with the lines given. */
const ask = (lab: Lab, address: string, request: string): Promise<string> =>
  lab.exec(lab.clients[0]!, [
    process.execPath,
    '-e',
    `require('node:net').connect(${serverPort}, process.argv[1], function () { this.write(process.argv[2]) }).pipe(process.stdout)`,
    address,
    request,
  ]);

/** The name of a namespace, as soon as there is one. */
const netnsLike = (pattern: RegExp): Promise<string> =>
  vi.waitFor(
    () => {
      const name = readdirSync('/run/netns').find((name) => pattern.test(name));
      expect(name).toBeDefined();
      return name!;
    },
    { timeout: 5000, interval: 1 },
  );

/** Whether requests from a host are answered; at least it will have asked for the MAC address. */
const reaches = async (lab: Lab, from: Host, address: string): Promise<boolean> =>
  (await startLoad(lab, from, { address, connections: 1, durationMs: 100 }).done).requests > 0;

/** The median latency in us of the quietest of many short intervals, whatever else this machine is doing. */
async function quietMedianUs(lab: Lab, server: Host): Promise<number> {
  const medians: number[] = [];
  const options = { address: server.address, connections: 1, durationMs: 400, intervalMs: 20 };
  await startLoad(lab, lab.clients[0]!, options, ({ p50Us }) =>
    medians.push(p50Us ?? Number.POSITIVE_INFINITY),
  ).done;
  return Math.min(...medians);
}

describe('a lab', () => {
  let lab: Lab;

  beforeAll(async () => {
    if (!unavailable) lab = await Lab.up({ servers: 2, clients: 2 });
  });
  afterAll(() => lab?.down());

  test('has servers that answer on the vip when clients are pointed at them', async () => {
    for (const server of lab.servers) {
      await lab.directTo(server);
      await ask(lab, lab.vip, `set who 0 0 2\r\n${server.name}\r\nquit\r\n`);
    }
    for (const server of lab.servers) {
      const text = await ask(lab, server.address, 'get who\r\nquit\r\n');
      expect(text).toBe(`VALUE who 0 2\r\n${server.name}\r\nEND\r\n`);
    }
  });

  test('points clients at the load balancer, and lets no server answer ARP for the vip', async () => {
    await lab.throughLoadBalancer();
    const neighbours = await lab.exec(lab.clients[0]!, ['ip', 'neigh', 'show', lab.vip]);
    expect(neighbours).toContain(`lladdr ${lab.lb.mac} PERMANENT`);
    expect(await reaches(lab, lab.lb, lab.vip)).toBe(false);
    expect(await lab.exec(lab.lb, ['ip', 'neigh', 'show', lab.vip])).not.toContain('lladdr');
  });

  test('lets the load balancer resolve servers to the MAC address behind the delay line', async () => {
    const server = lab.servers[1]!;
    expect(await reaches(lab, lab.lb, server.address)).toBe(true);
    expect(await lab.exec(lab.lb, ['ip', 'neigh', 'show', server.address])).toContain(`lladdr ${server.mac}`);
  });

  test('says the truth about interfaces', async () => {
    for (const host of [lab.lb, ...lab.clients, ...lab.servers]) {
      const [link] = JSON.parse(await lab.exec(host, ['ip', '-j', 'link', 'show', host.interface]));
      expect(link).toMatchObject({ ifindex: host.ifindex, address: host.mac });
      const [port] = JSON.parse(await lab.exec(lab.plan.switch, ['ip', '-j', 'link', 'show', host.port]));
      expect(port.ifindex).toBe(host.portIfindex);
    }
    const offload = await lab.exec(lab.plan.switch, ['ethtool', '-k', lab.lb.port]);
    expect(offload).toContain('tx-checksumming: off');
  });

  test.each([0, 250, 1000])(
    'delays the path to a server by %d us, and only that server',
    { retry: 2 },
    async (delayUs) => {
      const [slow, fast] = lab.servers as [Host, Host];
      lab.setDelay(slow, delayUs);
      const [slowUs, fastUs] = [await quietMedianUs(lab, slow), await quietMedianUs(lab, fast)];
      lab.setDelay(slow, 0);
      expect(slowUs).toBeGreaterThanOrEqual(delayUs);
      expect(slowUs).toBeLessThan(delayUs + 300);
      expect(fastUs).toBeLessThan(250);
    },
  );

  test('changes a delay while frames wait in the delay line', async () => {
    const server = lab.servers[0]!;
    lab.setDelay(server, 1_000_000);
    const start = performance.now();
    const reply = ask(lab, server.address, 'version\r\nquit\r\n');
    await new Promise((resolve) => setTimeout(resolve, 300));
    lab.setDelay(server, 0);
    await expect(reply).resolves.toContain('VERSION');
    // The frames of the conversation would have taken a second each.
    expect(performance.now() - start).toBeLessThan(2000);
  });

  test('loses no frame under load', async () => {
    const server = lab.servers[0]!;
    lab.setDelay(server, 1000);
    const options = { address: server.address, connections: 32, depth: 8, durationMs: 500 };
    const summary = await startLoad(lab, lab.clients[0]!, options).done;
    lab.setDelay(server, 0);
    expect(summary.errors).toBe(0);
    expect(lab.delayLine(server)).toMatchObject({ dropped: 0, delayUs: 0 });
    expect(lab.delayLine(server)!.forwarded).toBeGreaterThan(0);
  });

  test('agrees with the servers on how many requests were sent', async () => {
    const server = lab.servers[0]!;
    await lab.directTo(server);
    const counts = async () => {
      const text = await ask(lab, server.address, 'stats\r\nquit\r\n');
      return ['cmd_get', 'cmd_set'].map((name) => Number(new RegExp(`STAT ${name} (\\d+)`).exec(text)![1]));
    };
    const before = await counts();
    const intervals: number[] = [];
    const options = { requestsPerConnection: 20, durationMs: 300, intervalMs: 50 };
    const summary = await startLoad(lab, lab.clients[1]!, options, ({ requests }) => intervals.push(requests))
      .done;
    const after = await counts();
    await lab.throughLoadBalancer();
    expect(summary.errors).toBe(0);
    expect(after.map((count, index) => count - before[index]!)).toEqual([
      summary.get.requests,
      summary.set.requests,
    ]);
    expect(intervals.reduce((a, b) => a + b, 0)).toBe(summary.requests);
  });

  test('plugs cables out and in again', async () => {
    const server = lab.servers[1]!;
    await lab.setLink(server, 'down');
    expect(await reaches(lab, lab.clients[0]!, server.address)).toBe(false);
    await lab.setLink(server, 'up');
    expect(await reaches(lab, lab.clients[0]!, server.address)).toBe(true);
  });

  test('kills the application of a server, whose kernel resets what it had, and starts it again', async () => {
    const server = lab.servers[0]!;
    const before = await lab.segments(server);
    const broken = startLoad(lab, lab.clients[0]!, {
      address: server.address,
      durationMs: 500,
      account: true,
    });
    await new Promise((resolve) => setTimeout(resolve, 200));
    await lab.crash(server);
    await lab.crash(server);
    const { connections } = await broken.done;
    expect(new Set(connections.map(({ end }) => end))).toEqual(new Set(['reset', 'connect_failed']));
    const after = await lab.segments(server);
    expect(after.resetsSent - before.resetsSent).toBeGreaterThanOrEqual(16);
    expect(after.received - before.received).toBeGreaterThan(100);
    await lab.revive(server);
    const options = { address: server.address, durationMs: 100 };
    expect((await startLoad(lab, lab.clients[0]!, options).done).errors).toBe(0);
    expect(await lab.segments(server)).toMatchObject({ resetsSent: after.resetsSent });
  });

  test('gives a server another MAC address, which others learn', async () => {
    const server = lab.servers[1]!;
    const known = () => lab.exec(lab.lb, ['ip', 'neigh', 'show', server.address]);
    expect(await reaches(lab, lab.lb, server.address)).toBe(true);
    expect(await known()).toContain(server.mac);
    for (const mac of ['02:77:00:0f:00:02', server.mac]) {
      await lab.changeMac(server, mac);
      await vi.waitFor(async () => expect(await known()).toContain(mac));
      expect(await reaches(lab, lab.lb, server.address)).toBe(true);
    }
  });

  test('refuses delays that it cannot set', () => {
    expect(() => lab.setDelay(lab.servers[0]!, 1_000_001)).toThrow(
      expect.objectContaining({ code: 'USAGE' }),
    );
    expect(() => lab.setDelay(lab.servers[0]!, -1)).toThrow(expect.objectContaining({ code: 'USAGE' }));
    expect(() => lab.setDelay(lab.lb, 1)).toThrow(expect.objectContaining({ code: 'USAGE' }));
    expect(() => lab.host('s3')).toThrow(expect.objectContaining({ hint: 'it has lb, c1, c2, s1, s2' }));
  });

  test('says what went wrong when a command fails', async () => {
    await expect(lab.exec(lab.lb, ['ip', 'link', 'show', 'eth9'])).rejects.toMatchObject({
      code: 'ENVIRONMENT',
      message: expect.stringContaining('eth9'),
    });
  });
});

describe('labs', () => {
  test('are apart from each other and leave nothing behind', async () => {
    const labs = await Promise.all([Lab.up({ servers: 1 }), Lab.up({ servers: 3, delayLines: false })]);
    const [first, second] = labs as [Lab, Lab];
    const sleeper = second.spawn(second.servers[2]!, ['sleep', '600'], { stdio: 'ignore' });
    const end = once(sleeper, 'close');
    const below = join(labDirectory(first.id), 'state', 'deeper');
    mkdirSync(below, { recursive: true });
    writeFileSync(join(below, 'file'), 'kept by a daemon');
    await first.down();
    expect(remainsOf(first.id)).toEqual([]);
    await expect(ask(second, second.servers[2]!.address, 'version\r\nquit\r\n')).resolves.toContain(
      'VERSION',
    );
    await second.down();
    await end;
    expect(remainsOf(second.id)).toEqual([]);
    await second.down();
  });

  test('have slow servers when they are told so', async () => {
    const lab = await Lab.up({ servers: 1, processingDelayUs: 2000 });
    try {
      expect(lab.application).toBe('kv');
      const server = lab.servers[0]!;
      expect(await quietMedianUs(lab, server)).toBeGreaterThanOrEqual(2000);
      lab.setProcessingDelay(server, 0);
      expect(await quietMedianUs(lab, server)).toBeLessThan(2000);
    } finally {
      await lab.down();
    }
  });

  test('let the kernel of the load balancer answer ARP for the vip when they are told so', async () => {
    const lab = await Lab.up({ servers: 1, vipArp: 'lb', application: 'none' });
    try {
      await reaches(lab, lab.clients[0]!, lab.vip);
      const show = ['ip', 'neigh', 'show', lab.vip];
      expect(await lab.exec(lab.clients[0]!, show)).toContain(`lladdr ${lab.lb.mac}`);
      await lab.directTo(lab.servers[0]!);
      expect(await lab.exec(lab.clients[0]!, show)).toContain(`lladdr ${lab.servers[0]!.mac} PERMANENT`);
      await lab.throughLoadBalancer();
      await reaches(lab, lab.clients[0]!, lab.vip);
      expect(await lab.exec(lab.clients[0]!, show)).toMatch(`lladdr ${lab.lb.mac} `);
    } finally {
      await lab.down();
    }
  });

  test('leave nothing behind when they cannot be set up', async () => {
    const failing = Lab.up({ servers: 1, prefix: 'inb-bad-' }).catch((error) => error);
    const name = await netnsLike(/^inb-bad-.*-s1$/);
    execFileSync('ip', ['netns', 'delete', name]);
    expect(await failing).toMatchObject({ code: 'ENVIRONMENT' });
    expect(remainsOf(name.replace('-s1', ''))).toEqual([]);
  });

  test('stay when they are told so, and can be opened by another process', async () => {
    const lab = await Lab.up({ servers: 1, detached: true });
    const opened = Lab.open(lab.id);
    expect(await Lab.sweep()).not.toContain(lab.id);
    opened.setDelay(opened.servers[0]!, 70);
    expect(lab.delayLine(lab.servers[0]!)).toMatchObject({ delayUs: 70, ready: true });
    await opened.down();
    expect(remainsOf(lab.id)).toEqual([]);
    expect(() => Lab.open(lab.id)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});

describe('a lab whose process is killed', () => {
  beforeAll(() => {
    if (!unavailable) compileOwner();
  });
  afterAll(removeOwner);

  test('is gone within two seconds', async () => {
    const owner = startOwner();
    const id = await owner.id;
    expect(remainsOf(id).length).toBeGreaterThan(5);
    process.kill(owner.pid, 'SIGKILL');
    await vi.waitFor(() => expect(remainsOf(id)).toEqual([]), { timeout: 2000, interval: 50 });
  });

  test.each([0, 40, 80, 120])('is gone when that happened %d ms into setting it up', async (ms) => {
    const owner = startOwner(`ik${ms}-`);
    const id = (await netnsLike(new RegExp(`^ik${ms}-.*-switch$`))).replace('-switch', '');
    await new Promise((resolve) => setTimeout(resolve, ms));
    process.kill(owner.pid, 'SIGKILL');
    await vi.waitFor(() => expect(remainsOf(id)).toEqual([]), { timeout: 2000, interval: 50 });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(remainsOf(id)).toEqual([]);
  });

  test('is swept when what should have removed it was killed, too', async () => {
    const owner = startOwner();
    const id = await owner.id;
    const children = readFileSync(`/proc/${owner.pid}/task/${owner.pid}/children`, 'utf8').trim().split(' ');
    const reaper = children
      .map(Number)
      .find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('reap'));
    process.kill(reaper!, 'SIGKILL');
    process.kill(owner.pid, 'SIGKILL');
    await vi.waitFor(() => expect(existsSync(`/proc/${owner.pid}`)).toBe(false));
    expect(remainsOf(id).length).toBeGreaterThan(5);
    expect(await Lab.sweep()).toContain(id);
    expect(remainsOf(id)).toEqual([]);
  });
});
