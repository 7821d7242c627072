import { beforeEach, describe, expect, test } from 'vitest';
import type { ProbeSource } from '../../src/datapath/datapath.ts';
import type { BackendHealth } from '../../src/health/health.ts';
import { beginsMax, type HealthBackend, HealthMonitor } from '../../src/health/monitor.ts';
import { tcpPacket } from '../../src/health/packets.ts';
import { portFirst, portLast } from '../../src/health/ports.ts';
import { type HealthSettings, healthDefault } from '../../src/health/settings.ts';
import { type Address, formatAddress } from '../../src/net/address.ts';
import { tcpAck, tcpSyn } from '../../src/net/packet.ts';
import { Random } from '../../src/sim/random.ts';
import type { Ns } from '../../src/units.ts';
import { GivenSignals } from '../control/signals.ts';
import { ip } from '../support/frames.ts';
import { decoded, FakeServer, ms, udpVip, vip } from './support.ts';

/** How often a monitor is polled, in ms. */
const pollMs = 10;

/** A monitor of servers that a test holds, in time that a test moves. An answer takes a millisecond. */
class Scene {
  atMs = 0;
  readonly servers = new Map<number, FakeServer>();
  readonly signals = new Map<number, GivenSignals>();
  readonly log: Record<string, unknown>[] = [];
  readonly changes: string[] = [];
  readonly listening: string[] = [];
  readonly blocked = new Map<number, string>();
  source: Address | undefined = ip('10.0.0.5');
  sent = 0;
  last: Uint8Array | undefined;
  ports: number[] = [];
  readonly monitor: HealthMonitor;
  #listener: (packet: Uint8Array) => void = () => {};
  readonly #pending: { atMs: number; packet: Uint8Array }[] = [];

  constructor() {
    const random = new Random(1, 1);
    const write = (line: Record<string, unknown>) => this.log.push(line);
    this.monitor = new HealthMonitor({
      datapath: {
        sendProbe: (number, packet) => this.#send(number, packet),
        listenProbes: (source, listener) => this.#listen(source, listener),
        obstacle: (number) => this.blocked.get(number),
      },
      log: { info: write as never, warn: write as never },
      interface: 'eth0',
      now: () => this.now,
      sourceOf: () => this.source,
      random: () => random.next(),
    });
    this.monitor.onChange = (number, { state, ejected }, gradual) =>
      this.changes.push(`${number} ${ejected ? 'ejected' : state}${gradual ? ' gradual' : ''}`);
  }

  get now(): Ns {
    return ms(this.atMs);
  }

  #listen(
    { address, portFirst: first, portLast: last }: ProbeSource,
    listener: (packet: Uint8Array) => void,
  ): void {
    this.listening.push(`${formatAddress(address.family, ...address.words)} ${first}-${last}`);
    this.#listener = listener;
  }

  #send(number: number, packet: Uint8Array): boolean {
    if (this.blocked.has(number)) return false;
    this.sent++;
    this.last = packet;
    this.ports.push(decoded(packet).srcPort);
    for (const reply of this.servers.get(number)!.reply(packet)) {
      this.#pending.push({ atMs: this.atMs + 1, packet: reply });
    }
    return true;
  }

  /** Backends with these numbers, whose servers are made if there are none. */
  backends(numbers: readonly number[], rest: Partial<HealthBackend> = {}): HealthBackend[] {
    return numbers.map((number) => {
      if (!this.servers.has(number)) this.servers.set(number, new FakeServer());
      if (!this.signals.has(number)) this.signals.set(number, new GivenSignals());
      const signals = this.signals.get(number)!;
      return { number, name: `10.0.1.${number}`, checked: true, startsUp: false, signals, ...rest };
    });
  }

  configure(settings: Partial<HealthSettings>, backends: readonly HealthBackend[], endpoint = vip): void {
    this.monitor.configure([{ endpoint, settings: { ...healthDefault, ...settings }, backends }]);
  }

  /** A packet comes in. */
  deliver(packet: Uint8Array): void {
    this.#listener(packet);
  }

  /** Time goes on by so long. */
  run(forMs: number, each: () => void = () => {}): void {
    for (const endMs = this.atMs + forMs; this.atMs < endMs; ) {
      this.atMs++;
      const due = this.#pending.filter(({ atMs }) => atMs <= this.atMs);
      for (const one of due) this.#pending.splice(this.#pending.indexOf(one), 1);
      for (const { packet } of due) this.#listener(packet);
      if (this.atMs % pollMs !== 0) continue;
      each();
      for (const one of this.signals.values()) one.update(this.atMs * 1e6);
      this.monitor.poll(this.now);
    }
  }

  state(number: number): BackendHealth['state'] {
    return this.monitor.of(number).state;
  }

  server(number: number): FakeServer {
    return this.servers.get(number)!;
  }

  /** A client that the backend serves. */
  serve(number: number): void {
    const signals = this.signals.get(number)!;
    signals.flows++;
    signals.handshakes++;
    signals.segments++;
    signals.answer(1);
  }
}

