import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { captureFilter, filterProgram } from '../../src/datapath/capture/filter.ts';
import { Session } from '../../src/datapath/capture/session.ts';
import { interfaces } from '../../src/datapath/xdp/neighbours.ts';
import { labProgram } from '../../src/lab/requirements.ts';
import { parseAddress } from '../../src/net/address.ts';
import { enterLab, ip, thrownBy } from '../native/support.ts';
import { captureUnavailable } from './require.ts';

const unavailable = captureUnavailable();

beforeEach((context) => {
  if (unavailable !== undefined) context.skip(unavailable);
});

/** A capture on `lb0`, what it was given, and what sends frames to it from the other end. */
function captured(ringBytes: number, filter?: string) {
  const { peer } = enterLab();
  // Rings then have room for as many frames as they seem to.
  execFileSync('ethtool', ['-K', 'lb0', 'tso', 'off', 'gso', 'off']);
  const link = interfaces().find(({ name }) => name === 'lb0')!;
  const lengths: number[] = [];
  const buffer = Buffer.alloc(65_535);
  const session = new Session(link, filter ?? captureFilter(link.mac, false), ringBytes, buffer, (length) =>
    lengths.push(length),
  );
  onTestFinished(() => session.close());
  const watch = (...texts: string[]) => {
    const addresses = texts.map((text) => parseAddress(text)!);
    session.setFilter(filterProgram({ mac: link.mac, addresses, answerArp: false, probes: [] }));
  };
  if (filter === undefined) watch('10.0.0.1');
  const mac = (ofOther = false) =>
    [...link.mac].map((byte, i) => ((byte ^ (ofOther && i === 5 ? 1 : 0)) & 255).toString(16)).join(':');
  /** Does not return to the event loop before all are sent. */
  const send = (count: number, { to = '10.0.0.1', ofOther = false } = {}) => {
    const argv = ['peer0', mac(ofOther), to, '80', '0', String(count), '10'];
    const { status } = spawnSync('ip', ['netns', 'exec', peer, labProgram('blast'), ...argv]);
    expect(status).toBe(0);
  };
  /** The same while this process goes on. */
  const sendOn = async (count: number, perSecond = 5_000) => {
    const argv = ['peer0', mac(), '10.0.0.1', '80', String(perSecond), String(count), '10'];
    const child = spawn('ip', ['netns', 'exec', peer, labProgram('blast'), ...argv], { stdio: 'ignore' });
    expect(await once(child, 'close')).toEqual([0, null]);
  };
  return { session, lengths, buffer, send, sendOn, watch };
}

describe('a capture', () => {
  test('takes each frame for a vip once, and the frame is in the buffer', async () => {
    const { lengths, buffer, send, session } = captured(8 << 20);
    send(5);
    await vi.waitFor(() => expect(lengths).toEqual([60, 60, 60, 60, 60]));
    expect([...buffer.subarray(30, 34)]).toEqual([10, 0, 0, 1]);
    expect(session.statistics()).toEqual({ accepted: 5, dropped: 0 });
    expect(session.statistics()).toEqual({ accepted: 0, dropped: 0 });
  });

  test('leaves what is for other addresses and other machines', async () => {
    const { lengths, send } = captured(8 << 20);
    send(3, { to: '10.0.0.2' });
    send(3, { ofOther: true });
    send(1);
    await vi.waitFor(() => expect(lengths).toEqual([60]));
    await sleep(50);
    expect(lengths).toEqual([60]);
  });

  test('follows another filter at once', async () => {
    const { lengths, send, watch } = captured(8 << 20);
    watch('10.0.0.2');
    send(2);
    send(3, { to: '10.0.0.2' });
    await vi.waitFor(() => expect(lengths).toHaveLength(3));
    watch('10.0.0.1', '10.0.0.2');
    send(2);
    send(1, { to: '10.0.0.2' });
    send(4, { to: '10.0.0.3' });
    await vi.waitFor(() => expect(lengths).toHaveLength(6));
    await sleep(50);
    expect(lengths).toHaveLength(6);
  });

  test('takes each frame once while its filter is replaced over and over', async () => {
    const { lengths, sendOn, watch, session } = captured(32 << 20);
    const count = 5_000;
    const done = sendOn(count);
    let replaced = 0;
    for (let isDone = false; !isDone; replaced++) {
      watch('10.0.0.1', `10.0.1.${replaced & 255}`);
      isDone = await Promise.race([done.then(() => true), sleep(1).then(() => false)]);
    }
    await vi.waitFor(() => expect(lengths).toHaveLength(count));
    expect(session.statistics()).toEqual({ accepted: count, dropped: 0 });
    expect(replaced).toBeGreaterThan(5);
  });

  test('keeps its filter when the kernel refuses another', async () => {
    const { lengths, send, session } = captured(8 << 20);
    expect(thrownBy(() => session.setFilter(Uint8Array.of(6, 0, 0, 0, 0, 0, 0))).message).toContain('filter');
    send(1);
    await vi.waitFor(() => expect(lengths).toHaveLength(1));
    session.close();
    expect(() => session.setFilter(new Uint8Array(8))).toThrow('filter');
  });

  test('counts every frame that its ring had no room for', async () => {
    const { lengths, send, session } = captured(1 << 20);
    send(20_000);
    await vi.waitFor(() => expect(lengths.length).toBeGreaterThan(0));
    await sleep(50);
    const { accepted, dropped } = session.statistics();
    expect(accepted).toBe(20_000);
    expect(dropped).toBeGreaterThan(0);
    expect(lengths.length).toBe(accepted - dropped);
  });

  test('counts nothing once it is closed, and closing it again does nothing', () => {
    const { session } = captured(1 << 20);
    session.close();
    session.close();
    expect(session.statistics()).toEqual({ accepted: 0, dropped: 0 });
  });

  test('says so when a frame cannot be sent', () => {
    const { session } = captured(1 << 20);
    expect(thrownBy(() => session.send(60_000)).message).toContain('too long');
    ip('link', 'set', 'lb0', 'down');
    expect(thrownBy(() => session.send(60)).message).toContain('down');
  });

  test('that the kernel refuses is an error, and garbage is collected after it', async () => {
    enterLab();
    const link = { name: 'lb0', index: 1 };
    const open = (name: string, filter: string) =>
      thrownBy(() => new Session({ ...link, name }, filter, 1 << 20, Buffer.alloc(64), () => {}));
    expect(open('no-such0', '')).toMatchObject({ code: 'ENVIRONMENT' });
    expect(open('lb0', 'this is no filter')).toMatchObject({ code: 'ENVIRONMENT' });
    await import(new URL('collect.mjs', import.meta.url).href);
    await sleep(100);
  });
});
