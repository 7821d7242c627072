import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { elfSection, parseBtf } from './btf.mjs';
import { paths } from './paths.mjs';
import { bpfFlags, clang, compileText } from './toolchain.mjs';

/**
 * Writes src/generated/layout.ts from native/include/inband.h: where each member of a shared struct lies, and the value
 * of each shared constant, as clang lays them out for the BPF target.
 *
 * Every `struct inband_*` and `enum inband_*` that the header defines at the start of a line is exported, used by a
 * program or not. What two compilers could lay out differently is refused: pointers, enums, bools, longs, bit-fields,
 * implicit padding, and sizes that are no multiple of 8.
 *
 *   node native/layout.mjs [--check] [--header FILE] [--output FILE]
 */

const isSigned = 1;
const isBool = 4;

const camel = (name) => name.toLowerCase().replace(/_+(.)/g, (_, letter) => letter.toUpperCase());

/** The structs and enums that a header defines, as `struct NAME` and `enum NAME` in its order. */
function definitions(header) {
  return [...header.matchAll(/^((?:struct|enum) inband_\w+) \{/gm)].map((match) => match[1]);
}

/** BTF of a program that uses every definition: clang leaves out what nothing refers to. */
function typesOf(headerPath, names) {
  const uses = names.map((name, index) => `${name} *use_${index};`);
  const source = [`#include <linux/types.h>`, `#include "${resolve(headerPath)}"`, ...uses, ''].join('\n');
  const object = compileText(clang, [...bpfFlags(), '-c'], source);
  return parseBtf(elfSection(object, '.BTF'));
}

/** Follows typedefs, qualifiers and arrays down to an int or struct. A name like `__be16` on the way tells byte order. */
function resolveType(types, id) {
  let type = types[id];
  let count = 1;
  let bigEndian = false;
  while (['typedef', 'volatile', 'const', 'array', 'typeTag'].includes(type.kind)) {
    if (type.kind === 'array') count *= type.count;
    bigEndian ||= /^__be\d+$/.test(type.name);
    type = types[type.type];
  }
  return { type, count, bigEndian };
}

/** The members of a struct with absolute offsets in bytes; those of anonymous structs and unions count as its own. */
function fieldsOf(types, struct, base, where) {
  const refuse = (member, why) => {
    throw new Error(`${where}.${member.name}: ${why}`);
  };
  return struct.members.flatMap((member) => {
    const { type, count, bigEndian } = resolveType(types, member.type);
    const offset = base + member.offsetBits / 8;
    if (member.bits > 0 || (type.kind === 'int' && type.bits !== type.size * 8))
      refuse(member, 'a bit-field');
    if (member.name === '' && type.members) return fieldsOf(types, type, offset, where);
    if (type.kind === 'struct' && type.name.startsWith('inband_')) {
      return [{ name: member.name, offset, size: type.size, count, struct: camel(type.name) }];
    }
    const isLong = /\blong\b/.test(type.name) && !type.name.includes('long long');
    if (type.kind !== 'int' || type.encoding & isBool || isLong) {
      refuse(
        member,
        'not of a fixed-width type (__u8 to __u64, __s8 to __s64, __be16 to __be64, or a struct inband_*)',
      );
    }
    return [
      {
        name: member.name,
        offset,
        size: type.size,
        count,
        signed: (type.encoding & isSigned) !== 0,
        bigEndian,
      },
    ];
  });
}

/** Refuses padding that nobody wrote down, and sizes that would pad an array of the struct. */
function checkPadding(name, size, fields) {
  let end = 0;
  for (const field of [...fields].sort((a, b) => a.offset - b.offset)) {
    if (field.offset > end)
      throw new Error(`${name}.${field.name}: ${field.offset - end} bytes of implicit padding before it`);
    end = Math.max(end, field.offset + field.size * field.count);
  }
  if (end !== size) throw new Error(`${name}: ${size - end} bytes of implicit padding at its end`);
  if (size % 8 !== 0) throw new Error(`${name}: its size, ${size}, is not a multiple of 8`);
}

function structText(types, struct) {
  const fields = fieldsOf(types, struct, 0, struct.name);
  checkPadding(struct.name, struct.size, fields);
  const lines = fields.map((field) => {
    const kind = field.struct
      ? `struct: '${field.struct}'`
      : `signed: ${field.signed}, bigEndian: ${field.bigEndian}`;
    return `    ${camel(field.name)}: { offset: ${field.offset}, size: ${field.size}, count: ${field.count}, ${kind} },`;
  });
  const head = [
    `export const ${camel(struct.name)} = {`,
    `  name: '${struct.name}',`,
    `  size: ${struct.size},`,
  ];
  return [...head, '  fields: {', ...lines, '  },', '} as const;'].join('\n');
}

/** Names of values lose what the enum's own name says: INBAND_REASON_TX of `enum inband_reason` becomes `tx`. */
function enumText(type) {
  // clang 14 cuts off what does not fit 32 bits and does not tell negative from large.
  const unclear = type.size > 4 || type.values.some(({ value }) => value < 0 || value > 0x7fffffff);
  if (unclear) throw new Error(`${type.name}: a value outside 0 to 2^31-1`);
  const own = `${type.name.toUpperCase()}_`;
  const prefix = type.values.every(({ name }) => name.startsWith(own)) ? own : 'INBAND_';
  const lines = type.values.map(({ name, value }) => `  ${camel(name.replace(prefix, ''))}: ${value},`);
  return [`export const ${camel(type.name)} = {`, ...lines, '} as const;'].join('\n');
}

function layoutText(headerPath) {
  const names = definitions(readFileSync(headerPath, 'utf8'));
  const types = typesOf(headerPath, names);
  const blocks = names.map((definition) => {
    const [kind, name] = definition.split(' ');
    const type = types.find((candidate) => candidate.kind === kind && candidate.name === name);
    if (!type) throw new Error(`${definition}: not in the compiler's type information`);
    return kind === 'struct' ? structText(types, type) : enumText(type);
  });
  return `${['// Generated from native/include/inband.h - do not edit', ...blocks].join('\n\n')}\n`;
}

const { values } = parseArgs({
  options: { check: { type: 'boolean' }, header: { type: 'string' }, output: { type: 'string' } },
});
const output = values.output ?? paths.layout;
try {
  const text = layoutText(values.header ?? paths.header);
  if (!values.check) writeFileSync(output, text);
  else if (readFileSync(output, 'utf8') !== text)
    throw new Error(`${output} is not fresh; run: node native/layout.mjs`);
} catch (error) {
  console.error(`layout: ${error.message}`);
  process.exitCode = 1;
}
