import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { BpfObject, type BpfObjectOptions } from '../../src/datapath/xdp/native.ts';
import { compileBpf } from './compile.ts';
import { needsXdp, selftest, temporaryDirectory, thrownBy } from './support.ts';

beforeEach(needsXdp);

function load(options?: BpfObjectOptions): BpfObject {
  const object = BpfObject.load(selftest, options);
  onTestFinished(() => object.close());
  return object;
}

const u32 = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer);
const u64 = (value: number | bigint) => new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);

/** A packet of 60 bytes that starts with a number. */
function packetOf(number: number): Uint8Array {
  const packet = new Uint8Array(60);
  packet.set(u32(number));
  return packet;
}

const firstU32 = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);

describe('mapped memory', () => {
  test('the next packet sees what TypeScript wrote to a mapped array', () => {
    const object = load();
    const cells = new BigUint64Array(object.memory('cells'));
    expect(cells).toHaveLength(1024);
    for (const value of [7n, 8n, 4_000_000_000n]) {
      cells[5] = value;
      const { verdict, packet } = object.testRun('read_cell', packetOf(5));
      expect([verdict, firstU32(packet)]).toEqual([3, Number(value)]);
    }
  });

  test('global variables count on in mapped memory', () => {
    const object = load();
    const { map, offset } = object.globals.get('packets')!;
    const packets = new BigUint64Array(object.memory(map), offset, 1);
    object.testRun('read_cell', packetOf(1), { repeat: 10 });
    expect(packets[0]).toBe(10n);
    packets[0] = 100n;
    object.testRun('read_cell', packetOf(1));
    expect(packets[0]).toBe(101n);
  });

  test('a map is mapped once, and a map that cannot be written is not mapped at all', () => {
    const object = load();
    expect(object.memory('cells')).toBe(object.memory('cells'));
    expect(thrownBy(() => object.memory('words')).message).toMatch('words cannot be mapped');
    expect(thrownBy(() => object.memory('.rodata')).message).toMatch('.rodata cannot be mapped');
    expect(thrownBy(() => object.memory('nowhere')).message).toMatch('no map nowhere');
  });

  test('closing leaves every view empty instead of pointing at memory that is gone', () => {
    const object = BpfObject.load(selftest);
    const cells = new BigUint64Array(object.memory('cells'));
    cells[0] = 1n;
    object.close();
    expect([cells.length, cells[0]]).toEqual([0, undefined]);
    object.close();
  });

  test('memory can be opened, closed and dropped again and again', () => {
    for (let round = 0; round < 50; round++) {
      const object = BpfObject.load(selftest, { maxEntries: { cells: 65_536 } });
      const cells = new BigUint64Array(object.memory('cells'));
      cells.fill(BigInt(round));
      expect(firstU32(object.testRun('read_cell', packetOf(65_535)).packet)).toBe(round);
      if (round % 2 === 0) object.close();
    }
  });
});

