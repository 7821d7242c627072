import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { DashboardRecorder } from '../../src/admin/dashboard/recorder.ts';
import { AdminServer } from '../../src/admin/server.ts';
import { keysOf, Screen, type ScreenInput, type ScreenOutput } from '../../src/cli/screen.ts';
import { topCommand } from '../../src/cli/top.ts';
import { TopSession } from '../../src/cli/top-session.ts';
import { aStage, type Stage } from '../admin/balancer.ts';
import { temporaryDirectory } from '../datapath/replay/support.ts';
import { runCli } from './capture.ts';
import { main } from './inband.ts';

const web = '10.0.0.1:80/tcp';

/** A daemon of which only the recorder is there; `step` makes a frame. */
class Recording {
  readonly socket = join(temporaryDirectory(), 'inband.sock');
  readonly stage: Stage;
  recorder: DashboardRecorder;
  #server: AdminServer | undefined;

  constructor(vips = [web]) {
    this.stage = aStage({ vips });
    this.recorder = new DashboardRecorder(this.stage.balancer);
  }

  async listen(): Promise<void> {
    this.#server = await AdminServer.listen(this.socket, {
      '/recent': { type: 'application/x-ndjson', text: () => this.recorder.recent() },
      '/frames': { stream: (write) => this.recorder.follow(write) },
    });
  }

  async step(): Promise<void> {
    this.stage.packets.tx! += 100;
    await this.recorder.record();
  }

  /** As a daemon that died: nothing is left, and the next one begins to count anew. */
  async die(): Promise<void> {
    await this.#server?.close();
    this.#server = undefined;
    this.recorder = new DashboardRecorder(this.stage.balancer);
  }

  static async start(frames: number, vips?: string[]): Promise<Recording> {
    const recording = new Recording(vips);
    for (let i = 0; i < frames; i++) await recording.step();
    await recording.listen();
    onTestFinished(() => recording.die());
    return recording;
  }
}

/** A terminal: what is written to it, and keys. */
class Terminal {
  written = '';
  isRaw = false;
  readonly input = Object.assign(new EventEmitter(), {
    setRawMode: (mode: boolean) => {
      this.isRaw = mode;
    },
    setEncoding: () => {},
    resume: () => {},
    pause: () => {},
  });
  readonly output = Object.assign(new EventEmitter(), {
    columns: 100,
    rows: 30,
    write: (text: string) => {
      this.written += text;
      return true;
    },
  });

  /** What is on the screen now. */
  get screen(): string {
    return (this.written.split('\u001b[?2026h\u001b[H').at(-1) ?? '').replaceAll('\u001b[K\r\n', '\n');
  }

  get isRestored(): boolean {
    return this.written.endsWith('\u001b[?7h\u001b[?25h\u001b[?1049l') && !this.isRaw;
  }

  press(keys: string): void {
    this.input.emit('data', keys);
  }

  session(socket: string): TopSession {
    const { input, output } = this;
    return new TopSession(socket, input as unknown as ScreenInput, output as unknown as ScreenOutput, false);
  }
}

describe('keys', () => {
  it.each([
    ['q', ['q']],
    ['\u001b[A\u001b[Bj', ['up', 'down', 'j']],
    ['\u001b[5~\u001bOA\u0003', ['page-up', 'up', 'ctrl-c']],
    ['\u001b[1;5C\u001b[99~x', ['x']],
    ['äö', ['ä', 'ö']],
    ['', []],
  ])('%j are %j', (text, keys) => expect(keysOf(text)).toEqual(keys));
});