let scene: Scene;
beforeEach(() => {
  scene = new Scene();
});

describe('a backend', () => {
  test('takes no flows until it has passed a check', () => {
    scene.configure({}, scene.backends([1, 2]));
    expect(scene.state(1)).toBe('starting');
    expect(scene.monitor.isUsable(1)).toBe(false);
    scene.run(20);
    expect(scene.state(1)).toBe('up');
    expect(scene.monitor.isUsable(1)).toBe(true);
    expect(scene.changes).toEqual(['1 up', '2 up']);
    expect(scene.monitor.of(1)).toMatchObject({ check: 'tcp', reason: 'SYN-ACK after 1ms', ejected: null });
    expect(scene.server(1).seen).toEqual([expect.stringMatching(/^SYN /), expect.stringMatching(/^RST /)]);
  });

  test('that served before the daemon came is up at once, and down when checks say so', () => {
    scene.backends([1]);
    scene.server(1).behaviour = 'closed';
    scene.configure({}, scene.backends([1], { startsUp: true }));
    expect(scene.state(1)).toBe('up');
    scene.run(10_000);
    expect(scene.monitor.of(1)).toMatchObject({ state: 'down', reason: 'connection refused' });
  });

  test('that falls silent is down within interval * fall, with the reason, and is told once', () => {
    scene.configure({}, scene.backends([1, 2]));
    scene.run(5_000);
    scene.server(1).behaviour = 'silent';
    scene.log.length = 0;
    const diedMs = scene.atMs;
    scene.run(6_000);
    const health = scene.monitor.of(1);
    expect(health).toMatchObject({ state: 'down', reason: 'no SYN-ACK within 1s' });
    expect(health.sinceNs / 1e6 - diedMs).toBeLessThanOrEqual(6_000);
    scene.run(10_000);
    expect(scene.log).toEqual([
      {
        event: 'backend_down',
        vip: '10.0.0.100:80/tcp',
        backend: '10.0.1.1',
        reason: 'no SYN-ACK within 1s',
      },
    ]);
    expect(scene.state(2)).toBe('up');
  });

  test('that comes back is up after `rise` checks, and gets its share slowly', () => {
    scene.configure({ rise: 3 }, scene.backends([1, 2]));
    scene.run(100);
    scene.server(1).behaviour = 'closed';
    scene.run(10_000);
    scene.changes.length = 0;
    scene.server(1).behaviour = 'open';
    scene.run(2_100);
    expect(scene.state(1)).toBe('down');
    scene.run(5_000);
    expect(scene.changes).toEqual(['1 up gradual']);
  });

  test('survives a single lost check', () => {
    scene.configure({}, scene.backends([1]));
    scene.run(100);
    for (let i = 0; i < 5; i++) {
      scene.server(1).behaviour = 'silent';
      scene.run(2_000);
      scene.server(1).behaviour = 'open';
      scene.run(4_000);
    }
    expect(scene.changes).toEqual(['1 up']);
    expect(scene.monitor.countsOf(1).failed).toBeGreaterThan(0);
  });

  test('that nothing can be sent to is down, and the reason of the datapath is told', () => {
    scene.configure({}, scene.backends([1]));
    scene.blocked.set(1, 'no neighbour 10.0.1.1');
    scene.run(10_000);
    expect(scene.monitor.of(1)).toMatchObject({
      state: 'down',
      reason: 'nothing could be sent there within 1s: no neighbour 10.0.1.1',
    });
  });

  test('is asked for a page, and its answer counts', () => {
    scene.configure({ check: 'http' }, scene.backends([1, 2]));
    scene.server(2).answer = 'HTTP/1.1 503 Service Unavailable\r\n\r\n';
    scene.run(6_000);
    expect(scene.monitor.of(1)).toMatchObject({ state: 'up', check: 'http' });
    expect(scene.monitor.of(2)).toMatchObject({ state: 'down', reason: 'HTTP 503' });
    expect(scene.server(1).requests).toBeGreaterThan(1);
    expect(scene.server(1).seen.at(-1)).toMatch(/^FIN ACK/);
  });

  test('is asked by datagram', () => {
    scene.configure({ udp: { send: 'ping', expect: 'HTTP' } }, scene.backends([1, 2]), udpVip);
    scene.server(2).answer = undefined;
    scene.run(6_000);
    expect(scene.monitor.of(1)).toMatchObject({ state: 'up', check: 'udp' });
    expect(scene.monitor.of(2)).toMatchObject({ state: 'down', reason: 'no answer within 1s' });
  });

  test('that nobody is to check is taken as it is', () => {
    scene.configure({ check: 'none' }, scene.backends([1]));
    scene.run(5_000);
    expect(scene.sent).toBe(0);
    expect(scene.monitor.isUsable(1)).toBe(true);
    expect(scene.monitor.of(1)).toMatchObject({ state: 'unchecked', reason: 'no check is configured' });
    expect(scene.monitor.isUsable(99)).toBe(true);
    expect(scene.monitor.of(99).reason).toBe('not watched');
  });
});

