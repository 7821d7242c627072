import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nativeDirectory } from '../src/datapath/xdp/addon.ts';
import { makeNotifier, type NotifierOptions } from '../src/notify.ts';
import { ns } from '../src/units.ts';
import { Receiver, receiverUnavailable } from './support/datagrams.ts';

/** A notifier that keeps what it sends, as text. */
function recorded(environment: Record<string, string>, options: Partial<NotifierOptions> = {}) {
  const sent: string[] = [];
  const names: Uint8Array[] = [];
  const failures: unknown[] = [];
  const notifier = makeNotifier((error) => failures.push(error), {
    environment,
    pid: 42,
    now: () => ns(7_000_900),
    send: (address, message) => {
      names.push(address);
      sent.push(Buffer.from(message).toString());
    },
    ...options,
  });
  return { notifier, sent, names, failures };
}

const socket = { NOTIFY_SOCKET: '/run/systemd/notify' };

describe('a notifier', () => {
  test('says what systemd understands', () => {
    const { notifier, sent } = recorded(socket);
    notifier.ready();
    notifier.status('forwarding by xdp (native)');
    notifier.reloading();
    notifier.ready('2 vips');
    notifier.stopping();
    expect(sent).toEqual([
      'READY=1',
      'STATUS=forwarding by xdp (native)',
      'RELOADING=1\nMONOTONIC_USEC=7000',
      'READY=1\nSTATUS=2 vips',
      'STOPPING=1',
    ]);
    expect(notifier.active).toBe(true);
  });

  test.each([{}, { NOTIFY_SOCKET: '' }])('says nothing when nobody listens: %o', (environment) => {
    const { notifier, sent, failures } = recorded({ ...environment, WATCHDOG_USEC: '1000000' });
    notifier.ready();
    notifier.reloading();
    notifier.watchdog(ns(0));
    notifier.stopping();
    notifier.status('x');
    expect([sent, failures, notifier.active]).toEqual([[], [], false]);
  });

  test('keeps a path as it is and begins an abstract name with a zero', () => {
    const { notifier, names } = recorded(socket);
    notifier.ready();
    const abstract = recorded({ NOTIFY_SOCKET: '@inband/notify' });
    abstract.notifier.ready();
    expect(Buffer.from(names[0]!).toString()).toBe('/run/systemd/notify');
    expect(Buffer.from(abstract.names[0]!).toString()).toBe('\0inband/notify');
  });

  test.each(['vsock:2:1234', 'relative', '/', '@', `/${'x'.repeat(107)}`])(
    'reports a name that is no Unix socket once and goes on: %s',
    (name) => {
      const { notifier, sent, failures } = recorded({ NOTIFY_SOCKET: name });
      notifier.ready();
      notifier.stopping();
      expect(sent).toEqual([]);
      expect(failures.map((error) => (error as Error).message)).toEqual([
        `NOTIFY_SOCKET: '${name}' is no Unix socket`,
      ]);
    },
  );

  test('reports the first message that cannot be sent, and tries again with the next', () => {
    let calls = 0;
    const send = () => {
      calls++;
      throw new Error('ENOBUFS');
    };
    const { notifier, failures } = recorded(socket, { send });
    notifier.ready();
    notifier.stopping();
    expect([calls, failures.length]).toEqual([2, 1]);
  });

  test('a status is one line, whatever is in it', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const { notifier, sent } = recorded(socket);
        notifier.status(text);
        expect(sent[0]!.split('\n')).toHaveLength(1);
        expect(sent[0]!.startsWith('STATUS=')).toBe(true);
      }),
    );
  });
});

describe('the watchdog', () => {
  const second = 1_000_000_000;
  const everyTick = (environment: Record<string, string>, ticks: number, tickNs = 1_000_000): number => {
    const { notifier, sent } = recorded({ ...socket, ...environment });
    for (let i = 0; i < ticks; i++) notifier.watchdog(ns(5 * second + i * tickNs));
    expect(new Set(sent).size).toBeLessThanOrEqual(1);
    return sent.filter((text) => text === 'WATCHDOG=1').length;
  };

  test('is fed at once and then four times in each period, not on every tick', () => {
    expect(everyTick({ WATCHDOG_USEC: '2000000' }, 2001)).toBe(5);
  });

  test('is fed in time by ticks that are longer than that', () => {
    expect(everyTick({ WATCHDOG_USEC: '2000000' }, 4, second)).toBe(4);
  });

  test.each([
    ['nobody wants it', {}],
    ['it is another process that shall feed it', { WATCHDOG_USEC: '2000000', WATCHDOG_PID: '43' }],
    ['the period is no number', { WATCHDOG_USEC: 'soon' }],
    ['the period is 0', { WATCHDOG_USEC: '0' }],
  ])('is left alone when %s', (_, environment) => {
    expect(everyTick(environment, 100, second)).toBe(0);
  });

  test('is fed when this process is the one that shall', () => {
    expect(everyTick({ WATCHDOG_USEC: '2000000', WATCHDOG_PID: '42' }, 1)).toBe(1);
  });
});

describe('through the kernel', () => {
  let folder: string | undefined;
  let receiver: Receiver | undefined;
  beforeEach(({ skip }) => {
    if (!existsSync(`${nativeDirectory}inband.node`)) skip('the addon is not built; run: npm run setup');
    const reason = receiverUnavailable();
    if (reason !== undefined) skip(reason);
    folder = mkdtempSync(join(tmpdir(), 'inband-notify-'));
  });
  afterEach(() => {
    receiver?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  /** Sends messages through the addon to a socket of that name, where somebody listens. */
  async function exchange(name: string): Promise<[messages: string[], failures: unknown[]]> {
    receiver = await Receiver.listen(name);
    const failures: unknown[] = [];
    const notifier = makeNotifier((error) => failures.push(error), { environment: { NOTIFY_SOCKET: name } });
    notifier.ready('up');
    notifier.stopping();
    await receiver.ended();
    return [receiver.messages, failures];
  }
  const arrived = [['READY=1\nSTATUS=up', 'STOPPING=1'], []];

  test('messages arrive at a path', async () => {
    expect(await exchange(join(folder!, 'notify'))).toEqual(arrived);
  });

  test('messages arrive at an abstract name', async () => {
    expect(await exchange(`@inband-test-${process.pid}`)).toEqual(arrived);
  });

  test('a socket that is not there is a failure that names the step', () => {
    const failures: unknown[] = [];
    const environment = { NOTIFY_SOCKET: join(folder!, 'nobody') };
    makeNotifier((error) => failures.push(error), { environment }).ready();
    expect(failures).toMatchObject([{ step: 'datagram send' }]);
  });
});
