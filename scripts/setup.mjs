// Makes a fresh checkout ready: system packages (when root on Debian or Ubuntu), npm packages, build.
// Each step is skipped when its inputs have not changed since. `--test` adds what only the tests need.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

process.chdir(new URL('..', import.meta.url).pathname);

/** What the build and the lab use, and what the tests use on top. */
const packages = [
  ...['gcc', 'libc6-dev', 'clang', 'libbpf-dev'],
  ...['g++', 'make', 'python3', 'libpcap-dev'],
  ...['iproute2', 'ethtool', 'procps', 'util-linux', 'memcached'],
];
const testPackages = ['chromium', 'prometheus', 'groff-base', 'zsh', 'fish', 'systemd'];
/** npm leaves out what it cannot build of these. */
const optional = ['cap', 'raw-socket'];

const say = (text) => process.stderr.write(`setup: ${text}\n`);

function run(command, args, env = {}) {
  const { status, error } = spawnSync(command, args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...env },
  });
  return error === undefined && status === 0;
}

function isInstalled(name) {
  const { stdout } = spawnSync('dpkg-query', ['-W', '-f=$' + '{db:Status-Status}', name], {
    encoding: 'utf8',
  });
  return stdout === 'installed';
}

/** Without these the parts that need them say so; everything else works, so a failure here is no end. */
function systemPackages(wanted) {
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return;
  const missing = wanted.filter((name) => !isInstalled(name));
  if (missing.length === 0) return;
  say(`installing ${missing.join(' ')}`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const installed =
    run('apt-get', ['-qq', 'update'], env) &&
    run('apt-get', ['-qq', 'install', '-y', '--no-install-recommends', ...missing], env);
  if (!installed) say(`could not install ${missing.join(' ')}; going on without`);
}

/** Runs `step` unless it already ran for the same inputs; the stamp is written only after it succeeded. */
function unlessDone(stamp, inputs, step) {
  const hash = createHash('sha256').update(inputs.join('\n')).digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return;
  if (!step()) process.exit(1);
  writeFileSync(stamp, hash);
}

/** Every file below a folder with its size and time of change. */
function listing(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const { size, mtimeMs } = statSync(path);
      return `${path} ${size} ${mtimeMs}`;
    })
    .sort();
}

systemPackages(process.argv.includes('--test') ? [...packages, ...testPackages] : packages);

const lock = [
  process.version,
  readFileSync('package.json', 'utf8'),
  readFileSync('package-lock.json', 'utf8'),
];
unlessDone('node_modules/.inband', lock, () => {
  say('npm ci');
  // With its assertions compiled in, the package cap ends the process when an interface goes down.
  const installed = run('npm', ['ci', '--no-audit', '--no-fund'], { CPPFLAGS: '-DNDEBUG' });
  const lacking = optional.filter((name) => !existsSync(`node_modules/${name}`));
  if (installed && lacking.length > 0) say(`could not build ${lacking.join(', ')}: no capture datapath`);
  return installed;
});

const sources = [...listing('src'), ...listing('native'), readFileSync('tsconfig.json', 'utf8'), ...lock];
mkdirSync('build', { recursive: true });
unlessDone('build/.inband', sources, () => {
  say('npm run build');
  rmSync('dist', { recursive: true, force: true });
  return run('npm', ['run', '--silent', 'build']);
});
