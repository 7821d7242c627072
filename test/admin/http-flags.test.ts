import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseListen } from '../../src/admin/listen.ts';
import { type RunFlags, settingsOf } from '../../src/cli/run-flags.ts';
import { readRunning } from '../../src/config/load.ts';
import { toDocument } from '../../src/config/write.ts';
import { parseEndpoint } from '../../src/net/address.ts';

const flags = (http?: string, httpPublic?: true): RunFlags => ({
  interface: 'eth0',
  vip: [parseEndpoint('10.0.0.1:80/tcp', '--vip')],
  backend: [{ name: '10.0.0.11', weight: 1 }],
  ...(http !== undefined && { http: parseListen(http, '--http') }),
  ...(httpPublic && { httpPublic }),
});

/** Settings of flags over a file. */
function withFile(admin: string, own: Partial<RunFlags>) {
  const folder = mkdtempSync(join(tmpdir(), 'inband-http-'));
  const config = join(folder, 'inband.yaml');
  const vips = 'vips: [{ address: 10.0.0.1:80/tcp, pool: { backends: [10.0.0.11, 10.0.0.12] } }]';
  writeFileSync(config, `interface: eth0\n${vips}\nadmin: ${admin}\n`);
  try {
    return settingsOf({ vip: [], backend: [], config, ...own });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('--http', () => {
  it('is off unless it is given', () => {
    expect(settingsOf(flags()).http).toBeUndefined();
    expect(settingsOf(flags('127.0.0.1:9464')).http).toEqual({ address: '127.0.0.1', port: 9464 });
  });

  it.each(['0.0.0.0:9464', '10.0.0.5:9464', '[::]:9464'])(
    '%s is refused unless that is said to be meant',
    (text) => {
      expect(() => settingsOf(flags(text))).toThrow(
        expect.objectContaining({
          code: 'USAGE',
          message: `--http: ${text} can be reached by other machines`,
          hint: 'whoever reaches it reads metrics and addresses; give 127.0.0.1, or add --http-public',
        }),
      );
      expect(settingsOf(flags(text, true)).http).toEqual(parseListen(text, ''));
    },
  );

  it('goes before the file, and is refused as well there', () => {
    const listen = parseListen('127.0.0.1:1234', '');
    expect(withFile('{ http: "127.0.0.1:9464" }', {}).http?.port).toBe(9464);
    expect(withFile('{ http: "127.0.0.1:9464" }', { http: listen }).http?.port).toBe(1234);
    expect(withFile('{ http: "0.0.0.0:9464", http_public: true }', {}).http?.address).toBe('0.0.0.0');
    expect(() => withFile('{ http: "0.0.0.0:9464" }', {})).toThrow(
      expect.objectContaining({
        details: expect.arrayContaining([
          expect.stringContaining('admin.http: 0.0.0.0:9464 can be reached by others'),
        ]),
      }),
    );
  });

  it('is in what the daemon says of its configuration, and read back', () => {
    for (const settings of [
      settingsOf(flags()),
      settingsOf(flags('[::1]:9464')),
      settingsOf(flags('0.0.0.0:1', true)),
    ]) {
      expect(readRunning(toDocument(settings), 'socket')).toEqual(settings);
    }
  });
});
