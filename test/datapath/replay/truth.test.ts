import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { TruthFile, truthAgeNsMax } from '../../../src/datapath/replay/truth.ts';
import { temporaryDirectory, temporaryFile } from './support.ts';

const lbHeader = 't_send_ns,rtt_ns,sport,kind';
const requestHeader = 'client_port,req_index,t_send_ns,t_first_byte_ns,t_last_byte_ns';
/** Seconds of the times below: their nanoseconds have 19 digits, more than a double holds. */
const baseS = 1_795_222_990;

const load = (...lines: string[]) => TruthFile.load(temporaryFile('truth.csv', `${lines.join('\n')}\n`));

test('rows of a load balancer truth are found by port, kind and time', async () => {
  const truth = await load(
    lbHeader,
    `${baseS}000000100,321090,57502,syn`,
    `${baseS}000000500,1001,57502,d`,
    `${baseS}000000700,1002,57502,d`,
    `${baseS}000000600,2001,40000,udp`,
  );
  expect(truth.records).toBe(4);
  expect(truth.find('handshake', 57_502, 150, baseS)).toBe(321_090);
  expect(truth.find('response', 57_502, 650, baseS)).toBe(1001);
  expect(truth.find('response', 57_502, 700, baseS)).toBe(1002);
  expect(truth.find('response', 40_000, 600, baseS)).toBe(2001);
});

test('rows of a request log give the time to the first byte', async () => {
  const truth = await load(
    requestHeader,
    `50000,0,${baseS}999999999,${baseS + 1}000000123,${baseS + 1}000000999`,
  );
  expect(truth.find('response', 50_000, 999_999_999, baseS)).toBe(124);
});

test('what was sent later, by another port, of another kind or too long before is not found', async () => {
  const truth = await load(lbHeader, `${baseS}000000500,1001,57502,d`);
  expect(truth.find('response', 57_502, 499, baseS)).toBeNaN();
  expect(truth.find('response', 57_503, 500, baseS)).toBeNaN();
  expect(truth.find('handshake', 57_502, 500, baseS)).toBeNaN();
  expect(truth.find('response', 57_502, 500 + truthAgeNsMax, baseS)).toBe(1001);
  expect(truth.find('response', 57_502, 501 + truthAgeNsMax, baseS)).toBeNaN();
});

test('a port that is used again has the truth of its time, whatever the order of rows', async () => {
  const truth = await load(
    lbHeader,
    `${baseS + 60}000000000,3,5000,d`,
    `${baseS}000000000,1,5000,d`,
    `${baseS + 30}000000000,2,5000,d`,
  );
  const latencies = [0, 30, 60].map((s) => truth.find('response', 5000, s * 1e9 + 10, baseS));
  expect(latencies).toEqual([1, 2, 3]);
});

test('single nanoseconds of 19-digit times are told apart, from any base', async () => {
  const truth = await load(lbHeader, `${baseS}123456788,1,5000,d`, `${baseS}123456789,2,5000,d`);
  expect(truth.find('response', 5000, 123_456_788, baseS)).toBe(1);
  expect(truth.find('response', 5000, 123_456_789, baseS)).toBe(2);
  expect(truth.find('response', 5000, 3600e9 + 123_456_788, baseS - 3600)).toBe(1);
  expect(truth.find('response', 5000, 123_456_789 - 60e9, baseS + 60)).toBe(2);
});

test('all rows are given with their times after any base', async () => {
  const truth = await load(lbHeader, `${baseS}000000002,20,5000,d`, `${baseS}000000001,10,5000,syn`);
  expect([...truth.rows(baseS - 1)]).toEqual([
    ['handshake', 5000, 1e9 + 1, 10],
    ['response', 5000, 1e9 + 2, 20],
  ]);
});

test('times of less than a second are times too', async () => {
  const truth = await load(lbHeader, '5,7,5000,d');
  expect(truth.find('response', 5000, 5, 0)).toBe(7);
});

test('a truth may be gzipped, have CRLF and blank lines', async () => {
  const text = `${lbHeader}\r\n\r\n${baseS}000000500,1001,57502,d\r\n`;
  const truth = await TruthFile.load(temporaryFile('truth.csv.gz', gzipSync(text)));
  expect(truth.find('response', 57_502, 500, baseS)).toBe(1001);
});