describe('loading', () => {
  test('constants and initial values are set before the program is verified', () => {
    const object = load({ globals: { factor: 3, start: u32(40), packets: 5n } });
    new BigUint64Array(object.memory('cells'))[2] = 11n;
    expect(firstU32(object.testRun('read_cell', packetOf(2)).packet)).toBe(33);
    expect(new Uint32Array(object.memory('.data'))[0]).toBe(40);
    expect(new BigUint64Array(object.memory('.bss'))[0]).toBe(6n);
  });

  test('a value that does not fit its variable, or has no variable, is refused', () => {
    for (const value of [2 ** 32, -(2 ** 31) - 1, 1.5, new Uint8Array(3)]) {
      expect(thrownBy(() => load({ globals: { factor: value } })).message).toMatch(
        'does not fit its 4 bytes',
      );
    }
    expect(thrownBy(() => load({ globals: { faktor: 1 } })).message).toMatch('no global variable faktor');
  });

  test('sizes of maps can be chosen, and the specification tells the size in use', () => {
    const object = load({ maxEntries: { cells: 10 } });
    expect(object.maps.get('cells')).toMatchObject({ maxEntries: 10, keySize: 4, valueSize: 8 });
    expect(object.memory('cells').byteLength).toBe(80);
    expect(object.testRun('read_cell', packetOf(9)).verdict).toBe(3);
    expect(object.testRun('read_cell', packetOf(10)).verdict).toBe(1);
    expect(thrownBy(() => load({ maxEntries: { cell: 10 } })).message).toMatch('no map cell');
    expect(thrownBy(() => load({ maxEntries: { cells: 0 } }))).toBeInstanceOf(RangeError);
  });

  test('a missing or malformed object says which file and what is wrong with it', () => {
    const missing = thrownBy(() => BpfObject.load('/nowhere/at/all.o'));
    expect(missing).toMatchObject({ name: 'InbandError', code: 'BPF_FAILED' });
    expect(missing.message).toMatch(/all\.o: bpf_object__open_file failed \(ENOENT\): .*No such file/);
    const path = join(temporaryDirectory(), 'text.o');
    writeFileSync(path, 'this is no ELF file');
    expect(thrownBy(() => BpfObject.load(path)).message).toMatch('text.o: bpf_object__open_file failed');
  });

  test('a program that the verifier rejects says why, with the end of its log', () => {
    const object = compileBpf(`
      SEC("xdp") int beyond(struct xdp_md *context)
      {
        __u8 *data = (void *)(long)context->data;
        return data[5];
      }`);
    const error = thrownBy(() => BpfObject.load(object));
    expect(error).toMatchObject({ code: 'BPF_FAILED' });
    expect(error.message).toMatch(/bpf_object__load failed \(EACCES\): .*outside of the packet/);
    expect(error.message).not.toMatch('\n');
    expect(error.hint).toMatch(/the verifier of this kernel said:\n(.*\n)*.*invalid access to packet/);
  });

  test('a program of many instructions that is rejected leaves no more than the tail of its log', () => {
    const object = compileBpf(`
      SEC("xdp") int endless(struct xdp_md *context)
      {
        __u64 sum = 0;
        for (__u64 i = 0; i < context->ingress_ifindex + 3; i++) sum += i ^ context->rx_queue_index;
        return *(__u8 *)(long)(context->data + sum);
      }`);
    const error = thrownBy(() => BpfObject.load(object));
    expect(error).toMatchObject({ code: 'BPF_FAILED' });
    const { log } = error.cause as { log: string };
    expect(log.length).toBeGreaterThan(1000);
    expect(Buffer.byteLength(log)).toBeLessThanOrEqual(4096);
  });
});

describe('maps by key', () => {
  test('values are set, found, counted on by the program, and removed', () => {
    const object = load();
    expect(object.lookup('words', u32(9))).toBeUndefined();
    expect(object.testRun('count_word', packetOf(9)).verdict).toBe(1);
    object.update('words', u32(9), u64(41));
    expect(object.testRun('count_word', packetOf(9)).verdict).toBe(2);
    expect(object.lookup('words', u32(9))).toEqual(u64(42));
    expect(object.remove('words', u32(9))).toBe(true);
    expect(object.remove('words', u32(9))).toBe(false);
  });

  test('a full map says so', () => {
    const object = load();
    for (let key = 0; key < 8; key++) object.update('words', u32(key), u64(0));
    expect(thrownBy(() => object.update('words', u32(8), u64(0))).message).toMatch(
      'bpf_map_update_elem failed (E2BIG)',
    );
  });

  test('keys and values of the wrong size never reach the kernel', () => {
    const object = load();
    for (const call of [
      () => object.lookup('words', new Uint8Array(3)),
      () => object.update('words', u32(1), new Uint8Array(4)),
      () => object.remove('words', new Uint8Array(8)),
      () => object.lookup('records', new Uint8Array(0)),
    ]) {
      expect(thrownBy(call)).toBeInstanceOf(RangeError);
    }
  });

  test('a per-CPU value has a part for each possible CPU', () => {
    const object = load();
    object.testRun('jump', packetOf(0), { repeat: 3 });
    const value = object.lookup('per_cpu', u32(1))!;
    const parts = Array.from({ length: value.length / 8 }, (_, cpu) => firstU32(value.subarray(cpu * 8)));
    expect(value).toHaveLength(object.valueBytes('per_cpu'));
    expect(parts.reduce((sum, part) => sum + part)).toBe(3);
  });

  test('a tail call runs the program that was set, of this object or of another', () => {
    const object = load();
    const other = load({ globals: { factor: 10 } });
    expect(object.testRun('jump', packetOf(6)).verdict).toBe(2);
    object.setTail('tails', 1, 'read_cell');
    expect(object.testRun('jump', packetOf(6)).verdict).toBe(3);
    new BigUint64Array(other.memory('cells'))[6] = 6n;
    object.setTail('tails', 1, 'read_cell', other);
    expect(firstU32(object.testRun('jump', packetOf(6)).packet)).toBe(60);
    expect(thrownBy(() => object.setTail('tails', 2, 'read_cell'))).toBeInstanceOf(RangeError);
    expect(thrownBy(() => object.setTail('words', 0, 'read_cell'))).toBeInstanceOf(RangeError);
  });
});

