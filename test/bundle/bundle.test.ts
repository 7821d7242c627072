import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { unpackTar } from 'modern-tar';
import { describe, expect, it, vi } from 'vitest';
import { makeBundle, type Part, partBytesMax } from '../../src/bundle/bundle.ts';
import { logBytesMax } from '../../src/bundle/parts.ts';
import { leftOut, redact } from '../../src/bundle/redact.ts';
import { bundleCommand } from '../../src/cli/bundle.ts';
import { bundleText } from '../../src/report/bundle.ts';
import { runCli } from '../cli/capture.ts';
import { aBackend, FakeDaemon } from '../cli/fake-daemon.ts';
import { temporaryDirectory } from '../datapath/replay/support.ts';

const time = new Date('2026-01-01T12:00:00Z');

/** Texts of the files of an archive, by name. */
async function unpacked(archive: Uint8Array): Promise<Map<string, string>> {
  const entries = await unpackTar(gunzipSync(archive), { strict: true });
  return new Map(entries.map(({ header, data }) => [header.name, Buffer.from(data!).toString()]));
}

describe('an archive', () => {
  const parts: Part[] = [
    { name: 'a.txt', about: 'a text', read: () => 'hello\n' },
    { name: 'deep/b.json', about: 'a value', read: async () => ({ b: [1] }) },
    {
      name: 'c.txt',
      about: 'what fails',
      read: () => {
        throw new Error('it is broken');
      },
    },
    { name: 'd.txt', about: 'what fails later', read: () => Promise.reject('no reason') },
  ];

  it('has every part, or in its place why it could not be had', async () => {
    const bundle = await makeBundle('made', parts, time);
    const files = await unpacked(bundle.archive);
    expect([...files.keys()]).toEqual([
      'made/manifest.json',
      'made/a.txt',
      'made/deep/b.json',
      'made/c.txt.error',
      'made/d.txt.error',
    ]);
    expect(files.get('made/a.txt')).toBe('hello\n');
    expect(JSON.parse(files.get('made/deep/b.json')!)).toEqual({ b: [1] });
    expect(files.get('made/c.txt.error')).toBe('it is broken\n');
    expect(files.get('made/d.txt.error')).toBe('no reason\n');
    const manifest = JSON.parse(files.get('made/manifest.json')!);
    expect(manifest).toMatchObject({ schema: 'inband.bundle/1', made_at: '2026-01-01T12:00:00.000Z' });
    expect(manifest.parts).toEqual(bundle.parts);
  });

  it('cuts off what is too long, and says so', async () => {
    const long = { name: 'long.txt', about: '', read: () => 'x'.repeat(partBytesMax + 1) };
    const { parts: made, archive } = await makeBundle('made', [long], time);
    expect(made).toEqual([
      { name: 'long.txt', about: '', bytes: partBytesMax, error: `cut off after ${partBytesMax} bytes` },
    ]);
    expect((await unpacked(archive)).get('made/long.txt')).toHaveLength(partBytesMax);
  });

  it('can be unpacked by the tar that people have, for them alone', async () => {
    const directory = temporaryDirectory();
    const file = join(directory, 'a.tar.gz');
    writeFileSync(file, (await makeBundle('made', parts, time)).archive);
    const { status, stderr } = spawnSync('tar', ['-xzf', file, '-C', directory], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(readFileSync(join(directory, 'made', 'deep', 'b.json'), 'utf8')).toContain('"b"');
    expect(statSync(join(directory, 'made', 'a.txt')).mode & 0o777).toBe(0o600);
  });
});

describe('a configuration to be passed on', () => {
  it('has no secrets, wherever they are', () => {
    const config = {
      interface: 'eth0',
      admin: { apiKey: 'a', http: '127.0.0.1:9464' },
      vips: [{ pool: { backends: ['10.0.0.11'], health: { http: { path: '/up?token=b', host: 'x' } } } }],
      udp: { send: 'c', expect: 'd' },
      password: null,
      nested: { authorization: 'e', list: [{ secret: 'f' }] },
    };
    expect(redact(config)).toEqual({
      interface: 'eth0',
      admin: { apiKey: leftOut, http: '127.0.0.1:9464' },
      vips: [{ pool: { backends: ['10.0.0.11'], health: { http: { path: `/up?${leftOut}`, host: 'x' } } } }],
      udp: { send: leftOut, expect: 'd' },
      password: null,
      nested: { authorization: leftOut, list: [{ secret: leftOut }] },
    });
  });
});

describe('inband bundle', () => {
  const start = async () => {
    const vip = '10.0.0.100:80/tcp';
    const daemon = await FakeDaemon.start([aBackend(vip, '10.0.0.11')]);
    daemon.answers['/status'] = {
      schema: 'inband.status/1',
      datapath: { name: 'xdp', interface: 'lo' },
      vips: [{ vip, backends: [{ backend: '127.0.0.1' }] }],
    };
    daemon.answers['/config'] = { config: { token: 'hidden' } };
    daemon.answers['/why'] = { schema: 'inband.why/1', vips: [] };
    daemon.answers['/history'] = [];
    daemon.answers['/metrics'] = 'inband_up 1\n';
    return daemon;
  };

  it('holds what daemon and machine tell, and the end of the log', async () => {
    const daemon = await start();
    const directory = temporaryDirectory();
    const file = join(directory, 'b.tar.gz');
    const log = join(directory, 'log');
    writeFileSync(log, `${`${'x'.repeat(99)}\n`.repeat(logBytesMax / 100 + 10)}the end\n`);
    const { text } = await runCli(bundleCommand(), file, '--socket', daemon.socket, '--log', log);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const files = new Map(
      [...(await unpacked(readFileSync(file)))].map(([name, data]) => [name.replace(/^[^/]*\//, ''), data]),
    );
    expect(JSON.parse(files.get('config.json')!)).toEqual({ config: { token: leftOut } });
    expect(JSON.parse(files.get('backends.json')!).backends).toHaveLength(1);
    expect(files.get('metrics.txt')).toBe('inband_up 1\n');
    expect(files.get('log.txt')).toMatch(/^x{99}\n.*\nthe end\n$/s);
    expect(files.get('log.txt')!.length).toBeLessThanOrEqual(logBytesMax);
    expect(JSON.parse(files.get('versions.json')!)).toMatchObject({ inband: expect.any(String) });
    expect(files.get('machine/links.txt') ?? files.get('machine/links.txt.error')).toMatch(
      /lo|not installed/,
    );
    // Nobody answers for it here.
    expect(files.get('recent.ndjson.error')).toContain('/recent was answered with 404');
    expect(text).toMatch(/recent\.ndjson\.error +\d+ B +\S/);
    expect(text).toMatch(/b\.tar\.gz: [\d.]+ kB, \d+ parts, \d+ of them with an error instead\n/);
  });

  it('is made without a daemon, too, and lists what it has as JSON', async () => {
    const directory = temporaryDirectory();
    const file = join(directory, 'b.tar.gz');
    const socket = join(directory, 'none.sock');
    const { text } = await runCli(bundleCommand(), file, '--json', '--socket', socket, '--interface', 'lo');
    const answer = JSON.parse(text);
    expect(answer).toMatchObject({ schema: 'inband.bundle/1', file, bytes: statSync(file).size });
    const errors = answer.parts.filter(({ error }: { error: string | null }) => error !== null);
    expect(errors.map(({ name }: { name: string }) => name)).toContain('status.json.error');
    expect(answer.parts.map(({ name }: { name: string }) => name)).toContain('versions.json');
  });

  it('writes over nothing, and into no directory that is not there', async () => {
    const daemon = await start();
    const directory = temporaryDirectory();
    const there = join(directory, 'there');
    writeFileSync(there, 'mine', { mode: 0o644 });
    for (const file of [there, join(directory, 'none', 'b')]) {
      await expect(runCli(bundleCommand(), file, '--socket', daemon.socket)).rejects.toMatchObject({
        code: 'FILE_UNWRITABLE',
      });
    }
    expect(readFileSync(there, 'utf8')).toBe('mine');
    expect(readdirSync(directory)).toEqual(['there']);
  });

  it('goes to standard output where no file can be made', async () => {
    const socket = join(temporaryDirectory(), 'none.sock');
    const written: Uint8Array[] = [];
    const write = vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
      written.push(chunk as Uint8Array);
      return true;
    });
    try {
      await bundleCommand().parseAsync(['-', '--socket', socket], { from: 'user' });
    } finally {
      write.mockRestore();
    }
    const names = [...(await unpacked(Buffer.concat(written))).keys()];
    expect(names[0]).toMatch(/^inband-[\w.-]+-\d{8}T\d{6}Z\/manifest\.json$/);
  });
});

describe('the list of an archive', () => {
  it('holds no control characters, and fits the terminal', () => {
    const part = { name: 'a.txt', about: 'about it', bytes: 1_234, error: null };
    const broken = { ...part, name: 'b.txt.error', error: `\u001b[2J${'long '.repeat(40)}` };
    const text = bundleText(
      { schema: 'inband.bundle/1', file: 'x.tar.gz', bytes: 5_000, parts: [part, broken] },
      { width: 60, color: false },
    );
    expect(text).not.toContain('\u001b');
    expect(text).toContain('a.txt        1.23 kB  about it\n');
    for (const line of text.split('\n').slice(0, 2)) expect(line.length).toBeLessThanOrEqual(60);
  });
});
