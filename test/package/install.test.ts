import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { fixture, main } from '../cli/inband.ts';

const root = new URL('../../', import.meta.url).pathname;
const version = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version as string;
/** Installing takes seconds; what takes this long hangs. */
const hangMs = 120_000;
const objects = ['inband.bpf.o', 'pass.bpf.o'].map((name) => `build/native/${name}`);

/** The environment without what the npm that runs the tests tells of this package. */
const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));

function unavailable(): string | undefined {
  if (!existsSync(main)) return 'dist is not built; run: npm run setup';
  const missing = objects.filter((path) => !existsSync(join(root, path)));
  return missing.length > 0 ? `${missing.join(', ')} not built; run: npm run setup` : undefined;
}

let folder: string;
let tarball: string;
let packed: readonly string[];

function run(
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
): SpawnSyncReturns<string> {
  const options = {
    cwd: folder,
    encoding: 'utf8',
    timeout: hangMs,
    env: { ...clean, ...env },
  } as const;
  return spawnSync(command, args, options);
}

/** Installs the tarball as users do, into a place of its own; the optional packages are not what this is about. */
function install(name: string, env: Record<string, string> = {}) {
  const prefix = join(folder, name);
  const options = ['--prefix', prefix, '--omit=optional', '--prefer-offline', '--no-audit', '--no-fund'];
  const { status, stderr } = run('npm', ['install', '-g', ...options, tarball], env);
  const home = join(prefix, 'lib/node_modules/inband');
  const inband = (...args: string[]) => run(join(prefix, 'bin/inband'), args, env);
  return { status, stderr, prefix, home, inband };
}

const nativeCheck = (inband: ReturnType<typeof install>['inband']) =>
  JSON.parse(inband('doctor', '--json').stdout).checks.find(
    (check: { name: string }) => check.name === 'native',
  );

beforeAll(() => {
  if (unavailable()) return;
  folder = mkdtempSync(join(tmpdir(), 'inband-package-'));
  // What is packed is what was built: building it once more would pull it from under other tests.
  const { stdout, stderr } = spawnSync(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--pack-destination', folder],
    {
      cwd: root,
      encoding: 'utf8',
      timeout: hangMs,
    },
  );
  const list = JSON.parse(stdout || '[]');
  const [entry] = (Array.isArray(list) ? list : Object.values(list)) as {
    filename: string;
    files: { path: string }[];
  }[];
  if (!entry) throw new Error(`npm pack: ${stderr}`);
  tarball = join(folder, entry.filename);
  packed = entry.files.map(({ path }) => path);
}, hangMs);
afterAll(() => {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});
beforeEach((context) => {
  const reason = unavailable();
  if (reason !== undefined) context.skip(reason);
});

test('the tarball has what is needed to run and to build the addon, and no more', () => {
  for (const path of [
    ...objects,
    ...['dist/cli/main.js', 'native/build.mjs', 'native/addon/addon.c', 'native/bpf/inband.bpf.c'],
    ...['README.md', 'LICENSE', 'config/example.yaml', 'docs/man/inband.1', 'config/completions/inband.fish'],
  ]) {
    expect(packed).toContain(path);
  }
  const odd = packed.filter((path) =>
    /^(src|test|bench|scripts|node_modules)\/|\.d$|test\.bpf|\.node$/.test(path),
  );
  expect(odd).toEqual([]);
});

test('npm links every man page', () => {
  const { man } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { man: string[] };
  expect(man.map((path) => path.replace('./docs/man/', '')).sort()).toEqual(
    readdirSync(join(root, 'docs/man')).sort(),
  );
});

describe('installed where there is a compiler', { timeout: hangMs }, () => {
  let installed: ReturnType<typeof install>;
  beforeAll(() => {
    if (!unavailable()) installed = install('whole');
  }, hangMs);

  test('it runs, replays a capture and has its pages', () => {
    expect(installed.status, installed.stderr).toBe(0);
    expect(installed.inband('--version').stdout).toBe(`${version}\n`);
    const replayed = installed.inband('replay', '--json', fixture('two-servers/lb.pcap.gz'));
    expect(replayed.stderr).toBe('');
    expect(JSON.parse(replayed.stdout)).toMatchObject({
      schema: 'inband.replay/1',
      packets: { read: 12_571 },
    });
    expect(existsSync(join(installed.prefix, 'share/man/man8/inband.8'))).toBe(true);
  });

  test('its addon was built and loads, and the objects for the kernel are those that came with it', () => {
    expect(nativeCheck(installed.inband)).toMatchObject({ state: 'ok' });
    for (const path of objects) {
      expect(readFileSync(join(installed.home, path)).equals(readFileSync(join(root, path)))).toBe(true);
    }
  });

  test('an addon that is missing is built by the command that doctor names, without clang', () => {
    rmSync(join(installed.home, 'build/native/inband.node'));
    const { state, fix } = nativeCheck(installed.inband) as { state: string; fix: string };
    expect(state).toBe('failed');
    expect(fix).toBe(`node ${installed.home}/native/build.mjs`);
    const { status, stderr } = run('sh', ['-c', fix], { CLANG: 'no-such-clang' });
    expect([status, stderr]).toEqual([0, '']);
    expect(nativeCheck(installed.inband)).toMatchObject({ state: 'ok' });
  });
});

describe('installed where there is no compiler', { timeout: hangMs }, () => {
  const env = { CC: 'no-such-cc', CLANG: 'no-such-clang' };
  let installed: ReturnType<typeof install>;
  beforeAll(() => {
    if (!unavailable()) installed = install('bare', env);
  }, hangMs);

  test('it replays a capture all the same', () => {
    expect(installed.status, installed.stderr).toBe(0);
    expect(installed.inband('replay', fixture('two-servers/lb.pcap.gz')).status).toBe(0);
  });

  test('doctor says what to install and how to build the rest', () => {
    expect(nativeCheck(installed.inband).fix).toMatch(
      new RegExp(`^(apt-get|dnf|apk) .*libbpf.* && node ${installed.home}/native/build.mjs$`),
    );
  });

  test('run on the xdp datapath says what is missing and ends with 5', () => {
    const service = ['--interface', 'lo', '--vip', '10.0.0.100:80/tcp', '--backend', '10.0.0.11'];
    const { status, stderr } = installed.inband(
      'run',
      '--datapath',
      'xdp',
      ...service,
      '--socket',
      join(folder, 'socket'),
    );
    expect(stderr).toContain('the native part of inband is not built [NATIVE_MISSING]');
    expect(status).toBe(5);
  });
});