describe('test runs', () => {
  test('the packet comes back in the buffer that the caller gave', () => {
    const object = load();
    new BigUint64Array(object.memory('cells'))[3] = 99n;
    const out = new Uint8Array(64);
    const run = object.testRun('read_cell', packetOf(3), { out });
    expect(run.packet.buffer).toBe(out.buffer);
    expect([run.packet.length, firstU32(out)]).toEqual([60, 99]);
    expect(
      thrownBy(() => object.testRun('nothing', packetOf(3), { out: new Uint8Array(10) })).message,
    ).toMatch('ENOSPC');
  });

  test('limits are checked, unknown programs and packets that the kernel refuses are errors', () => {
    const object = load();
    expect(thrownBy(() => object.testRun('nothing', packetOf(0), { repeat: -1 }))).toBeInstanceOf(RangeError);
    expect(thrownBy(() => object.testRun('nothing', new Uint8Array(70_000)))).toBeInstanceOf(RangeError);
    expect(thrownBy(() => object.testRun('no_such', packetOf(0))).message).toMatch('no program no_such');
    expect(thrownBy(() => object.testRun('nothing', new Uint8Array(5))).message).toMatch(
      'bpf_prog_test_run failed (EINVAL)',
    );
  });

  test('after closing every use is an error', () => {
    const object = BpfObject.load(selftest);
    object.close();
    expect(thrownBy(() => object.testRun('nothing', packetOf(0))).message).toMatch('EBADF');
    expect(thrownBy(() => object.lookup('words', u32(0))).message).toMatch('EBADF');
    expect(thrownBy(() => object.memory('cells')).message).toMatch('EBADF');
  });
});

describe('the ring buffer', () => {
  /** What `drain` wrote: the two numbers of every record. */
  function decode(out: Uint8Array, used: number): [number, number][] {
    const view = new DataView(out.buffer, out.byteOffset, used);
    const records: [number, number][] = [];
    for (let at = 0; at < used; at += 24) {
      expect([view.getUint32(at, true), view.getUint32(at + 4, true)]).toEqual([16, 0]);
      records.push([Number(view.getBigUint64(at + 8, true)), Number(view.getBigUint64(at + 16, true))]);
    }
    return records;
  }

  /** The numbers that `emit` sends when it starts at 7: every third is discarded. */
  const sent = (count: number) =>
    Array.from({ length: count }, (_, i) => i)
      .filter((i) => i % 3 !== 2)
      .map((i) => [7 + i, 14 + 2 * i]);

  test('all records come in one piece and in order, without those that the program discarded', () => {
    const object = load({ globals: { record_count: 1000 } });
    const ring = object.ring('records');
    onTestFinished(() => ring.close());
    const out = new Uint8Array(1 << 16);
    expect(ring.drain(out)).toBe(0);
    object.testRun('emit', packetOf(0));
    expect(decode(out, ring.drain(out))).toEqual(sent(1000));
    expect(ring.drain(out)).toBe(0);
  });

  test('what does not fit waits for the next call, and nothing is lost when the ring wraps', () => {
    const object = load({ globals: { record_count: 4096 } });
    const ring = object.ring('records');
    const out = new Uint8Array(24 * 100 + 23);
    for (let round = 0; round < 4; round++) {
      object.testRun('emit', packetOf(0));
      const records: [number, number][] = [];
      for (let used = ring.drain(out); used > 0; used = ring.drain(out)) records.push(...decode(out, used));
      expect(records).toEqual(sent(4096));
    }
    expect(new BigUint64Array(object.memory('.bss'))[1]).toBe(0n);
    ring.close();
    expect(thrownBy(() => ring.drain(out)).message).toMatch('EBADF');
  });

  test('a buffer too small for one record is an error, not an endless wait', () => {
    const object = load();
    const ring = object.ring('records');
    object.testRun('emit', packetOf(0));
    expect(thrownBy(() => ring.drain(new Uint8Array(23))).message).toMatch('ENOSPC');
    expect(ring.drain(new Uint8Array(24))).toBe(24);
    ring.close();
    expect(thrownBy(() => object.ring('cells'))).toBeInstanceOf(RangeError);
  });

  test('a full ring loses the newest records and the program counts them', () => {
    const object = load({ maxEntries: { records: 4096 }, globals: { record_count: 300 } });
    const ring = object.ring('records');
    const out = new Uint8Array(1 << 16);
    object.testRun('emit', packetOf(0));
    const records = decode(out, ring.drain(out));
    const dropped = Number(new BigUint64Array(object.memory('.bss'))[1]);
    expect(dropped).toBeGreaterThan(0);
    expect(records).toEqual(sent(300 - dropped));
    ring.close();
  });
});
