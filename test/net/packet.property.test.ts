import fc from 'fast-check';
import { expect, it } from 'vitest';
import { linkTypes } from '../../src/net/link.ts';
import { Packet, verdicts } from '../../src/net/packet.ts';
import { anyFrame } from '../support/arbitraries.ts';
import { buildFrame, concat } from '../support/frames.ts';

const runs = { numRuns: 1000 };
const before = 37;

/** The captured bytes after others, at the end of a view of more: any read beyond them is an error. */
function guarded(data: Uint8Array, captured: number): Uint8Array {
  return concat(new Uint8Array(before), data, new Uint8Array(200)).subarray(0, before + captured);
}

/** Decodes into a packet that holds garbage from before; gives the verdict, and all fields if it is `ok`. */
function decode(data: Uint8Array, captured: number, wire: number, link: number) {
  const packet = new Packet();
  for (const key of Object.keys(packet)) (packet as unknown as Record<string, number>)[key] = -77;
  const verdict = verdicts[packet.decode(guarded(data, captured), before, captured, wire, link)];
  expect(verdicts).toContain(verdict);
  return verdict === 'ok' ? { verdict, ...packet } : { verdict };
}

const anyLink = fc.constantFrom(...linkTypes.keys());

it('decoding gives back what a frame was built from', () => {
  fc.assert(
    fc.property(anyFrame, (frame) => {
      const data = buildFrame(frame);
      const { tcp, udp, src, dst, vlans, payload } = frame;
      const { link = 1 } = frame;
      const transport = tcp
        ? {
            proto: 6,
            srcPort: tcp.srcPort,
            dstPort: tcp.dstPort,
            seq: tcp.seq,
            ack: tcp.ack,
            tcpFlags: tcp.flags,
            window: tcp.window,
          }
        : { proto: 17, ...udp, tcpFlags: 0, hasTimestamps: 0 };
      expect(decode(data, data.length, data.length, link)).toMatchObject({
        verdict: 'ok',
        family: src.family,
        src0: src.words[0],
        src1: src.words[1],
        src2: src.words[2],
        src3: src.words[3],
        dst0: dst.words[0],
        dst1: dst.words[1],
        dst2: dst.words[2],
        dst3: dst.words[3],
        vlan: vlans?.at(-1) ?? 0,
        payloadLength: payload?.length,
        ...transport,
      });
    }),
    runs,
  );
});

it('a frame cut off at any byte decodes the same or is truncated', () => {
  fc.assert(
    fc.property(anyFrame, (frame) => {
      const data = buildFrame(frame);
      const { link = 1 } = frame;
      const {
        verdict: _,
        hasTimestamps,
        tsVal,
        tsEcr,
        mss,
        windowScale,
        sack,
        ...whole
      } = decode(data, data.length, data.length, link) as Packet & { verdict: 'ok' };
      for (let captured = 0; captured < data.length; captured++) {
        const cut = decode(data, captured, data.length, link);
        // Options may be lost, everything else is all there or not at all.
        if (cut.verdict === 'ok') expect(cut).toMatchObject(whole);
        else expect(cut.verdict).toBe('truncated');
      }
    }),
    { numRuns: 80 },
  );
});

it('random bytes get a verdict, and no byte after them is read', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120, size: 'max' }), anyLink, fc.nat(200), (data, link, wire) => {
      decode(data, data.length, wire, link);
    }),
    runs,
  );
});

it('a frame with some bytes changed gets a verdict, and no byte after it is read', () => {
  const changes = fc.array(fc.tuple(fc.nat(150), fc.nat(255)), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(anyFrame, changes, fc.nat(200), (frame, changes, cutAt) => {
      const data = buildFrame(frame);
      for (const [at, value] of changes) if (at < data.length) data[at] = value;
      decode(data, Math.min(cutAt, data.length), data.length, frame.link ?? 1);
    }),
    runs,
  );
});
