import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BackendAnswer, BackendsAnswer } from '../../src/admin/answers.ts';
import { ask } from '../../src/admin/client.ts';
import { Daemon } from '../../src/demo/daemon.ts';
import { Lab } from '../../src/lab/lab.ts';
import { startLoad } from '../../src/lab/load.ts';
import { type Host, serverPort } from '../../src/lab/plan.ts';
import { labDirectory } from '../../src/lab/records.ts';
import { daemonUnavailable, skipAll } from '../lab/require.ts';

const unavailable = daemonUnavailable();
/** Longer than anything takes here: only what never happens fails. */
const patienceMs = 20_000;

/** Writes a file that goes away with the lab; its path. */
function inLab(lab: Lab, name: string, text: string): string {
  const path = join(labDirectory(lab.id), name);
  writeFileSync(path, text);
  return path;
}

/** A lab and a daemon in it with this section `health`. */
class Rig {
  readonly lab: Lab;
  readonly daemon: Daemon;

  private constructor(lab: Lab, daemon: Daemon) {
    this.lab = lab;
    this.daemon = daemon;
  }

  /** @param udpPort of a second vip with the same servers, which is the one that `of` tells about */
  static async up(
    health: string,
    options: Parameters<typeof Lab.up>[0],
    datapath = 'xdp',
    udpPort?: number,
  ): Promise<Rig> {
    const lab = await Lab.up(options);
    try {
      return new Rig(lab, await Rig.start(lab, health, datapath, udpPort));
    } catch (error) {
      await lab.down();
      throw error;
    }
  }

  static start(lab: Lab, health: string, datapath: string, udpPort?: number): Promise<Daemon> {
    const pool = `pool: { backends: [${lab.servers.map(({ address }) => address).join(', ')}] }`;
    const vips = `vips: [{ address: ${lab.vip}:${serverPort}/tcp, ${pool} }]`;
    const second = udpPort === undefined ? [] : ['--vip', `${lab.vip}:${udpPort}/udp`];
    const file = inLab(lab, 'lb.yaml', `interface: eth0\n${vips}\nhealth: ${health}\n`);
    return Daemon.start(lab, 'static', ['--config', file, '--datapath', datapath, ...second]);
  }

  async down(): Promise<void> {
    await this.daemon.stop();
    await this.lab.down();
  }

  async backends(): Promise<Map<string, BackendAnswer>> {
    const { backends } = await ask<BackendsAnswer>(
      join(labDirectory(this.lab.id), 'inband.sock'),
      '/backends',
    );
    return new Map(backends.map((one) => [one.backend, one]));
  }

  async of({ address }: Host): Promise<BackendAnswer> {
    return (await this.backends()).get(address)!;
  }

  /** Waits until a server is as wanted; how it is then. */
  async until(server: Host, isWanted: (backend: BackendAnswer) => boolean): Promise<BackendAnswer> {
    for (const giveUp = performance.now() + patienceMs; ; await sleep(20)) {
      const backend = await this.of(server);
      if (isWanted(backend)) return backend;
      if (performance.now() > giveUp) throw new Error(`still ${JSON.stringify(backend)}`);
    }
  }

  /** Waits until a server has all the slots that are its own. */
  async untilUp(): Promise<void> {
    for (const server of this.lab.servers) {
      await this.until(server, ({ health, slots }) => health.state === 'up' && slots > 1_000);
    }
  }

  isOut = ({ slots }: BackendAnswer): boolean => slots === 0;
}

/** Connections that are made anew again and again, until it is stopped. */
const busy = {
  connections: 32,
  requestsPerConnection: 10,
  thinkUs: 1_000,
  durationMs: 60_000,
  timeoutMs: 5_000,
};

/** What a server says to the client is lost from now on, or no more. */
const blackhole = (lab: Lab, server: Host, change: 'add' | 'del') =>
  lab.exec(server, ['ip', 'route', change, 'blackhole', lab.clients[0]!.address]);

skipAll(unavailable);

