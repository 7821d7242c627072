import fc from 'fast-check';
import type { Address } from '../../src/net/address.ts';
import { linkTypes } from '../../src/net/link.ts';
import type { Extension, Frame, TcpHeader } from './frames.ts';

const byte = fc.nat(0xff);
const port = fc.nat(0xffff);
const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const bytes = (maxLength: number) => fc.uint8Array({ maxLength, size: 'max' });

/** Any IPv4 or any IPv6 address. */
export const anyAddress = (family: 4 | 6): fc.Arbitrary<Address> =>
  family === 4
    ? word.map((w) => ({ family, words: [w, 0, 0, 0] }))
    : fc.tuple(word, word, word, word).map((words) => ({ family, words }));

/** Options that end the list and then hold anything, or timestamps as nearly every segment has them. */
const anyTcpOptions = fc.oneof(
  fc.constant(undefined),
  fc.tuple(word, word).map(([value, echo]) => {
    const options = new DataView(new ArrayBuffer(12));
    options.setUint32(0, 0x0101080a);
    options.setInt32(4, value);
    options.setInt32(8, echo);
    return new Uint8Array(options.buffer);
  }),
  bytes(40),
);

const anyTcp: fc.Arbitrary<TcpHeader> = fc
  .record({
    srcPort: port,
    dstPort: port,
    seq: word,
    ack: word,
    flags: byte,
    window: port,
    options: anyTcpOptions,
  })
  .map(({ options, ...header }) => (options ? { ...header, options } : header));

/** Hop-by-hop, routing or destination options of 8 to 24 bytes, or AH of 12 to 24. */
const anyExtension: fc.Arbitrary<Extension> = fc
  .record({ type: fc.constantFrom(0, 43, 60, 51, 135, 139, 140), units: fc.nat(2), fill: byte })
  .map(({ type, units, fill }) => {
    const size = type === 51 ? 12 + 4 * units : 8 * (units + 1);
    const rest = new Uint8Array(size - 1).fill(fill);
    rest[0] = type === 51 ? size / 4 - 2 : units;
    return { type, rest };
  });

/** A well-formed TCP or UDP frame of any link type that can be decoded. */
export const anyFrame: fc.Arbitrary<Frame> = fc
  .constantFrom(...linkTypes.keys())
  .chain((link) => fc.tuple(fc.constant(link), familyOf(link)))
  .chain(([link, family]) =>
    fc
      .record({
        src: anyAddress(family),
        dst: anyAddress(family),
        vlans: [1, 113, 276].includes(link)
          ? fc.array(fc.integer({ min: 1, max: 4094 }), { maxLength: 4, size: 'max' })
          : fc.constant([]),
        ipOptions: family === 4 ? bytes(40) : fc.constant(new Uint8Array(0)),
        extensions: family === 6 ? fc.array(anyExtension, { maxLength: 8, size: 'max' }) : fc.constant([]),
        transport: fc.oneof(anyTcp, fc.record({ srcPort: port, dstPort: port })),
        payload: bytes(64),
        trailer: bytes(20),
      })
      .map(({ transport, ...rest }): Frame => {
        const frame: Frame = { link, ...rest };
        return 'flags' in transport ? { ...frame, tcp: transport } : { ...frame, udp: transport };
      }),
  );

function familyOf(link: number): fc.Arbitrary<4 | 6> {
  if (link === 228) return fc.constant(4);
  if (link === 229) return fc.constant(6);
  return fc.constantFrom(4, 6);
}
