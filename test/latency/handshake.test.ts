import { expect, it } from 'vitest';
import { Handshake } from '../../src/latency/handshake.ts';
import { Packet, tcpAck, tcpFin, tcpPsh, tcpRst, tcpSyn } from '../../src/net/packet.ts';
import { ns } from '../../src/units.ts';

/** ECN negotiation sets both of these on a SYN (RFC 3168, 6.1.1). */
const ecn = 0xc0;

/** Samples of one flow from packets of these flags, one per microsecond, the first one at 1 us. */
function samplesOf(
  flags: number[],
  { proto = 6, handshake = new Handshake({ flows: 1, backends: 1 }) } = {},
) {
  const samples: number[] = [];
  flags.forEach((tcpFlags, i) => {
    const packet = Object.assign(new Packet(), { proto, tcpFlags });
    const now = ns(1000 * (i + 1));
    if (i === 0) handshake.open(0, 0, packet, now);
    else handshake.observe(0, 0, packet, now, (kind, latencyNs) => samples.push(latencyNs + kind));
  });
  return samples;
}

it('the time from the SYN to the first ACK is a sample', () => {
  expect(samplesOf([tcpSyn, tcpAck])).toEqual([1000]);
});

it('there is one sample per flow', () => {
  expect(samplesOf([tcpSyn, tcpAck, tcpAck | tcpPsh, tcpAck, tcpAck | tcpFin])).toEqual([1000]);
});

it('data or FIN on the first ACK change nothing', () => {
  expect(samplesOf([tcpSyn, tcpAck | tcpPsh])).toEqual([1000]);
  expect(samplesOf([tcpSyn, tcpAck | tcpFin])).toEqual([1000]);
});

it('a SYN that negotiates ECN counts', () => {
  expect(samplesOf([tcpSyn | ecn, tcpAck])).toEqual([1000]);
});

it('a retransmitted SYN makes the answer ambiguous: no sample', () => {
  expect(samplesOf([tcpSyn, tcpSyn, tcpAck])).toEqual([]);
  expect(samplesOf([tcpSyn, tcpSyn, tcpSyn, tcpAck, tcpAck])).toEqual([]);
});

it('a reset instead of the ACK is no sample, nor is an ACK after it', () => {
  expect(samplesOf([tcpSyn, tcpRst, tcpAck])).toEqual([]);
  expect(samplesOf([tcpSyn, tcpRst | tcpAck])).toEqual([]);
});

it('a flow seen from its middle on gives no sample', () => {
  expect(samplesOf([tcpAck, tcpAck, tcpAck])).toEqual([]);
  expect(samplesOf([tcpAck, tcpSyn, tcpAck])).toEqual([]);
});

it('a SYN-ACK is no SYN', () => {
  expect(samplesOf([tcpSyn | tcpAck, tcpAck])).toEqual([]);
  expect(samplesOf([tcpSyn, tcpSyn | tcpAck])).toEqual([]);
});

it('UDP has no handshake, whatever the flags hold', () => {
  expect(samplesOf([tcpSyn, tcpAck], { proto: 17 })).toEqual([]);
});

it('a flow number used again starts clean', () => {
  const handshake = new Handshake({ flows: 1, backends: 1 });
  expect(samplesOf([tcpSyn], { handshake })).toEqual([]);
  expect(samplesOf([tcpAck, tcpAck], { handshake })).toEqual([]);
  expect(samplesOf([tcpSyn, tcpAck], { handshake })).toEqual([1000]);
});
