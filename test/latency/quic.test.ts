import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { QuicEstimator } from '../../src/latency/quic.ts';
import { Packet, tcpAck } from '../../src/net/packet.ts';
import { CaptureReader } from '../../src/pcap/reader.ts';
import { ns } from '../../src/units.ts';
import { be32, buildFrame, ip } from '../support/frames.ts';

const addresses = { src: ip('192.0.2.1'), dst: ip('198.51.100.2') };
const udp = { srcPort: 40_000, dstPort: 443 };
const v1 = 1;
const v2 = 0x6b3343cf;
const clientsChoice = [1, 2, 3, 4, 5, 6, 7, 8];
const serversChoice = [9, 9, 9, 9];

interface Long {
  version?: number;
  to?: number[];
  from?: number[];
  token?: readonly number[];
  /** Payload of the datagram in bytes. */
  bytes?: number;
}

/** Type codes of Initial, 0-RTT, Handshake and Retry (RFC 9000, 17.2; RFC 9369, 3.2). */
const codes = new Map([
  [v1, [0, 1, 2, 3]],
  [v2, [1, 2, 3, 0]],
]);

function long(
  type: number,
  { version = v1, to = clientsChoice, from = [7], token = [], bytes = 1200 }: Long,
) {
  const first = 0xc0 | ((codes.get(version) ?? [0, 1, 2, 3])[type]! << 4);
  const header = [first, ...be32(version), to.length, ...to, from.length, ...from, token.length, ...token];
  return Uint8Array.from({ length: Math.max(bytes, header.length) }, (_, i) => header[i] ?? 0x55);
}

const initial = (like: Long = {}) => long(0, like);
const zeroRtt = (like: Long = {}) => long(1, like);
const handshake = (like: Long = {}) => long(2, { to: serversChoice, ...like });
const answer = (like: Long = {}) => initial({ to: serversChoice, ...like });
const short = (spin: 0 | 1, fixed = 0x40) =>
  Uint8Array.of(fixed | (spin << 5), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);

/** Samples in ms of one flow whose datagrams carry these payloads at these times in ms. */
function samplesOf(sent: [ms: number, payload: Uint8Array][], captured = 2000) {
  const quic = new QuicEstimator({ flows: 1, backends: 1 });
  const packet = new Packet();
  const samples: number[] = [];
  sent.forEach(([ms, payload], i) => {
    const data = buildFrame({ ...addresses, udp, payload });
    expect(packet.decode(data, 0, Math.min(captured, data.length), data.length, 1)).toBe(0);
    if (i === 0) quic.open(0, 0, packet, ns(ms * 1e6));
    else quic.observe(0, 0, packet, ns(ms * 1e6), (kind, latencyNs) => samples.push(kind + latencyNs / 1e6));
  });
  return samples.map((ms) => Math.round(ms * 100) / 100);
}

/** Turns of the spin bit at these times in ms, with a packet that changes nothing between each two. */
function turns(...times: number[]): [number, Uint8Array][] {
  return times.flatMap((ms, i): [number, Uint8Array][] => {
    const value = (i % 2) as 0 | 1;
    return [
      [ms, short(value)],
      [ms + 0.1, short(value)],
    ];
  });
}

