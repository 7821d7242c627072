import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Daemon } from '../../src/demo/daemon.ts';
import { Lab } from '../../src/lab/lab.ts';
import { type LoadOptions, startLoad } from '../../src/lab/load.ts';
import { type Host, serverPort } from '../../src/lab/plan.ts';
import { labProgram } from '../../src/lab/requirements.ts';
import { parseAddress } from '../../src/net/address.ts';
import { skipAll } from '../lab/require.ts';
import { buildFrame } from '../support/frames.ts';
import { captureUnavailable } from './require.ts';

const unavailable = captureUnavailable();

skipAll(unavailable);

const capture = ['--datapath', 'capture'];
let lab: Lab;

beforeAll(async () => {
  if (!unavailable) lab = await Lab.up({ servers: 2 });
});
afterAll(() => lab?.down());

const requests = (options: Partial<LoadOptions>) =>
  startLoad(lab, lab.clients[0]!, {
    connections: 8,
    requestsPerConnection: 100,
    durationMs: 800,
    ...options,
  }).done;

/** Runs the load balancer with these flags for as long as `use` takes. */
async function withDaemon<T>(
  flags: readonly string[],
  use: (daemon: Daemon) => Promise<T>,
  policy = 'static',
): Promise<T> {
  const daemon = await Daemon.start(lab, policy, [...capture, ...flags]);
  try {
    return await use(daemon);
  } finally {
    await daemon.stop();
  }
}