describe('a reconfiguration', () => {
  test('keeps what is known of backends that stay', () => {
    scene.configure({}, scene.backends([1, 2]));
    scene.run(100);
    scene.server(2).behaviour = 'closed';
    scene.run(10_000);
    const before = [{ ...scene.monitor.of(1) }, { ...scene.monitor.of(2) }];
    scene.configure({ timeoutNs: ms(500) }, scene.backends([1, 2, 3]));
    expect([scene.monitor.of(1), scene.monitor.of(2)]).toEqual(before);
    expect(scene.state(3)).toBe('starting');
  });

  test('a number that another backend has now is not taken for the one before', () => {
    scene.configure({}, scene.backends([1]));
    scene.run(100);
    scene.configure({}, scene.backends([1], { name: '10.0.1.77' }));
    expect(scene.state(1)).toBe('starting');
  });

  test('maintenance ends checks, and a backend that comes from it must pass one again', () => {
    scene.configure({}, scene.backends([1, 2]));
    scene.run(100);
    scene.configure({}, scene.backends([1, 2], { checked: false }));
    expect(scene.monitor.of(1)).toMatchObject({ state: 'unchecked', reason: 'in maintenance' });
    const { sent } = scene;
    scene.run(10_000);
    expect(scene.sent).toBe(sent);
    scene.changes.length = 0;
    scene.configure({}, scene.backends([1, 2]));
    expect(scene.monitor.isUsable(1)).toBe(false);
    scene.run(100);
    expect(scene.changes).toEqual(['1 up gradual', '2 up gradual']);
  });

  test('that begins to check keeps backends in use until checks say otherwise', () => {
    scene.configure({ check: 'none' }, scene.backends([1, 2]));
    scene.run(100);
    scene.server(2).behaviour = 'closed';
    scene.configure({}, scene.backends([1, 2]));
    expect(scene.monitor.isUsable(1)).toBe(true);
    scene.run(10_000);
    expect([scene.state(1), scene.state(2)]).toEqual(['up', 'down']);
  });

  test('while a check is under way loses nothing and leaves no port taken', () => {
    scene.configure({ check: 'http' }, scene.backends([1]));
    scene.server(1).behaviour = 'silent';
    for (let i = 0; i < 200; i++) {
      scene.run(30);
      scene.configure({ check: 'http' }, scene.backends(i % 2 === 0 ? [] : [1]));
    }
    scene.server(1).behaviour = 'open';
    scene.configure({ check: 'http' }, scene.backends([1]));
    scene.run(5_000);
    expect(scene.state(1)).toBe('up');
  });

  test('after it ends nothing is sent', () => {
    scene.configure({}, scene.backends([1]));
    scene.monitor.close();
    scene.run(5_000);
    expect(scene.sent).toBe(0);
  });
});