describe('the screen', () => {
  it('is given back once, whoever asks first', () => {
    const terminal = new Terminal();
    const screen = new Screen(
      terminal.input as unknown as ScreenInput,
      terminal.output as unknown as ScreenOutput,
      { key: () => {}, resize: () => {} },
    );
    screen.draw(['too early']);
    expect(terminal.written).toBe('');
    screen.enter();
    expect(terminal.isRaw).toBe(true);
    expect(terminal.written).toBe('\u001b[?1049h\u001b[?25l\u001b[?7l');
    expect(process.listeners('exit')).toHaveLength(before + 1);
    screen.leave();
    expect(terminal.isRestored).toBe(true);
    const { length } = terminal.written;
    screen.leave();
    screen.draw(['too late']);
    expect(terminal.written).toHaveLength(length);
    expect(process.listeners('exit')).toHaveLength(before);
  });
  const before = process.listeners('exit').length;
});

describe('inband top on a terminal', () => {
  it('shows what was recorded and what comes, until q', async () => {
    const recording = await Recording.start(3);
    const terminal = new Terminal();
    const ended = terminal.session(recording.socket).run();
    await vi.waitFor(() => expect(terminal.screen).toContain('10.0.0.12'));
    expect(terminal.written.split('\u001b[?2026h')).toHaveLength(2);
    recording.stage.services[0]!.states = ['drain', 'ready'];
    await recording.step();
    await vi.waitFor(() => expect(terminal.screen).toMatch(/10\.0\.0\.11 +drain/));
    terminal.press('q');
    await ended;
    expect(terminal.isRestored).toBe(true);
    expect(terminal.output.listenerCount('resize')).toBe(0);
  });

  it('orders, chooses a vip, stands still and follows the size', async () => {
    const recording = await Recording.start(3, [web, '10.0.0.1:443/tcp']);
    const terminal = new Terminal();
    const ended = terminal.session(recording.socket).run();
    await vi.waitFor(() => expect(terminal.screen).toContain('10.0.0.12'));
    terminal.press('s');
    terminal.press('s');
    expect(terminal.screen).toMatch(/10\.0\.0\.12.*10\.0\.0\.11/s);
    terminal.press('n');
    terminal.press('v');
    expect(terminal.screen).not.toContain('10.0.0.1:443/tcp');
    terminal.press('vv');
    expect(terminal.screen).toContain('10.0.0.1:443/tcp');
    terminal.press(' ');
    expect(terminal.screen).toContain('paused');
    recording.stage.services[0]!.states = ['maintenance', 'ready'];
    await recording.step();
    terminal.press(' ');
    await vi.waitFor(() => expect(terminal.screen).toContain('maintenance'));
    Object.assign(terminal.output, { columns: 50, rows: 12 }).emit('resize');
    expect(terminal.screen.replace('\u001b[K', '').split('\n')).toHaveLength(12);
    terminal.press('\u001b[B\u001b[6~');
    expect(terminal.screen).toContain('443/tcp');
    terminal.press('\u0003');
    await ended;
    expect(terminal.isRestored).toBe(true);
  });

  it('waits for a daemon that died, and goes on with the next', async () => {
    const recording = await Recording.start(3);
    const terminal = new Terminal();
    const session = terminal.session(recording.socket);
    const ended = session.run();
    await vi.waitFor(() => expect(terminal.screen).toContain('10.0.0.12'));
    await recording.die();
    await vi.waitFor(() => expect(terminal.screen).toMatch(/no answer since \d\d:\d\d:\d\d/));
    await recording.step();
    await recording.listen();
    await vi.waitFor(() => expect(terminal.screen).not.toContain('no answer'), { timeout: 10_000 });
    await recording.die();
    await vi.waitFor(() => expect(terminal.screen).toContain('no answer'));
    session.end();
    await ended;
    expect(terminal.isRestored).toBe(true);
  });

  it('does not touch the terminal when nobody answers', async () => {
    const terminal = new Terminal();
    await expect(terminal.session('/nonexistent/inband.sock').run()).rejects.toMatchObject({
      code: 'DAEMON_UNREACHABLE',
    });
    expect(terminal.written).toBe('');
  });

  it('gives the terminal back for a time', async () => {
    const recording = await Recording.start(3);
    const terminal = new Terminal();
    const session = terminal.session(recording.socket);
    const ended = session.run();
    await vi.waitFor(() => expect(terminal.screen).toContain('10.0.0.12'));
    session.suspend();
    expect(terminal.isRestored).toBe(true);
    session.resume();
    expect(terminal.isRaw).toBe(true);
    expect(terminal.screen).toContain('10.0.0.12');
    session.end();
    await ended;
  });
});