/** What takes packets out of packets at a server. */
async function startDecap(server: Host): Promise<ChildProcess> {
  const decap = lab.spawn(server, [labProgram('decap')], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(decap.stdout!, 'data');
  return decap;
}

/** Frames to the load balancer, in hex, that are no packets of a flow of the vip. */
function oddFrames({ lb, clients: [client], vip }: Lab): string {
  const bytesOf = (mac: string) => Uint8Array.from(mac.split(':').map((byte) => Number.parseInt(byte, 16)));
  const base = { dstMac: bytesOf(lb.mac), srcMac: bytesOf(client!.mac), src: parseAddress(client!.address)! };
  const dst = parseAddress(vip)!;
  const tcp = { srcPort: 5_000, dstPort: serverPort };
  const shortHeader = buildFrame({ ...base, dst, tcp });
  shortHeader[14] = 0x41;
  const frames = [
    shortHeader,
    buildFrame({ ...base, dst, tcp, fragment: { offset: 8, more: false } }),
    buildFrame({ ...base, dst, tcp: { ...tcp, dstPort: 9 } }),
    buildFrame({ ...base, dst }),
  ];
  return frames.map((frame) => Buffer.from(frame).toString('hex')).join('\n');
}

const ip = (host: Host, command: string) => lab.exec(host, ['ip', ...command.split(' ')]);

/** Whether an interface captures what is not for it, as it does as long as somebody captures. */
const isPromiscuous = async (host: Host): Promise<boolean> =>
  JSON.parse(await ip(host, '-j -d link show dev eth0'))[0].promiscuity > 0;

describe('the load balancer on captured frames', () => {
  test('forwards all requests to real servers, measures them, and accounts for every packet', () =>
    withDaemon([], async (daemon) => {
      const { requests: answered, errors } = await requests({});
      expect(answered).toBeGreaterThan(100);
      expect(errors).toBe(0);
      const { datapath, packets, flows, vips } = await daemon.status();
      expect(datapath).toMatchObject({ name: 'capture', mode: 'l2', reason: '' });
      const sent = vips[0]!.backends.map((backend) => backend.packets);
      expect(Math.min(...sent)).toBeGreaterThan(0);
      expect(packets.tx).toBe(sent[0]! + sent[1]!);
      expect(packets.tx).toBeGreaterThan(answered);
      // Backends are asked whether they live, too.
      const elsewhere = Object.entries(packets).filter(
        ([name, count]) => name !== 'tx' && name !== 'probe' && count > 0,
      );
      expect(elsewhere).toEqual([]);
      expect(flows.created).toBeGreaterThan(8);
      for (const { latency } of vips[0]!.backends) {
        expect(latency.handshake!.samples).toBeGreaterThan(0);
        expect(latency.handshake!.p50_ns).toBeGreaterThan(1_000);
      }
    }));

  test('moves new flows away from the server whose path became slower', () =>
    withDaemon(
      [],
      async (daemon) => {
        const server = lab.servers[1]!;
        const load = requests({ durationMs: 4_000 });
        try {
          await sleep(1_000);
          lab.setDelay(server, 2_000);
          await vi.waitFor(
            async () => {
              const share = (await daemon.history()).map((change) => change.share[1]!);
              expect(Math.min(...share)).toBeLessThan(0.2);
            },
            { timeout: 3_000, interval: 50 },
          );
        } finally {
          lab.setDelay(server, 0);
          expect((await load).errors).toBe(0);
        }
      },
      'balance',
    ));

  test('keeps what the packages use, however often garbage is collected', async () => {
    const collector = new URL('collect.mjs', import.meta.url).href;
    const prefix = ['env', `NODE_OPTIONS=--import=${collector}`];
    const backends = [lab.servers[0]!.address, `${lab.servers[1]!.address},encap=ipip`];
    const decap = await startDecap(lab.servers[1]!);
    const daemon = await Daemon.start(lab, 'static', capture, { prefix, backends });
    try {
      await ip(lab.lb, 'link set eth0 down');
      await ip(lab.lb, 'link set eth0 up');
      await sleep(500);
      const load = { connections: 32, requestsPerConnection: 20, durationMs: 2_000 };
      expect((await requests(load)).errors).toBe(0);
      const { packets } = await daemon.status();
      expect(Math.min(packets.tx!, packets.ipip!)).toBeGreaterThan(0);
    } finally {
      await daemon.stop();
      decap.kill();
    }
  });

  test('goes on as another user', () =>
    withDaemon(['--user', 'nobody'], async (daemon) => {
      expect((await requests({ durationMs: 300 })).errors).toBe(0);
      expect((await daemon.status()).packets.tx).toBeGreaterThan(0);
    }));

  test('drops frames that make no sense, says why, and goes on', () =>
    withDaemon([], async (daemon) => {
      await lab.exec(
        lab.clients[0]!,
        [process.execPath, fileURLToPath(new URL('odd-frames.mjs', import.meta.url))],
        oddFrames(lab),
      );
      await vi.waitFor(async () => {
        const { packets } = await daemon.status();
        expect(packets).toMatchObject({ malformed: 1, fragment: 1, not_vip: 1, not_tcp_or_udp: 1, tx: 0 });
      });
      expect((await requests({ durationMs: 300 })).errors).toBe(0);
    }));

  test('streams samples', () =>
    withDaemon([], async (daemon) => {
      const load = requests({ durationMs: 600 });
      for await (const sample of daemon.samples()) {
        expect(sample.latency_ns).toBeGreaterThan(0);
        expect(lab.servers.map(({ address }) => address)).toContain(sample.backend);
        break;
      }
      await load;
    }));

  test('answers ARP for the vip when it is asked to', () =>
    withDaemon(['--answer-arp'], async (daemon) => {
      const client = lab.clients[0]!;
      await ip(client, `neigh del ${lab.vip} dev eth0`);
      try {
        expect((await requests({ durationMs: 300 })).errors).toBe(0);
        expect(await ip(client, `neigh show ${lab.vip}`)).toContain(lab.lb.mac);
        expect((await daemon.status()).packets.arp_answered).toBeGreaterThan(0);
      } finally {
        await lab.throughLoadBalancer();
      }
    }));

  test('goes on when its interface was down, and when it is another one', () =>
    withDaemon([], async (daemon) => {
      const states = async () => (await daemon.status()).vips[0]!.backends.map(({ state }) => state);
      const until = (state: string) =>
        vi.waitFor(async () => expect(await states()).toEqual([state, state]), {
          timeout: 5_000,
          interval: 50,
        });
      await ip(lab.lb, 'link set eth0 down');
      await until('unusable');
      expect((await daemon.status()).vips[0]!.backends[0]!.obstacle).toContain('down');
      await ip(lab.lb, 'link set eth0 up');
      await until('up');
      expect((await requests({ durationMs: 300 })).errors).toBe(0);
      await ip(lab.lb, 'link set eth0 down');
      await ip(lab.lb, 'link set eth0 up');
      await sleep(300);
      expect((await requests({ durationMs: 300 })).errors).toBe(0);
      await ip(lab.lb, 'link set eth0 down');
      await ip(lab.lb, 'link set eth0 name other');
      await vi.waitFor(async () => {
        expect((await daemon.status()).vips[0]!.backends[0]!.obstacle).toContain('gone');
      });
      await ip(lab.lb, 'link set other name eth0');
      await ip(lab.lb, 'link set eth0 up');
      await until('up');
      expect((await requests({ durationMs: 300 })).errors).toBe(0);
    }));

  test('takes a backend without a neighbour out of the pool, and back in', () =>
    withDaemon([], async (daemon) => {
      const away = lab.servers[1]!;
      const backend = async () => (await daemon.status()).vips[0]!.backends[1]!;
      await lab.setLink(away, 'down');
      await ip(lab.lb, `neigh flush to ${away.address} dev eth0`);
      await vi.waitFor(async () => expect((await backend()).obstacle).toContain('no neighbour entry'), {
        timeout: 5_000,
        interval: 50,
      });
      const { packets } = await backend();
      expect((await requests({ durationMs: 300 })).errors).toBe(0);
      expect((await backend()).packets).toBe(packets);
      await lab.setLink(away, 'up');
      await vi.waitFor(async () => expect((await backend()).state).toBe('up'), {
        timeout: 5_000,
        interval: 50,
      });
    }));

  test('ends without a trace when it is killed', async () => {
    const daemon = await Daemon.start(lab, 'static', capture);
    expect(await isPromiscuous(lab.lb)).toBe(true);
    process.kill(daemon.pid, 'SIGKILL');
    await expect(daemon.failed()).rejects.toThrow();
    expect(await isPromiscuous(lab.lb)).toBe(false);
    await withDaemon([], async () => expect((await requests({ durationMs: 300 })).errors).toBe(0));
    expect(await isPromiscuous(lab.lb)).toBe(false);
  });
});

test('a backend behind IP-in-IP gets packets that the kernel routes, next to one that gets frames', async () => {
  const [framed, tunnelled] = lab.servers;
  const decap = await startDecap(tunnelled!);
  const backends = [framed!.address, `${tunnelled!.address},encap=ipip`];
  const daemon = await Daemon.start(lab, 'static', ['--datapath', 'auto'], { backends });
  try {
    const { requests: answered, errors } = await requests({});
    expect(answered).toBeGreaterThan(100);
    expect(errors).toBe(0);
    const { datapath, packets, vips } = await daemon.status();
    expect(datapath).toMatchObject({ name: 'capture', mode: 'l2+ipip' });
    expect(datapath.reason).toContain('encap=ipip');
    expect([packets.tx, packets.ipip]).toEqual(vips[0]!.backends.map((backend) => backend.packets));
    // Checks go the same ways.
    await vi.waitFor(
      async () => {
        const { backends: checked } = (await daemon.status()).vips[0]!;
        expect(checked.map(({ health }) => health.state)).toEqual(['up', 'up']);
      },
      { timeout: 20_000, interval: 100 },
    );
    expect(packets.ipip).toBeGreaterThan(0);
  } finally {
    await daemon.stop();
    decap.kill();
  }
});

describe('with CAP_NET_RAW alone', () => {
  const prefix = ['setpriv', '--bounding-set=-all,+net_raw', '--inh-caps=-all,+net_raw'];

  test('frames are captured where XDP is not allowed, and status says why', async () => {
    const daemon = await Daemon.start(lab, 'static', ['--datapath', 'auto'], { prefix });
    try {
      expect((await requests({})).errors).toBe(0);
      const { datapath } = await daemon.status();
      expect(datapath).toMatchObject({ name: 'capture', mode: 'l2' });
      expect(datapath.reason).toMatch(/^no XDP: .*not permitted/);
    } finally {
      await daemon.stop();
    }
  });

  test('and without it, the error says what XDP lacks and what capturing lacks', async () => {
    const none = ['setpriv', '--bounding-set=-all', '--inh-caps=-all'];
    await expect(Daemon.start(lab, 'static', ['--datapath', 'auto'], { prefix: none })).rejects.toMatchObject(
      {
        code: 'PERMISSION',
        hint: expect.stringContaining('CAP_NET_RAW'),
      },
    );
    await expect(Daemon.start(lab, 'static', capture, { prefix: none })).rejects.toMatchObject({
      code: 'PERMISSION',
      message: expect.stringContaining('capture on eth0'),
    });
  });
});

describe('the datapath refuses to start, and names the command that helps,', () => {
  const refusal = async (prepare: string[], undo: string[]) => {
    await lab.exec(lab.lb, prepare);
    const error = await Daemon.start(lab, 'static', capture).then(
      async (daemon) => {
        await daemon.stop();
        return undefined;
      },
      (thrown: Error) => thrown,
    );
    // The hint is the command that undoes it.
    const { hint = '' } = (error ?? {}) as { hint?: string };
    await lab.exec(lab.lb, undo);
    return { error, hint };
  };

  test('when the vip is an address of this machine', async () => {
    const { error, hint } = await refusal(
      ['ip', 'addr', 'add', `${lab.vip}/32`, 'dev', 'lo'],
      ['ip', 'addr', 'del', `${lab.vip}/32`, 'dev', 'lo'],
    );
    expect(error).toMatchObject({ code: 'ENVIRONMENT', message: expect.stringContaining('address of lo') });
    expect(hint).toBe(`ip address del ${lab.vip}/32 dev lo`);
  });

  test('when the kernel forwards, too', async () => {
    const setting = 'net.ipv4.conf.eth0.forwarding';
    const { error, hint } = await refusal(
      ['sysctl', '-qw', `${setting}=1`],
      ['sysctl', '-qw', `${setting}=0`],
    );
    expect(error).toMatchObject({
      code: 'ENVIRONMENT',
      message: expect.stringContaining('forwarding is on'),
    });
    expect(hint).toBe(`sysctl -w ${setting}=0`);
  });

  test('when packets are merged on arrival', async () => {
    const { error, hint } = await refusal(
      ['ethtool', '-K', 'eth0', 'gro', 'on'],
      ['ethtool', '-K', 'eth0', 'gro', 'off'],
    );
    expect(error).toMatchObject({ code: 'ENVIRONMENT', message: expect.stringContaining('GRO is on') });
    expect(hint).toBe('ethtool -K eth0 gro off');
  });
});