describe('where checks come from', () => {
  test('the address of the interface, and ports of their own', () => {
    scene.configure({}, scene.backends([1]));
    scene.run(60_000);
    expect(scene.listening).toEqual([`10.0.0.5 ${portFirst}-${portLast}`]);
    expect(scene.ports.every((port) => port >= portFirst && port <= portLast)).toBe(true);
    const syns = scene.ports.filter((_, i) => i % 2 === 0);
    expect(new Set(syns).size).toBe(syns.length);
  });

  test('without an address backends are not checked, which is told once, until there is one', () => {
    scene.source = undefined;
    scene.configure({}, scene.backends([1, 2]));
    scene.run(20_000);
    expect(scene.monitor.isUsable(1)).toBe(true);
    const reason = 'eth0 has no IPv4 address that checks could come from';
    expect(scene.monitor.of(1)).toMatchObject({ state: 'unchecked', reason });
    expect(scene.log).toEqual([{ event: 'checks_impossible', reason }]);
    scene.source = ip('10.0.0.6');
    scene.run(10_000);
    expect(scene.state(1)).toBe('up');
    expect(scene.listening).toEqual([`10.0.0.6 ${portFirst}-${portLast}`]);
  });

  test('where the address goes away, what is known of backends stays', () => {
    scene.configure({}, scene.backends([1, 2]));
    scene.server(2).behaviour = 'closed';
    scene.run(10_000);
    scene.source = undefined;
    scene.changes.length = 0;
    scene.run(20_000);
    expect([scene.state(1), scene.state(2)]).toEqual(['up', 'down']);
    expect(scene.changes).toEqual([]);
    expect(scene.log.filter(({ event }) => event === 'checks_impossible')).toHaveLength(1);
  });

  test('where the address goes away before the first answer, backends are used, and that is told', () => {
    scene.backends([1]);
    scene.server(1).behaviour = 'silent';
    scene.configure({ fall: 100 }, scene.backends([1]));
    scene.run(1_000);
    scene.source = undefined;
    scene.run(5_000);
    expect(scene.changes).toEqual(['1 unchecked']);
  });

  test('another address is taken when the interface has another', () => {
    scene.configure({}, scene.backends([1]));
    scene.run(100);
    scene.source = ip('10.0.0.7');
    scene.run(10_000);
    expect(scene.listening.at(-1)).toBe(`10.0.0.7 ${portFirst}-${portLast}`);
    expect(scene.changes).toEqual(['1 up']);
  });

  test('an answer of another vip, or to another port, is none', () => {
    scene.configure({}, scene.backends([1]));
    scene.server(1).behaviour = 'silent';
    scene.run(20);
    const { srcPort, seq } = decoded(scene.last!);
    const answer = (port: number, to: number, from = vip.address) =>
      tcpPacket(
        { source: from, sourcePort: port, vip: { ...vip, address: ip('10.0.0.5'), port: to } },
        { flags: tcpSyn | tcpAck, seq: 1, ack: seq + 1 },
      );
    scene.deliver(new Uint8Array(0));
    scene.deliver(new Uint8Array(60));
    scene.deliver(answer(81, srcPort));
    scene.deliver(answer(80, srcPort, ip('10.0.0.101')));
    scene.deliver(answer(80, srcPort + 1));
    scene.deliver(answer(80, 22));
    expect(scene.state(1)).toBe('starting');
    scene.deliver(answer(80, srcPort));
    expect(scene.state(1)).toBe('up');
  });
});

