import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { needsClang, root, temporaryDirectory } from './support.ts';

beforeEach(needsClang);

const run = (...args: string[]) =>
  spawnSync(process.execPath, [`${root}native/layout.mjs`, ...args], { encoding: 'utf8' });

/** What the generator writes for a header, or its complaint. */
function generate(header: string): string {
  const directory = temporaryDirectory();
  const [input, output] = [join(directory, 'test.h'), join(directory, 'layout.ts')];
  writeFileSync(input, `#include <linux/types.h>\n${header}`);
  const { status, stderr } = run('--header', input, '--output', output);
  return status === 0 ? readFileSync(output, 'utf8') : stderr;
}

describe('the generated layout', () => {
  test('has offsets, sizes, counts, signs and byte order as the compiler lays a struct out', () => {
    const text = generate(`
struct inband_part {
	__u64 last_ns;
	__s32 delta;
	__u16 counts[2][3];
};
struct inband_whole {
	union {
		__u64 key;
		struct {
			__be32 addr_be;
			__be16 port_be;
			__u8 proto;
			__s8 hops;
		};
	};
	struct inband_part parts[2];
	volatile __u8 mac[6];
	const __u8 pad[2];
};`);
    const field = (name: string, rest: string) => `    ${name}: { ${rest} },`;
    const plain = 'signed: false, bigEndian: false';
    expect(text).toBe(
      [
        '// Generated from native/include/inband.h - do not edit',
        '',
        'export const inbandPart = {',
        "  name: 'inband_part',",
        '  size: 24,',
        '  fields: {',
        field('lastNs', `offset: 0, size: 8, count: 1, ${plain}`),
        field('delta', 'offset: 8, size: 4, count: 1, signed: true, bigEndian: false'),
        field('counts', `offset: 12, size: 2, count: 6, ${plain}`),
        '  },',
        '} as const;',
        '',
        'export const inbandWhole = {',
        "  name: 'inband_whole',",
        '  size: 64,',
        '  fields: {',
        field('key', `offset: 0, size: 8, count: 1, ${plain}`),
        field('addrBe', 'offset: 0, size: 4, count: 1, signed: false, bigEndian: true'),
        field('portBe', 'offset: 4, size: 2, count: 1, signed: false, bigEndian: true'),
        field('proto', `offset: 6, size: 1, count: 1, ${plain}`),
        field('hops', 'offset: 7, size: 1, count: 1, signed: true, bigEndian: false'),
        field('parts', "offset: 8, size: 24, count: 2, struct: 'inbandPart'"),
        field('mac', `offset: 56, size: 1, count: 6, ${plain}`),
        field('pad', `offset: 62, size: 1, count: 2, ${plain}`),
        '  },',
        '} as const;',
        '',
      ].join('\n'),
    );
  });

  test('has constants without the prefix that their enum gives them', () => {
    const text = generate(`
enum inband_reason {
	INBAND_REASON_TX,
	INBAND_REASON_NO_VIP = 5,
};
enum inband_limit {
	INBAND_VIPS_MAX = 64,
	INBAND_ABI = 0x7fffffff,
};`);
    expect(text).toMatch('export const inbandReason = {\n  tx: 0,\n  noVip: 5,\n} as const;');
    expect(text).toMatch('export const inbandLimit = {\n  vipsMax: 64,\n  abi: 2147483647,\n} as const;');
  });

  test.each([
    ['a pointer', 'void *p;', 'inband_x.p: not of a fixed-width type'],
    ['a long', 'unsigned long n;', 'inband_x.n: not of a fixed-width type'],
    ['a bool', '_Bool b[8];', 'inband_x.b: not of a fixed-width type'],
    ['an enum', 'enum { A } e; __u32 n;', 'inband_x.e: not of a fixed-width type'],
    ['a bit-field', '__u64 a : 3, b : 61;', 'inband_x.a: a bit-field'],
    ['padding between members', '__u32 a; __u64 b;', 'inband_x.b: 4 bytes of implicit padding before it'],
    ['padding at the end', '__u64 a; __u32 b;', 'inband_x: 4 bytes of implicit padding at its end'],
    ['a size that pads its array', '__u32 a;', 'inband_x: its size, 4, is not a multiple of 8'],
  ])('refuses %s', (_, members, complaint) => {
    expect(generate(`struct inband_x {\n${members}\n};`)).toBe(
      `layout: ${complaint}${complaint.includes('fixed') ? ' (__u8 to __u64, __s8 to __s64, __be16 to __be64, or a struct inband_*)' : ''}\n`,
    );
  });

  test('refuses constants that the compiler would cut off or make negative', () => {
    for (const value of ['0x100000000ULL', '-1', '0x80000000']) {
      expect(generate(`enum inband_x {\nINBAND_X = ${value},\n};`)).toBe(
        'layout: inband_x: a value outside 0 to 2^31-1\n',
      );
    }
  });

  test('--check tells a stale file from a fresh one', () => {
    const directory = temporaryDirectory();
    const [header, output] = [join(directory, 'test.h'), join(directory, 'layout.ts')];
    writeFileSync(header, '#include <linux/types.h>\nstruct inband_x {\n\t__u64 a;\n};\n');
    expect(run('--check', '--header', header, '--output', output).status).toBe(1);
    expect(run('--header', header, '--output', output).status).toBe(0);
    expect(run('--check', '--header', header, '--output', output).status).toBe(0);
    writeFileSync(header, '#include <linux/types.h>\nstruct inband_x {\n\t__s64 a;\n};\n');
    const { status, stderr } = run('--check', '--header', header, '--output', output);
    expect(status).toBe(1);
    expect(stderr).toMatch('is not fresh; run: node native/layout.mjs');
  });

  test('in the repository is fresh', (context) => {
    if (!existsSync(`${root}native/include/inband.h`)) context.skip('there is no shared header yet');
    expect(run('--check').stderr).toBe('');
  });
});