describe('checks by handshake and what clients tell, before memcached', () => {
  let rig: Rig;
  beforeAll(async () => {
    if (unavailable) return;
    const health =
      '{ interval: 500ms, timeout: 200ms, slow_start: 100ms, passive: { ejection: 1s, ejection_max: 1s } }';
    rig = await Rig.up(health, { servers: 3 });
  });
  afterAll(() => rig?.down());

  test('all servers come up, and their applications see no connection of a check', async () => {
    await rig.untilUp();
    for (const server of rig.lab.servers) {
      expect((await rig.of(server)).health).toMatchObject({ check: 'tcp', ejected: null });
      const sockets = await rig.lab.exec(server, ['cat', '/proc/net/snmp']);
      const [names, values] = sockets.split('\n').filter((line) => line.startsWith('Tcp:'));
      const at = names!.split(' ').indexOf('PassiveOpens');
      expect(values!.split(' ')[at]).toBe('0');
    }
  });

  test('a server that was killed is down, the others take its flows, and it comes back', async () => {
    const [, killed] = rig.lab.servers;
    await rig.untilUp();
    await rig.lab.crash(killed!);
    const down = await rig.until(killed!, ({ health }) => health.state === 'down');
    expect(down.health.reason).toBe('connection refused');
    const out = await rig.until(killed!, rig.isOut);
    const load = await startLoad(rig.lab, rig.lab.clients[0]!, {
      requestsPerConnection: 10,
      durationMs: 500,
    }).done;
    expect(load).toMatchObject({ errors: 0 });
    expect(load.connects).toBeGreaterThan(100);
    expect((await rig.of(killed!)).flows_begun).toBe(out.flows_begun);
    await rig.lab.revive(killed!);
    await rig.until(killed!, ({ health, slots }) => health.state === 'up' && slots > 1_000);
  });

  test("a server whose cable is out gets no new flow, by its clients' packets or by checks", async () => {
    const [, , cut] = rig.lab.servers;
    await rig.untilUp();
    const load = startLoad(rig.lab, rig.lab.clients[0]!, busy);
    try {
      await sleep(300);
      await rig.lab.setLink(cut!, 'down');
      const out = await rig.until(cut!, rig.isOut);
      await sleep(500);
      expect((await rig.of(cut!)).flows_begun).toBe(out.flows_begun);
      const down = await rig.until(cut!, ({ health }) => health.state === 'down');
      expect(down.health.reason).toMatch(/^(no SYN-ACK|nothing could be sent there) within 200ms/);
    } finally {
      load.stop();
      await rig.lab.setLink(cut!, 'up');
      await load.done;
    }
    await rig.untilUp();
  });

  test('a server that answers checks and no client is out all the same', async () => {
    const [cut] = rig.lab.servers;
    await rig.untilUp();
    const load = startLoad(rig.lab, rig.lab.clients[0]!, busy);
    try {
      await sleep(300);
      await blackhole(rig.lab, cut!, 'add');
      // A check ends the first ejection at once, and is not believed again: the second is of a second.
      const isLasting = ({ health: { ejected } }: BackendAnswer) =>
        ejected !== null && Date.parse(ejected.until) - Date.now() < 700;
      const { health, slots } = await rig.until(cut!, isLasting);
      expect(health).toMatchObject({ state: 'up', reason: expect.stringMatching(/^SYN-ACK after/) });
      expect(slots).toBe(0);
    } finally {
      await blackhole(rig.lab, cut!, 'del');
      load.stop();
      await load.done;
    }
    await rig.untilUp();
  });
});

describe('what clients tell alone', () => {
  let rig: Rig;
  beforeAll(async () => {
    if (unavailable) return;
    rig = await Rig.up('{ check: none, slow_start: 100ms, passive: { ejection: 2s } }', { servers: 3 });
  });
  afterAll(() => rig?.down());

  test('a server that does not answer is ejected for a while, with the reason, and then tried again', async () => {
    const [, , cut] = rig.lab.servers;
    const load = startLoad(rig.lab, rig.lab.clients[0]!, busy);
    try {
      await sleep(500);
      // What it says to clients is lost from now on.
      await blackhole(rig.lab, cut!, 'add');
      const { health, slots } = await rig.until(cut!, ({ health: { ejected } }) => ejected !== null);
      expect(health).toMatchObject({ state: 'unchecked', ejected: { times: 1 } });
      expect(health.ejected!.reason).toMatch(/^\d+ (SYNs sent again and no handshake|segments sent again)/);
      expect(slots).toBe(0);
      await blackhole(rig.lab, cut!, 'del');
      await rig.until(cut!, ({ health: { ejected }, slots: held }) => ejected === null && held > 1_000);
    } finally {
      load.stop();
      await load.done;
    }
  });
});

