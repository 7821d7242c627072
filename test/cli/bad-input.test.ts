import { readFileSync, writeFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { CaptureWriter } from '../../src/pcap/writer.ts';
import { temporaryDirectory, temporaryFile } from '../datapath/replay/support.ts';
import { errorPattern, fixture, inband } from './inband.ts';

const capture = fixture('two-servers/lb.pcap.gz');
const truthHeader = 't_send_ns,rtt_ns,sport,kind';

/** The lines of standard error of a command that must fail with this exit code and say nothing else. */
async function failure(code: number, ...args: string[]): Promise<string> {
  const outcome = await inband(args);
  expect({ code: outcome.code, stdout: outcome.stdout }).toEqual({ code, stdout: '' });
  expect(outcome.stderr).toMatch(errorPattern);
  return outcome.stderr;
}

describe('a command line that cannot be understood is one line, perhaps a hint, and exit code 2', () => {
  const unit = 'give a positive number and a unit';
  test.each<[string[], string, string]>([
    [['--bogus'], "unknown option '--bogus'", 'inband replay --help'],
    [['--jsn'], "unknown option '--jsn'", 'Did you mean --json?'],
    [['--flows'], "option '--flows <COUNT>' argument missing", 'inband replay --help'],
    [['--flows', 'x'], "--flows: 'x' is not a number", 'decimal'],
    [['--flows', '8'], '--flows: 8 is out of range', 'from 16 to 16777216'],
    [['--flows', '20.5'], '--flows: 20.5 is out of range', 'whole number'],
    [['--flows', '16777217'], '--flows: 16777217 is out of range', 'from 16 to 16777216'],
    [['--epoch', '64'], "--epoch: '64' is not a duration", unit],
    [['--epoch', '0ms'], "--epoch: '0ms' is not a duration", unit],
    [['--flow-idle', '-1s'], "--flow-idle: '-1s' is not a duration", unit],
    [['--timeouts', '64us,x'], "--timeouts: 'x' is not a duration", unit],
    [['--timeouts', '128us,64us'], '--timeouts: ', '64us,128us'],
    [['--timeouts', '64us'], '--timeouts: ', '64us,128us'],
    [['--estimator', 'bogus'], "--estimator: 'bogus' is not known", 'fixed[:TIMEOUT], ensemble'],
    [
      ['--estimator', 'ensemble:x'],
      "--estimator: 'ensemble:x' is not known",
      'ensemble[:smooth|infinite|damped]',
    ],
    [['--estimator', 'fixed:64'], "--estimator: fixed: '64' is not a duration", unit],
    [['--estimator', ''], "--estimator: '' is not known", 'handshake'],
    [['--vip', '10.0.0.1'], "--vip: '10.0.0.1' is not ADDR:PORT/PROTO", '10.0.0.1:80/tcp'],
    [['--vip', '10.0.0.1:0/tcp'], "--vip: '10.0.0.1:0/tcp' is not", '[2001:db8::1]:443/udp'],
    [['--vip', '10.0.0.1:80/sctp'], "--vip: '10.0.0.1:80/sctp' is not", '10.0.0.1:80/tcp'],
    [['--backend', 'x'], "--backend: 'x' is not ADDR[,WEIGHT]", '10.0.0.11,2'],
    [['--backend', '10.0.0.1,0'], "--backend: '10.0.0.1,0' is not ADDR[,WEIGHT]", 'above 0'],
    [['--backend', `10.0.0.1,${'9'.repeat(400)}`], '--backend: ', 'at most 1000000'],
    [['--backend', '::1', '--backend', '0::1'], "--backend: '::1' was given twice", 'once'],
    [['--alpha', 'x'], "--alpha: 'x' is not a number", 'decimal'],
    [['--alpha', '2'], '--alpha: 2 is not a fraction above 0 and at most 1', '0.1'],
    [['--alpha', '0'], '--alpha: 0 is not a fraction above 0 and at most 1', '0.1'],
    [['--assign', 'table'], '--assign table needs backends', '--backend ADDR[,WEIGHT]'],
    [['--assign', 'dst-mac', '--backend', '10.0.0.1'], '--backend goes with --assign table', 'leave one'],
    [['--truth', 'x', '--use-server'], '--truth and --use-server are two truths', 'one of them'],
    [['--hide-server', '--use-server'], "option '--hide-server' cannot be used with", 'inband replay --help'],
    [['--samples', 'x', '--report', './x'], '--report: ./x has another use', 'another file'],
    [['-', '-'], '- was given more than once', 'once'],
  ])('%j', async (args, message, hint) => {
    const [what, how] = (await failure(2, 'replay', capture, ...args)).split('\n');
    expect(what).toContain(`inband: ${message}`);
    expect(what!.endsWith(' [USAGE]')).toBe(true);
    expect(how).toContain(hint);
  });

  test('no file at all', async () => {
    expect(await failure(2, 'replay')).toBe(
      "inband: missing required argument 'file' [USAGE]\nhint: inband replay --help shows what is allowed\n",
    );
  });

  test('an unknown command', async () => {
    expect(await failure(2, 'bogus')).toBe(
      "inband: unknown command 'bogus' [USAGE]\nhint: inband --help shows what is allowed\n",
    );
    expect(await failure(2, 'repaly')).toContain('hint: Did you mean replay?');
  });
});

test('without a command the help goes to standard error, with exit code 2', async () => {
  const { code, stdout, stderr } = await inband([]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain('Usage: inband [options] [command]');
  const asked = await inband(['--help']);
  expect(asked).toEqual({ code: 0, stdout: stderr, stderr: '' });
});

test('the version is that of the package', async () => {
  const { code, stdout } = await inband(['--version']);
  expect([code, stdout.trim()]).toEqual([0, expect.stringMatching(/^\d+\.\d+\.\d+$/)]);
});

describe('files that cannot be used', () => {
  const directory = () => temporaryDirectory();

  test.each([
    [
      'a capture that is not there',
      () => '/nonexistent/x.pcap',
      /cannot be read \(ENOENT\) \[FILE_UNREADABLE\]\nhint: no such file/,
    ],
    ['a directory', directory, /cannot be read \(EISDIR\) \[FILE_UNREADABLE\]\nhint: this is a directory/],
    [
      'a name that is too long',
      () => 'x'.repeat(5000),
      /cannot be read \(ENAMETOOLONG\) \[FILE_UNREADABLE\]/,
    ],
    [
      'an empty file',
      () => temporaryFile('x.pcap', ''),
      /x\.pcap: empty \[CAPTURE_UNSUPPORTED\]\nhint: supported are pcap and pcapng/,
    ],
    [
      'a text',
      () => temporaryFile('x.pcap', 'hello world'),
      /not a capture \(begins with the bytes 68656c6c\)/,
    ],
    ['two bytes', () => temporaryFile('x.pcap', 'hi'), /not a capture \(2 bytes\)/],
  ])('%s is no capture: exit code 1', async (_what, path, message) => {
    expect(await failure(1, 'replay', path())).toMatch(message);
  });

  test('an unreadable capture among good ones ends the replay', async () => {
    expect(await failure(1, 'replay', capture, '/nonexistent/x.pcap')).toContain('ENOENT');
  });

  test('standard input that is no capture: exit code 1', async () => {
    const { code, stderr } = await inband(['replay', '-'], new TextEncoder().encode('hello world'));
    expect(code).toBe(1);
    expect(stderr).toMatch(errorPattern);
    expect(stderr).toContain('standard input: not a capture');
  });

  test.each([
    ['--samples', 'missing/x.csv', 'ENOENT'],
    ['--samples', '', 'EISDIR'],
    ['--report', 'missing/x.html', 'ENOENT'],
    ['--report', '', 'EISDIR'],
  ])('%s in %j of a directory cannot be written: exit code 1', async (flag, name, why) => {
    const path = `${directory()}/${name}`;
    const stderr = await failure(1, 'replay', fixture('wild/zeek-payload-syn.pcap'), flag, path);
    expect(stderr).toContain(`inband: ${path}: cannot be written (${why}) [FILE_UNWRITABLE]`);
  });

  test('a full disk is noticed', async () => {
    for (const flag of ['--samples', '--report']) {
      const stderr = await failure(1, 'replay', fixture('wild/zeek-payload-syn.pcap'), flag, '/dev/full');
      expect(stderr).toContain('/dev/full: cannot be written (ENOSPC)');
    }
  });

  test('a broken truth is named with its line: exit code 1', async () => {
    const truth = temporaryFile('truth.csv', `${truthHeader}\n1,2,3,d\n1,2,x,d\n`);
    expect(await failure(1, 'replay', capture, '--truth', truth)).toContain(
      `${truth}:3: not a row of these columns: '1,2,x,d' [TRUTH_INVALID]`,
    );
    expect(await failure(1, 'replay', capture, '--truth', directory())).toContain(
      '(EISDIR) [FILE_UNREADABLE]',
    );
  });

  test('a broken assignment is named with its line: exit code 3', async () => {
    const flows = temporaryFile('flows.csv', 'client_port,server\n1,s1\ns2,2\n');
    expect(await failure(3, 'replay', capture, '--assign', flows)).toContain(
      `${flows}:3: not a row of client_port,server: 's2,2' [CONFIG_INVALID]`,
    );
  });

  test('a misspelt way to assign says what there is', async () => {
    const stderr = await failure(1, 'replay', capture, '--assign', 'dst_mac');
    expect(stderr).toContain('inband: dst_mac: cannot be read (ENOENT)');
    expect(stderr).toContain('hint: --assign takes table, dst-mac, or a CSV file');
  });

  test('control characters of files and names do not reach the terminal', async () => {
    const flows = temporaryFile('a\x1b[31m\nb.csv', 'client_port,server\n\x1b]0;title\x07\n');
    const stderr = await failure(3, 'replay', capture, '--assign', flows);
    expect(stderr.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
  });
});

test('a link type that is not known is a warning that names those that are', async () => {
  const path = `${temporaryDirectory()}/wifi.pcap`;
  const writer = CaptureWriter.toFile(path, { linkType: 105 });
  for (let i = 0; i < 3; i++) writer.write(new Uint8Array(60), i);
  writer.close();
  const { code, stdout, stderr } = await inband(['replay', path, '--json', '--strict']);
  expect({ code, stderr }).toEqual({ code: 4, stderr: '' });
  const { packets, warnings } = JSON.parse(stdout);
  expect(packets.skipped).toEqual({ unsupported_link_type: 3 });
  expect(warnings).toContain(
    '3 packets have an unsupported link type; supported are NULL, EN10MB, RAW, LOOP, LINUX_SLL, IPV4, IPV6, LINUX_SLL2',
  );
});

test('what a capture has whole before it breaks off is replayed, and where it ends is said', async () => {
  const bytes = gunzipSync(readFileSync(capture));
  const path = `${temporaryDirectory()}/cut.pcap`;
  writeFileSync(path, bytes.subarray(0, 500_003));
  const { code, stdout } = await inband(['replay', path, '--json', '--strict']);
  expect(code).toBe(4);
  const { packets, warnings, files } = JSON.parse(stdout);
  expect(packets.client).toBeGreaterThan(5000);
  expect(warnings).toEqual([`${path}: truncated at byte 500003`]);
  expect(files[0].problems).toEqual(warnings);
});