describe('from the Initial to the answer', () => {
  it('the first Handshake packet proves an answer', () => {
    expect(
      samplesOf([
        [0, initial()],
        [20, handshake()],
        [20.1, handshake()],
      ]),
    ).toEqual([20]);
  });

  it('an Initial to the connection ID that the server chose proves it as well', () => {
    expect(
      samplesOf([
        [0, initial()],
        [20, answer()],
        [21, handshake()],
      ]),
    ).toEqual([20]);
    expect(
      samplesOf([
        [0, initial()],
        [20, answer({ to: [] })],
      ]),
    ).toEqual([20]);
    expect(
      samplesOf([
        [0, initial()],
        [20, answer({ to: [1, 2, 3, 4] })],
      ]),
    ).toEqual([20]);
  });

  it('version 2 is read with its own type codes', () => {
    const version = v2;
    expect(
      samplesOf([
        [0, initial({ version })],
        [20, handshake({ version })],
      ]),
    ).toEqual([20]);
    expect(
      samplesOf([
        [0, initial({ version })],
        [5, zeroRtt({ version })],
        [20, answer({ version })],
      ]),
    ).toEqual([20]);
  });

  it('drafts with the same header are read, other versions are not', () => {
    for (const [version, samples] of [
      [0xff00001d, [20]],
      [0xff000016, [20]],
      [0xff000015, []],
      [0x0a1a2a3a, []],
      [0, []],
    ] as const) {
      expect(
        samplesOf([
          [0, initial({ version })],
          [20, handshake({ version })],
        ]),
      ).toEqual(samples);
    }
  });

  it('0-RTT packets are no answer, whoever they are sent to', () => {
    expect(
      samplesOf([
        [0, initial()],
        [1, zeroRtt()],
        [2, zeroRtt({ to: serversChoice })],
        [20, handshake()],
      ]),
    ).toEqual([20]);
  });

  it('a hello of two Initials counts from the second', () => {
    expect(
      samplesOf([
        [0, initial()],
        [1, initial()],
        [21, handshake()],
      ]),
    ).toEqual([20]);
  });

  it('an Initial sent again makes the answer ambiguous: no sample', () => {
    expect(
      samplesOf([
        [0, initial()],
        [100, initial()],
        [120, handshake()],
      ]),
    ).toEqual([]);
  });

  it('after a Retry there is no sample', () => {
    const token = [1, 2, 3];
    const retried = initial({ to: [5, 5, 5, 5, 5], token });
    expect(
      samplesOf([
        [0, initial()],
        [20, retried],
        [40, handshake()],
      ]),
    ).toEqual([]);
    expect(
      samplesOf([
        [0, initial()],
        [20, retried],
        [40, answer({ token })],
        [41, handshake()],
      ]),
    ).toEqual([]);
  });

  it('a token from an earlier connection is no Retry, but an Initial cannot be told from one', () => {
    const token = [1, 2, 3];
    expect(
      samplesOf([
        [0, initial({ token })],
        [20, handshake()],
      ]),
    ).toEqual([20]);
    expect(
      samplesOf([
        [0, initial({ token })],
        [20, answer({ token })],
        [21, handshake()],
      ]),
    ).toEqual([]);
  });

  it('after version negotiation there is no sample', () => {
    const hello = initial({ version: 0xff00001d });
    expect(
      samplesOf([
        [0, hello],
        [20, initial()],
        [40, handshake()],
      ]),
    ).toEqual([]);
    expect(
      samplesOf([
        [0, initial()],
        [20, handshake({ version: v2 })],
      ]),
    ).toEqual([]);
  });

  it('an answer of more than two seconds is none', () => {
    expect(
      samplesOf([
        [0, initial()],
        [2147, handshake()],
      ]),
    ).toEqual([2147]);
    expect(
      samplesOf([
        [0, initial()],
        [2148, handshake()],
      ]),
    ).toEqual([]);
  });

  it('a connection seen from its middle on gives no sample', () => {
    expect(
      samplesOf([
        [0, handshake()],
        [20, initial()],
        [40, handshake()],
      ]),
    ).toEqual([]);
    expect(samplesOf([[0, short(0)], ...turns(20, 40, 60, 80, 100)])).toEqual([]);
  });

  it('what is no QUIC is left alone', () => {
    const small = initial({ bytes: 1199 });
    const withoutFixedBit = initial();
    withoutFixedBit[0]! &= ~0x40;
    const longId = initial({ to: new Array(21).fill(1) });
    for (const first of [small, withoutFixedBit, longId, new Uint8Array(1200), new Uint8Array(0)]) {
      expect(
        samplesOf([
          [0, first],
          [20, handshake()],
        ]),
      ).toEqual([]);
    }
  });

  it('headers that were not captured give no sample', () => {
    const hello: [number, Uint8Array][] = [
      [0, initial()],
      [20, answer()],
    ];
    expect(samplesOf(hello, 42 + 17)).toEqual([20]);
    // One byte less, and the token is not seen.
    expect(samplesOf(hello, 42 + 16)).toEqual([]);
    expect(samplesOf(hello, 42)).toEqual([]);
  });

  it('TCP packets are not looked at', () => {
    const quic = new QuicEstimator({ flows: 1, backends: 1 });
    const packet = new Packet();
    const tcp = { srcPort: 1, dstPort: 2, flags: tcpAck };
    const data = buildFrame({ ...addresses, tcp, payload: initial() });
    expect(packet.decode(data, 0, data.length, data.length, 1)).toBe(0);
    quic.open(0, 0, packet, ns(0));
    quic.observe(0, 0, packet, ns(1), () => expect.unreachable());
  });
});