/** An HTTP server for a namespace: the file that it reads at each request says what it answers. */
const httpServer = `
const { readFileSync } = require('node:fs');
require('node:http')
  .createServer((request, response) => {
    const code = Number(readFileSync(process.argv[1], 'utf8'));
    if (code === 0) return;
    response.writeHead(request.url === '/healthz' ? code : 404).end('a page of its own\\n');
  })
  .listen(${serverPort}, '0.0.0.0');
`;

describe.each(['xdp', 'capture'])(
  'checks by HTTP with the %s datapath, before a server of pages',
  (datapath) => {
    let rig: Rig;
    let file = '';
    const serve = (server: Host) => rig.lab.spawn(server, [process.execPath, '-e', httpServer, file]);

    beforeAll(async () => {
      if (unavailable) return;
      const health =
        '{ check: http, http: { path: /healthz }, interval: 500ms, timeout: 250ms, slow_start: 100ms }';
      rig = await Rig.up(health, { servers: 1, application: 'none' }, datapath);
      file = inLab(rig.lab, 'status', '200');
    });
    afterAll(() => rig?.down());

    test('follow what the application says', async () => {
      const [server] = rig.lab.servers;
      await rig.until(server!, ({ health }) => health.reason === 'connection refused');
      const first = serve(server!);
      await rig.until(server!, ({ health }) => health.state === 'up');
      expect((await rig.of(server!)).health.reason).toMatch(/^HTTP 200 after /);
      inLab(rig.lab, 'status', '503');
      const failing = await rig.until(server!, ({ health }) => health.state === 'down');
      expect(failing.health.reason).toBe('HTTP 503');
      inLab(rig.lab, 'status', '0');
      await rig.until(server!, ({ health }) => health.reason === 'no answer to the request within 250ms');
      inLab(rig.lab, 'status', '200');
      await rig.until(server!, ({ health }) => health.state === 'up');
      first.kill('SIGKILL');
      await rig.until(server!, ({ health }) => health.state === 'down');
      const second = serve(server!);
      await rig.until(server!, ({ health }) => health.state === 'up');
      second.kill('SIGKILL');
    });
  },
);

/** Answers datagrams to the vip with themselves, from the vip's address. */
const echoServer = (vip: string, port: number) => `
const socket = require('node:dgram').createSocket('udp4');
socket.on('message', (content, { port, address }) => socket.send(content, port, address));
socket.bind(${port}, '${vip}');
`;

describe('checks by datagram, before a server that sends back what it gets', () => {
  const port = 5_300;
  let rig: Rig;
  beforeAll(async () => {
    if (unavailable) return;
    const health = '{ udp: { send: ping, expect: pi }, interval: 500ms, timeout: 200ms, slow_start: 100ms }';
    rig = await Rig.up(health, { servers: 1, application: 'none' }, 'xdp', port);
  });
  afterAll(() => rig?.down());

  test('follow what the application does', async () => {
    const [server] = rig.lab.servers;
    const down = await rig.until(server!, ({ health }) => health.state === 'down');
    expect(down.health).toMatchObject({ check: 'udp', reason: 'no answer within 200ms' });
    const echo = rig.lab.spawn(server!, [process.execPath, '-e', echoServer(rig.lab.vip, port)]);
    const up = await rig.until(server!, ({ health }) => health.state === 'up');
    expect(up.health.reason).toMatch(/^answer after /);
    echo.kill('SIGKILL');
    await rig.until(server!, ({ health }) => health.state === 'down');
  });
});