describe('inband top on a terminal of the kernel', () => {
  const script = '/usr/bin/script';
  beforeEach((context) => {
    if (!existsSync(script)) context.skip(`${script} is not installed`);
  });

  /** What it wrote until it ended, and with which code, after the signal or the keys that came once it was seen. */
  async function run(socket: string, then: NodeJS.Signals | string): Promise<{ text: string; code: number }> {
    const command = `stty rows 24 cols 80; echo pid $$; exec ${process.execPath} ${main} top --socket ${socket}`;
    const child = spawn(script, ['-qec', command, '/dev/null']);
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part) => (text += part));
    const closed = once(child, 'close');
    await vi.waitFor(() => expect(text).toContain('10.0.0.12'), { timeout: 20_000 });
    if (then.startsWith('SIG')) process.kill(Number(/pid (\d+)/.exec(text)![1]), then as NodeJS.Signals);
    else child.stdin.write(then);
    const [code] = await closed;
    return { text, code };
  }

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['q', 0],
    ['\u0003', 0],
  ])('restores it after %j', async (then, expected) => {
    const recording = await Recording.start(3);
    const { text, code } = await run(recording.socket, then);
    expect(code).toBe(expected);
    expect(text).toContain('\u001b[?1049h');
    expect(text).toMatch(/\[\?7h.\[\?25h.\[\?1049l\s*$/s);
  });
});

describe('inband top for scripts', () => {
  it('prints one frame, without keys', async () => {
    const recording = await Recording.start(5);
    const { text } = await runCli(topCommand(), '--once', '--socket', recording.socket);
    expect(text).toMatch(/^inband on eth0 {2}capture l2/);
    expect(text).toContain(`${web}  `);
    expect(text).not.toContain('quit');
    expect(text).not.toContain('\u001b');
  });

  it('waits for a second frame, as there is no rate of one', async () => {
    const recording = await Recording.start(1);
    const ended = runCli(topCommand(), '--once', '--json', '--socket', recording.socket);
    const timer = setInterval(() => recording.step(), 100);
    try {
      expect(JSON.parse((await ended).text).packets_per_s).toBeGreaterThan(0);
    } finally {
      clearInterval(timer);
    }
  });

  it('shows one vip', async () => {
    const recording = await Recording.start(3, [web, '10.0.0.1:443/tcp']);
    const once = (vip: string) =>
      runCli(topCommand(), '--once', '--json', '--vip', vip, '--socket', recording.socket);
    const view = JSON.parse((await once('10.0.0.1:443')).text);
    expect(view).toMatchObject({ schema: 'inband.top/1', vips: [{ vip: '10.0.0.1:443/tcp' }] });
    await expect(once('10.0.0.1:81/tcp')).rejects.toMatchObject({
      code: 'USAGE',
      hint: `did you mean ${web}?`,
    });
  });

  it('needs a terminal otherwise, and no vip there', async () => {
    const refused = (...argv: string[]) =>
      runCli(topCommand(), '--socket', '/nonexistent/inband.sock', ...argv);
    await expect(refused('--vip', web)).rejects.toMatchObject({ code: 'USAGE' });
    if (!process.stdin.isTTY) {
      await expect(refused()).rejects.toMatchObject({
        code: 'USAGE',
        hint: expect.stringContaining('--once'),
      });
    }
    await expect(refused('--once')).rejects.toMatchObject({ code: 'DAEMON_UNREACHABLE' });
  });
});