describe('what clients tell', () => {
  const three = [1, 2, 3];
  /** Serves clients at these backends, each two in 100 ms. */
  const traffic = (numbers: readonly number[]) => () => {
    if (scene.atMs % 50 === 0) for (const number of numbers) scene.serve(number);
  };
  const begin = (settings: Partial<HealthSettings> = {}, numbers: readonly number[] = three) => {
    scene.configure(settings, scene.backends(numbers));
    scene.run(2_000, traffic(numbers));
    scene.changes.length = 0;
    scene.log.length = 0;
  };
  /** The backend is dead: SYNs come again after a second. */
  const dies = (number: number) => {
    scene.server(number).behaviour = 'silent';
    const diedMs = scene.atMs;
    return () => {
      traffic(three.filter((other) => other !== number))();
      if (scene.monitor.isUsable(number) && scene.atMs % 100 === 0) scene.signals.get(number)!.flows++;
      if (scene.atMs > diedMs + 1_000 && scene.atMs % 100 === 0) scene.signals.get(number)!.synRetransmits++;
    };
  };

  test('a dead backend gets no new flow after three SYNs came again, long before checks say so', () => {
    begin({ intervalNs: ms(20_000) });
    const [died, diedMs] = [dies(1), scene.atMs];
    let endMs = 0;
    scene.run(3_000, () => {
      died();
      if (endMs === 0 && !scene.monitor.isUsable(1)) endMs = scene.atMs;
    });
    expect(endMs - diedMs).toBeLessThan(1_600);
    expect(scene.changes).toEqual(['1 ejected']);
    expect(scene.log[0]).toMatchObject({
      event: 'backend_ejected',
      backend: '10.0.1.1',
      times: 1,
      for: '10s',
    });
    expect(scene.log[0]!.reason).toMatch(/^3 SYNs sent again and no handshake for /);
    expect(scene.monitor.of(1).ejected).toMatchObject({ times: 1 });
    expect(scene.monitor.countsOf(1).ejections).toBe(1);
  });

  test('flows that come to nothing have the backend asked at once: a refusal is found out soon', () => {
    begin({ intervalNs: ms(20_000) });
    scene.server(1).behaviour = 'closed';
    const diedMs = scene.atMs;
    scene.run(5_000, () => {
      traffic([2, 3])();
      if (scene.atMs % 50 === 0) scene.signals.get(1)!.flows++;
    });
    const health = scene.monitor.of(1);
    expect(health).toMatchObject({ state: 'down', reason: 'connection refused' });
    expect(health.sinceNs / 1e6 - diedMs).toBeLessThan(1_500);
  });

  test('a check that passes ends the ejection at once: who forges packets gains little', () => {
    begin();
    scene.run(5_000, () => {
      traffic([2, 3])();
      if (scene.atMs % 1_000 < 20) scene.serve(1);
      scene.signals.get(1)!.synRetransmits += 10;
    });
    expect(scene.changes.filter((one) => one.startsWith('1')).slice(0, 2)).toEqual(['1 ejected', '1 up']);
    expect(scene.monitor.isUsable(1)).toBe(true);
    expect(scene.monitor.countsOf(1).refuted).toBe(scene.monitor.countsOf(1).ejections);
    expect(scene.monitor.countsOf(1).refuted).toBeLessThan(5);
  });

  test('without checks an ejection lasts its time, and the share grows slowly after it', () => {
    begin({ check: 'none' });
    scene.run(1_500, dies(1));
    expect(scene.changes).toEqual(['1 ejected']);
    scene.run(9_900, traffic([2, 3]));
    expect(scene.changes).toEqual(['1 ejected', '1 unchecked gradual']);
  });

  test('a backend that checks have found down comes back only by checks', () => {
    begin();
    scene.run(9_000, dies(1));
    expect(scene.state(1)).toBe('down');
    scene.run(20_000, traffic([2, 3]));
    expect(scene.monitor.of(1)).toMatchObject({ state: 'down', ejected: null });
    scene.server(1).behaviour = 'open';
    scene.changes.length = 0;
    scene.run(5_000, traffic([2, 3]));
    expect(scene.changes).toEqual(['1 up gradual']);
  });

  test('no more than half of a pool is out at a time, and the last one never', () => {
    begin({ check: 'none' }, [1, 2, 3, 4]);
    const strike = () => {
      for (const number of [1, 2, 3]) scene.signals.get(number)!.synRetransmits++;
      if (scene.atMs % 50 === 0) scene.serve(4);
    };
    scene.run(5_000, strike);
    expect([1, 2, 3, 4].filter((number) => scene.monitor.isUsable(number))).toHaveLength(2);
    begin({ check: 'none' }, [7]);
    scene.run(5_000, () => scene.signals.get(7)!.synRetransmits++);
    expect(scene.monitor.isUsable(7)).toBe(true);
  });

  test('a backend that drains is no refuge: the last one that takes flows stays', () => {
    scene.configure({ check: 'none' }, [...scene.backends([1]), ...scene.backends([2], { ready: false })]);
    scene.run(1_000);
    scene.run(5_000, () => scene.signals.get(1)!.synRetransmits++);
    expect(scene.monitor.isUsable(1)).toBe(true);
  });

  test('what was counted before it is looked at is no evidence', () => {
    scene.configure({ check: 'none' }, scene.backends(three));
    scene.run(50);
    scene.signals.get(1)!.synRetransmits = 1_000;
    scene.run(5_000);
    expect(scene.monitor.isUsable(1)).toBe(true);
  });

  test('nothing is ejected where that is not wanted, or nothing is counted', () => {
    begin({ passive: { ...healthDefault.passive, enabled: false } });
    scene.run(2_000, dies(1));
    expect(scene.changes).toEqual([]);
    const quiet = new Scene();
    quiet.configure(
      {},
      quiet.backends([1, 2]).map(({ signals: _, ...rest }) => rest),
    );
    quiet.run(3_000);
    expect(quiet.changes).toEqual(['1 up', '2 up']);
  });
});