describe('the spin bit', () => {
  const opening: [number, Uint8Array][] = [
    [0, initial()],
    [20, handshake()],
  ];

  it('from the third period on, periods are samples', () => {
    // The first value is no turn, so that the first period ends with the third.
    expect(samplesOf([...opening, ...turns(21, 40, 60, 81, 101, 122)])).toEqual([20, 20, 21]);
  });

  it('a bit that never turns gives none', () => {
    const dead = Array.from({ length: 50 }, (_, i): [number, Uint8Array] => [21 + i, short(1)]);
    expect(samplesOf([...opening, ...dead])).toEqual([20]);
  });

  it('a bit greased per packet turns more often than a round trip allows', () => {
    const random = [0, 1, 1, 0, 1, 0, 0, 0, 1, 0, 1, 1, 1, 0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 0, 0, 1] as const;
    const greased = random.map((value, i): [number, Uint8Array] => [21 + 2 * i, short(value)]);
    expect(samplesOf([...opening, ...greased])).toEqual([20]);
  });

  it('a bit that turns now and then does not agree with itself', () => {
    expect(samplesOf([...opening, ...turns(21, 40, 60, 120, 135, 190, 205, 265, 280)])).toEqual([20]);
  });

  it('a reordered packet costs the proof, and gives no sample', () => {
    const until = turns(21, 40, 60, 80, 100);
    const late: [number, Uint8Array][] = [
      [101, short(1)],
      [101.1, short(0)],
    ];
    const after = turns(120, 140, 160, 180, 200).map(([ms, data]): [number, Uint8Array] => [
      ms,
      short(((data[0]! >> 5) & 1) === 0 ? 1 : 0),
    ]);
    // The periods from 101.1 on prove anew: those that end at 120, 140 and 160, of which the third is one.
    expect(samplesOf([...opening, ...until, ...late, ...after])).toEqual([20, 20, 20, 20, 20]);
  });

  it('an idle time is no period, and what follows must agree again', () => {
    const times = [21, 40, 60, 80, 100, 1100, 1120, 1140, 1160];
    expect(samplesOf([...opening, ...turns(...times)])).toEqual([20, 20, 20]);
  });

  it('a latency that rises five times is found again', () => {
    const times = [21, 40, 60, 80, 100, 200, 300, 400, 500];
    expect(samplesOf([...opening, ...turns(...times)])).toEqual([20, 20, 100]);
  });

  it('a greased fixed bit changes nothing', () => {
    const greased = turns(21, 40, 60, 80, 100).map(([ms, data]): [number, Uint8Array] => [
      ms,
      data.map((byte, i) => (i === 0 ? byte & ~0x40 : byte)),
    ]);
    expect(samplesOf([...opening, ...greased])).toEqual([20, 20]);
  });

  it('an ambiguous handshake still bounds the periods', () => {
    const ambiguous: [number, Uint8Array][] = [
      [0, initial()],
      [100, initial()],
      [120, handshake()],
    ];
    expect(samplesOf([...ambiguous, ...turns(121, 140, 160, 180, 200)])).toEqual([20]);
    expect(samplesOf([...ambiguous, ...turns(121, 130, 139, 148, 157, 166)])).toEqual([]);
  });

  it('after a pause of more than 68 s nothing is known of the flow', () => {
    expect(
      samplesOf([
        ...opening,
        ...turns(21, 40, 60, 80, 100),
        ...turns(80_000, 80_020, 80_040, 80_060, 80_080),
      ]),
    ).toEqual([20, 20]);
  });
});

