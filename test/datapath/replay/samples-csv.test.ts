import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { SamplesCsv } from '../../../src/datapath/replay/samples-csv.ts';
import { VipTable } from '../../../src/flow/vips.ts';
import { parseEndpoint } from '../../../src/net/address.ts';
import { ns } from '../../../src/units.ts';
import { packetOf, temporaryDirectory } from './support.ts';

const header = 'time_ns,kind,latency_ns,client_addr,client_port,vip_addr,vip_port,proto,backend';
const packet4 = packetOf({ from: '192.0.2.1:50000', to: '198.51.100.1:443' });
const packet6 = packetOf({ from: '[2001:db8::1]:50000', to: '[2001:db8::2]:443', udp: true });

/** Rows of a file with kinds `one` and `two` and the vips of both packets. */
async function rows(write: (csv: SamplesCsv) => void | Promise<void>): Promise<string[]> {
  const path = `${temporaryDirectory()}/samples.csv`;
  const vips = new VipTable();
  vips.add(parseEndpoint('198.51.100.1:443/tcp', 'test'));
  vips.add(parseEndpoint('[2001:db8::2]:443/udp', 'test'));
  const csv = await SamplesCsv.create(path, ['one', 'two'], vips);
  await write(csv);
  await csv.flush();
  await csv.close();
  const text = readFileSync(path, 'utf8');
  expect(text.endsWith('\n')).toBe(true);
  return text.slice(0, -1).split('\n');
}

test('without samples there is a header', async () => {
  expect(await rows(() => {})).toEqual([header]);
});

test('a row has the flow, the backend and the exact time in 19 digits', async () => {
  const written = await rows((csv) => {
    csv.add(0, 1234, packet4, 0, 's1', ns(1), 1_795_222_990);
    csv.add(1, 5, packet6, 1, 's2', ns(123_456_789_012_345), 1_795_222_990);
  });
  expect(written).toEqual([
    header,
    '1795222990000000001,one,1234,192.0.2.1,50000,198.51.100.1,443,tcp,s1',
    '1795346446789012345,two,5,2001:db8::1,50000,2001:db8::2,443,udp,s2',
  ]);
});

test('times before the base and times from 0 are exact too', async () => {
  const times = (
    await rows((csv) => {
      csv.add(0, 1, packet4, 0, 's', ns(-1), 1_795_222_990);
      csv.add(0, 1, packet4, 0, 's', ns(5), 0);
      csv.add(0, 1, packet4, 0, 's', ns(1_000_000_005), 0);
    })
  ).map((row) => row.split(',')[0]);
  expect(times.slice(1)).toEqual(['1795222989999999999', '5', '1000000005']);
});

test('names with commas, quotes and line feeds are quoted', async () => {
  const written = await rows((csv) => csv.add(0, 1, packet4, 0, 'a "b", c', ns(0), 1));
  expect(written[1]!.endsWith(',tcp,"a ""b"", c"')).toBe(true);
});

test('rows of several flushes follow one another', async () => {
  const written = await rows(async (csv) => {
    for (let i = 0; i < 3; i++) {
      csv.add(0, i, packet4, 0, 's', ns(i), 1);
      await csv.flush();
    }
  });
  expect(written.slice(1).map((row) => row.split(',')[2])).toEqual(['0', '1', '2']);
});

test('a path that cannot be written is an error that names it', async () => {
  const path = `${temporaryDirectory()}/missing/samples.csv`;
  await expect(SamplesCsv.create(path, [], new VipTable())).rejects.toMatchObject({
    code: 'FILE_UNWRITABLE',
    message: `${path}: cannot be written (ENOENT)`,
  });
});