test('a truth without rows has no records', async () => {
  expect((await load(requestHeader)).records).toBe(0);
});

describe('what is wrong', () => {
  const good = `${baseS}000000500,1001,57502,d`;
  test.each([
    ['an empty file', [], 1, 'empty'],
    ['unknown columns', ['time,latency', good], 1, "unknown columns 'time,latency'"],
    ['the name of a method as header', ['constructor'], 1, "unknown columns 'constructor'"],
    ['a missing column', [lbHeader, good, `${baseS}000000500,1001,57502`], 3, 'not a row of these columns'],
    ['an empty column', [lbHeader, `${baseS}000000500,,57502,d`], 2, 'not a row of these columns'],
    ['a word', [lbHeader, good, good, 'x,1,2,d'], 4, "not a row of these columns: 'x,1,2,d'"],
    ['a negative latency', [lbHeader, `${baseS}000000500,-5,57502,d`], 2, 'not a row of these columns'],
    ['a port above 65535', [lbHeader, `${baseS}000000500,5,65536,d`], 2, 'not a row of these columns'],
    ['an unknown kind', [lbHeader, `${baseS}000000500,5,57502,x`], 2, 'not a row of these columns'],
    [
      'an answer before its request',
      [requestHeader, `5000,0,${baseS}000000500,${baseS}000000499,${baseS}000000600`],
      2,
      'not a row of these columns',
    ],
  ])('%s is an error with file and line', async (_what, lines, line, message) => {
    const path = temporaryFile('truth.csv', lines.join('\n'));
    await expect(TruthFile.load(path)).rejects.toMatchObject({
      code: 'TRUTH_INVALID',
      message: expect.stringContaining(`${path}:${line}: ${message}`),
      hint: expect.stringContaining(lbHeader),
    });
  });

  test('a long line is not repeated in full', async () => {
    const loading = load(lbHeader, 'x'.repeat(100_000));
    await expect(loading).rejects.toMatchObject({ message: expect.stringMatching(/^.{1,400}$/) });
  });

  const whole = gzipSync(`${lbHeader}\n${`${good}\n`.repeat(1000)}`);
  test.each([
    ['a truncated gzip file', whole.subarray(0, whole.length - 20), 'unexpected end of file'],
    ['a gzip file that is none', new TextEncoder().encode(lbHeader), 'incorrect header check'],
  ])('%s cannot be read', async (_what, bytes, why) => {
    const path = temporaryFile('truth.csv.gz', bytes);
    await expect(TruthFile.load(path)).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
      message: `${path}: cannot be read (${why})`,
    });
  });

  test('a file that is not there, and a directory, cannot be read', async () => {
    await expect(TruthFile.load('/nonexistent/truth.csv')).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
      message: '/nonexistent/truth.csv: cannot be read (ENOENT)',
    });
    await expect(TruthFile.load(temporaryDirectory())).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
      message: expect.stringContaining('cannot be read (EISDIR)'),
    });
  });
});

describe('a truth that is looked up by when requests were sent', () => {
  const rows = 't_send_ns,rtt_ns,sport,kind\n1000000000,10,7,d\n1000000100,20,7,d\n1000000300,30,7,d\n';
  const load = () => TruthFile.load(temporaryFile('truth.csv', rows));

  test('gives the nearest on either side, within a second', async () => {
    const truth = await load();
    const at = (ns: number) => truth.nearest('response', 7, ns, 1);
    expect([-900, 0, 49, 51, 199, 201, 900].map(at)).toEqual([10, 10, 10, 20, 20, 30, 30]);
    expect(at(2e9)).toBeNaN();
    expect(truth.nearest('response', 8, 0, 1)).toBeNaN();
    expect(truth.nearest('handshake', 7, 0, 1)).toBeNaN();
  });

  test('gives the first that is sent after a time', async () => {
    const truth = await load();
    const after = (ns: number) => truth.firstAfter('response', 7, ns, 1);
    expect([-1, 0, 100, 299].map(after)).toEqual([0, 100, 300, 300]);
    expect(after(300)).toBe(Number.POSITIVE_INFINITY);
    expect(truth.firstAfter('response', 8, 0, 1)).toBe(Number.POSITIVE_INFINITY);
  });
});