describe('captures of one connection', () => {
  /** Samples in ms of the packets of whoever sent the first one. */
  async function samplesIn(name: string): Promise<number[]> {
    const reader = await CaptureReader.open(new URL(`../fixtures/wild/${name}`, import.meta.url).pathname);
    const quic = new QuicEstimator({ flows: 1, backends: 1 });
    const packet = new Packet();
    const samples: number[] = [];
    let client = -1;
    for await (const {
      count,
      data,
      offset,
      capturedLength,
      wireLength,
      linkType,
      timeNs,
    } of reader.batches()) {
      for (let i = 0; i < count; i++) {
        if (packet.decode(data, offset[i]!, capturedLength[i]!, wireLength[i]!, linkType[i]!) !== 0) continue;
        const now = ns(timeNs[i]!);
        if (client < 0) {
          client = packet.srcPort;
          quic.open(0, 0, packet, now);
        } else if (packet.srcPort === client) {
          quic.observe(0, 0, packet, now, (_kind, latencyNs) => samples.push(latencyNs / 1e6));
        }
      }
    }
    return samples;
  }

  it('quant: the handshake, 2 % above the 121.3 ms that spindump took from both directions', async () => {
    const samples = await samplesIn('spindump-trace_quic_rfc_quant_basic.pcap');
    expect(samples.length).toBe(1);
    expect(samples[0]! / 121.258).toBeGreaterThan(1);
    expect(samples[0]! / 121.258).toBeLessThan(1.03);
  });

  it('aiortc: a hello sent again and two periods of the spin bit prove nothing', async () => {
    expect(await samplesIn('spindump-trace_quic_v23_aiortc_spin.pcap')).toEqual([]);
  });

  it('a Retry is recognised', async () => {
    expect(await samplesIn('tcpdump-quic_retry.pcap')).toEqual([]);
  });
});

it('whatever is sent, samples are more than 0 and at most 2.2 s, and the same each time', () => {
  const anyLong = fc.record({
    version: fc.constantFrom(v1, v1, v1, v2, 0xff00001d, 7),
    to: fc.constantFrom(clientsChoice, serversChoice, [], new Array(20).fill(3)),
    token: fc.constantFrom([], [], [1]),
    bytes: fc.constantFrom(0, 1200),
  });
  const payload = fc.oneof(
    fc.tuple(fc.nat(3), anyLong).map(([type, like]) => long(type, like)),
    fc.constantFrom<0 | 1>(0, 1).map((value) => short(value)),
    fc.uint8Array({ maxLength: 40 }),
  );
  const after = fc.oneof(fc.constantFrom(0, 20, 3000, -1, 80_000), fc.nat(50));
  const opening = fc.constantFrom<[number, Uint8Array][]>(
    [[0, initial()]],
    [
      [0, initial()],
      [20, handshake()],
    ],
    [],
  );
  let count = 0;
  fc.assert(
    fc.property(
      opening,
      fc.array(fc.tuple(after, payload), { maxLength: 60 }),
      fc.nat(1300),
      (start, steps, cut) => {
        let ms = 20;
        const sent: [number, Uint8Array][] = [...start];
        for (const [after, data] of steps) {
          ms += after;
          sent.push([ms, data]);
        }
        const samples = samplesOf(sent, 42 + cut);
        for (const sample of samples) expect(sample > 0 && sample < 2200).toBe(true);
        expect(samplesOf(sent, 42 + cut)).toEqual(samples);
        count += samples.length;
      },
    ),
    { numRuns: 300 },
  );
  expect(count).toBeGreaterThan(30);
});
