import { describe, expect, it } from 'vitest';
import { fixturePath, join, pcapHeader, pcapRecord, readAll } from './support.ts';

const second = 1_700_000_000;
const data = Uint8Array.of(1, 2, 3, 4, 5);

describe('a pcap file', () => {
  const magics = [
    { name: 'microsecond', magic: 0xa1b2c3d4, fraction: 250_001, ns: 250_001_000, extra: new Uint8Array(0) },
    {
      name: 'nanosecond',
      magic: 0xa1b23c4d,
      fraction: 250_000_001,
      ns: 250_000_001,
      extra: new Uint8Array(0),
    },
    {
      name: 'Kuznetzov',
      magic: 0xa1b2cd34,
      fraction: 250_001,
      ns: 250_001_000,
      extra: new Uint8Array(8).fill(9),
    },
  ];
  for (const { name, magic, fraction, ns, extra } of magics) {
    for (const littleEndian of [true, false]) {
      it(`is read with the ${name} magic, ${littleEndian ? 'little' : 'big'}-endian`, async () => {
        const capture = await readAll(
          join(
            pcapHeader(littleEndian, magic, 113),
            pcapRecord(littleEndian, second, fraction, data, 1500, extra),
            pcapRecord(littleEndian, second + 2, 7, data.subarray(2), 3, extra),
          ),
        );
        const common = { linkType: 113, interfaceIndex: 0 };
        expect(capture).toEqual({
          timeBaseS: second,
          problems: [],
          packets: [
            { data: '0102030405', wireLength: 1500, timeNs: ns, ...common },
            { data: '030405', wireLength: 3, timeNs: 2e9 + (magic === 0xa1b23c4d ? 7 : 7000), ...common },
          ],
        });
      });
    }
  }

  it('may begin with the latest time, so that later times are negative', async () => {
    const { packets } = await readAll(
      join(pcapHeader(true), pcapRecord(true, second, 5, data), pcapRecord(true, second - 10, 0, data)),
    );
    expect(packets.map((packet) => packet.timeNs)).toEqual([5000, -10e9]);
  });

  it('counts times from the base that is given', async () => {
    const file = join(pcapHeader(true), pcapRecord(true, second, 5, data));
    const capture = await readAll(file, { timeBaseS: second - 3 });
    expect(capture.packets[0]!.timeNs).toBe(3_000_005_000);
    expect(capture.timeBaseS).toBe(second - 3);
  });

  it('has its link type in the lower half of the field, below the length of the checksum', async () => {
    const { packets } = await readAll(
      join(pcapHeader(true, 0xa1b2c3d4, 0x5400_0001), pcapRecord(true, 0, 0, data)),
    );
    expect(packets[0]!.linkType).toBe(1);
  });

  it('ends with a problem at a packet longer than the limit, and delivers what precedes it', async () => {
    const good = pcapRecord(true, second, 0, data);
    const bad = pcapRecord(true, second, 0, data);
    new DataView(bad.buffer).setUint32(8, 256 * 1024 + 1, true);
    const capture = await readAll(join(pcapHeader(true), good, bad, good), { name: 'x.pcap' });
    expect(capture.packets).toHaveLength(1);
    expect(capture.problems).toEqual([
      {
        kind: 'corrupt',
        offset: 45,
        count: 1,
        message: 'x.pcap: packet of 262145 bytes (limit 262144) at byte 45',
      },
    ]);
  });

  it('delivers a packet of just the limit', async () => {
    const large = new Uint8Array(256 * 1024).fill(7);
    const capture = await readAll(join(pcapHeader(true), pcapRecord(true, second, 0, large)));
    expect(capture.problems).toEqual([]);
    expect(capture.packets[0]!.data).toBe('07'.repeat(large.length));
  });

  it('reports an absurd length on the wire as the largest one', async () => {
    const { packets } = await readAll(join(pcapHeader(true), pcapRecord(true, 0, 0, data, 0xffff_ffff)));
    expect(packets[0]!.wireLength).toBe(2 ** 31 - 1);
  });

  it('of another version than 2.4 is refused', async () => {
    await expect(readAll(pcapHeader(false, 0xa1b2c3d4, 1, 2), { name: 'old.pcap' })).rejects.toMatchObject({
      code: 'CAPTURE_UNSUPPORTED',
      message: 'old.pcap: pcap version 2.2 is not supported',
    });
  });
});

describe('pcap files of other projects', () => {
  it('with nanoseconds have exact times', async () => {
    const capture = await readAll(fixturePath('tcpdump-tcp-handshake-nano.pcap'));
    expect(capture.timeBaseS).toBe(1_418_145_369);
    expect(capture.packets.map((packet) => packet.timeNs)).toEqual([
      924_505_488, 1_052_027_262, 1_052_115_157,
    ]);
    expect(capture.problems).toEqual([]);
  });

  it('with nanoseconds out of range deliver the sum and count the packets', async () => {
    const path = fixturePath('tcpdump-timestamp_invalid_nano.pcap');
    const capture = await readAll(path, { name: 'n.pcap' });
    expect(capture.packets.map((packet) => packet.timeNs)).toEqual([
      999_999_999, 2_000_000_000, 3_147_483_648,
    ]);
    expect(capture.problems).toEqual([
      {
        kind: 'bad_timestamp',
        offset: 116,
        count: 2,
        message: 'n.pcap: fraction of a second out of range at byte 116',
      },
    ]);
  });

  it('in the modified format have a longer record header', async () => {
    const capture = await readAll(fixturePath('pcapparser-modified-format.pcap'));
    expect(capture.packets).toHaveLength(1);
    expect(capture.packets[0]!.data).toMatch(/^000000000000000000000000080045000054/);
    expect(capture.problems).toEqual([]);
  });

  it('deliver any link type', async () => {
    const cooked = await readAll(fixturePath('zeek-linux_dlt_sll2.pcap'));
    expect(cooked.packets.map((packet) => packet.linkType)).toEqual(Array(6).fill(276));
  });

  it('may have no packets', async () => {
    expect(await readAll(fixturePath('tcpdump-empty.pcap'))).toEqual({
      packets: [],
      problems: [],
      timeBaseS: undefined,
    });
  });
});
