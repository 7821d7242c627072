/** Reads the type information (BTF) that clang puts into BPF objects: Documentation/bpf/btf.rst of the kernel. */

/** The kinds of types, in the order of their numbers. */
const kinds =
  'void int pointer array struct union enum forward typedef volatile const restrict function prototype variable section float declTag typeTag enum64'.split(
    ' ',
  );

/** The bytes of the section `name` of a 64-bit little-endian ELF file; undefined when it has none. */
export function elfSection(file, name) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (view.byteLength < 64 || view.getUint32(0) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1) {
    throw new Error('not a 64-bit little-endian ELF file');
  }
  const table = Number(view.getBigUint64(40, true));
  const entrySize = view.getUint16(58, true);
  const header = (index) => {
    const at = table + index * entrySize;
    const offset = Number(view.getBigUint64(at + 24, true));
    return {
      name: view.getUint32(at, true),
      data: file.subarray(offset, offset + Number(view.getBigUint64(at + 32, true))),
    };
  };
  const names = header(view.getUint16(62, true)).data;
  for (let index = 1; index < view.getUint16(60, true); index++) {
    const section = header(index);
    if (text(names, section.name) === name) return section.data;
  }
  return undefined;
}

function text(strings, offset) {
  return Buffer.from(
    strings.buffer,
    strings.byteOffset + offset,
    strings.indexOf(0, offset) - offset,
  ).toString('latin1');
}

/**
 * All types of a `.BTF` section, by their id; type 0 is void. Each has `kind` and `name`; what else depends on the kind:
 * `size` in bytes (int, struct, union, enum), `type` (pointer, typedef, qualifiers, array: the id referred to), `count`
 * (array), `encoding` and `bits` (int), `members` (struct, union), `values` (enum).
 */
export function parseBtf(section) {
  const view = new DataView(section.buffer, section.byteOffset, section.byteLength);
  if (view.getUint16(0, true) !== 0xeb9f) throw new Error('not BTF');
  const base = view.getUint32(4, true);
  const end = base + view.getUint32(8, true) + view.getUint32(12, true);
  const strings = section.subarray(base + view.getUint32(16, true));
  const types = [{ kind: 'void', name: '' }];
  for (let at = base + view.getUint32(8, true); at < end; ) {
    const info = view.getUint32(at + 4, true);
    const kind = kinds[(info >>> 24) & 0x1f];
    const type = { kind, name: text(strings, view.getUint32(at, true)), type: view.getUint32(at + 8, true) };
    at += 12 + readTail(view, strings, at + 12, info & 0xffff, info >>> 31 === 1, type);
    types.push(type);
  }
  return types;
}

/** Adds to `type` what follows its common 12 bytes; returns how many bytes that was. */
function readTail(view, strings, at, count, flag, type) {
  const u32 = (offset) => view.getUint32(at + offset, true);
  const list = (stride, read) => Array.from({ length: count }, (_, index) => read(index * stride));
  switch (type.kind) {
    case 'int':
      Object.assign(type, { size: type.type, encoding: (u32(0) >>> 24) & 0xf, bits: u32(0) & 0xff });
      return 4;
    case 'array':
      Object.assign(type, { type: u32(0), count: u32(8) });
      return 12;
    case 'struct':
    case 'union':
      type.size = type.type;
      type.members = list(12, (i) => ({
        name: text(strings, u32(i)),
        type: u32(i + 4),
        offsetBits: flag ? u32(i + 8) & 0xffffff : u32(i + 8),
        bits: flag ? u32(i + 8) >>> 24 : 0,
      }));
      return 12 * count;
    case 'enum':
      type.size = type.type;
      type.values = list(8, (i) => ({
        name: text(strings, u32(i)),
        value: flag ? view.getInt32(at + i + 4, true) : u32(i + 4),
      }));
      return 8 * count;
    case 'enum64':
      type.size = type.type;
      type.values = list(12, (i) => ({
        name: text(strings, u32(i)),
        value: u32(i + 8) * 2 ** 32 + u32(i + 4),
      }));
      return 12 * count;
    case 'prototype':
      return 8 * count;
    case 'section':
      return 12 * count;
    case 'variable':
    case 'declTag':
      return 4;
    default:
      return 0;
  }
}