describe('many backends', () => {
  const numbers = [...Array(1_000).keys()];

  test('are all asked each interval, no more than so many in one poll, and spread over the interval', () => {
    scene.configure({}, scene.backends(numbers));
    scene.run(6_000);
    expect(numbers.every((number) => scene.state(number) === 'up')).toBe(true);
    const perPoll: number[] = [];
    let before = scene.sent;
    scene.run(4_000, () => {
      perPoll.push(scene.sent - before);
      before = scene.sent;
    });
    expect(Math.max(...perPoll)).toBeLessThanOrEqual(2 * beginsMax);
    // 1,000 checks in 200 polls, two packets each: ten on average, and no poll with many times that.
    expect(perPoll.reduce((sum, count) => sum + count, 0) / perPoll.length).toBeGreaterThan(9);
    expect(Math.max(...perPoll)).toBeLessThan(50);
    const passed = numbers.map((number) => scene.monitor.countsOf(number).passed);
    expect(Math.min(...passed)).toBeGreaterThanOrEqual(4);
  });

  test('that go down together are told by some lines and a number', () => {
    scene.configure({}, scene.backends(numbers));
    scene.run(5_000);
    scene.log.length = 0;
    for (const number of numbers) scene.server(number).behaviour = 'closed';
    scene.run(9_000);
    expect(numbers.every((number) => scene.state(number) === 'down')).toBe(true);
    const lines = scene.log.filter(({ event }) => event === 'backend_down').length;
    const held = scene.log.reduce((sum, { held }) => sum + (typeof held === 'number' ? held : 0), 0);
    expect(lines).toBeLessThan(200);
    expect(lines + held).toBe(1_000);
  });
});
