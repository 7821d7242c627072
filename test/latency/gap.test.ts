import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GapEstimator } from '../../src/latency/gap.ts';
import { Packet, tcpAck, tcpRst, tcpSyn } from '../../src/net/packet.ts';
import { ns } from '../../src/units.ts';

/** A packet of flow `flow`, at a time in us; TCP unless told otherwise. */
interface Sent {
  us: number;
  flow?: number;
  proto?: number;
  flags?: number;
  ack?: number;
  payload?: number;
}

/** Samples in us with the times in us at which they came; flows are opened by their first packet, flow f at backend 0. */
function samplesOf(sent: Sent[], gap = new GapEstimator({ flows: 64, backends: 1 })) {
  const opened = new Set<number>();
  const samples: { at: number; us: number }[] = [];
  for (const { us, flow = 0, proto = 6, flags = tcpAck, ack = 1, payload = 1448 } of sent) {
    const tcpFlags = proto === 6 ? flags : 0;
    const headers = proto === 6 ? 52 : 28;
    const packet = Object.assign(new Packet(), {
      proto,
      tcpFlags,
      ack,
      payloadLength: payload,
      ipLength: payload + headers,
    });
    const now = ns(us * 1000);
    if (opened.has(flow)) {
      gap.observe(flow, 0, packet, now, (kind, latencyNs) => {
        expect(kind).toBe(0);
        samples.push({ at: us, us: latencyNs / 1000 });
      });
    } else {
      opened.add(flow);
      gap.open(flow, 0, packet, now);
    }
  }
  return samples;
}

/** `count` bursts every `everyUs`, from `fromUs` on, each of packets at these offsets. */
function bursts(
  count: number,
  everyUs: number,
  offsets: number[],
  { fromUs = 0, ...like }: Partial<Sent> & { fromUs?: number } = {},
): Sent[] {
  return Array.from({ length: count }, (_, i) =>
    offsets.map((offset) => ({ ...like, us: fromUs + i * everyUs + offset })),
  ).flat();
}

const sizes = (samples: { us: number }[]) => samples.map(({ us }) => us);
const spread = (samples: { us: number }[]) => [Math.min(...sizes(samples)), Math.max(...sizes(samples))];
/** Ten packets of an upload, as acknowledgements of two let them go. */
const clocked = [0, 1, 2, 3, 4, 26, 27, 32, 98, 99];

describe('uploads', () => {
  it('a window that waits for its acknowledgements shows the round trip', () => {
    const samples = samplesOf(bursts(200, 270, clocked));
    expect(samples.length).toBeGreaterThan(150);
    // Ticks of 64 ns.
    expect(spread(samples)[0]).toBeGreaterThan(269.9);
    expect(spread(samples)[1]).toBeLessThan(270.1);
  });

  it('a round trip above 4 ms, the largest timeout of the paper, is measured', () => {
    const samples = samplesOf(bursts(200, 30_000, clocked));
    expect(samples.length).toBeGreaterThan(150);
    expect(Math.abs(sizes(samples)[0]! - 30_000)).toBeLessThan(0.1);
  });

  it('a round trip of 40 us is measured', () => {
    const samples = samplesOf(bursts(400, 60, [0, 1, 2, 3, 4]));
    expect(samples.length).toBeGreaterThan(300);
    expect(Math.abs(sizes(samples)[0]! - 60)).toBeLessThan(0.1);
  });

  it('pacing is no response: no sample', () => {
    expect(samplesOf(bursts(5000, 240, [0]))).toEqual([]);
    const uneven = Array.from({ length: 5000 }, (_, i) => ({ us: 240 * i + 40 * Math.sin(i * i) }));
    expect(samplesOf(uneven)).toEqual([]);
  });

  it('bursts closer than the handshake said are a sender that spreads them: no sample', () => {
    const handshake: Sent[] = [
      { us: 0, flags: tcpSyn, payload: 0 },
      { us: 1000, payload: 0 },
    ];
    const twoPerRoundTrip = bursts(400, 500, [0, 1, 2, 3, 4, 5], { fromUs: 1001 });
    expect(samplesOf([...handshake, ...twoPerRoundTrip])).toEqual([]);
    const one = bursts(400, 1000, [0, 1, 2, 3, 4, 5], { fromUs: 1001 });
    expect(samplesOf([...handshake, ...one]).length).toBeGreaterThan(300);
  });

  it('a slow handshake that others correct does not silence a backend', () => {
    const slow: Sent[] = [
      { us: 0, flags: tcpSyn, payload: 0 },
      { us: 9000, payload: 0 },
      { us: 9000, flow: 1, flags: tcpSyn, payload: 0 },
      { us: 9300, flow: 1, payload: 0 },
    ];
    expect(samplesOf([...slow, ...bursts(200, 270, clocked, { fromUs: 10_000 })]).length).toBeGreaterThan(
      150,
    );
  });

  it('handshakes with a SYN sent again, and ones reset, say nothing', () => {
    const opening: Sent[] = [
      { us: 0, flags: tcpSyn, payload: 0 },
      { us: 5000, flags: tcpSyn, payload: 0 },
      { us: 9000, payload: 0 },
      { us: 0, flow: 1, flags: tcpSyn, payload: 0 },
      { us: 9000, flow: 1, flags: tcpRst | tcpAck, payload: 0 },
    ];
    expect(samplesOf([...opening, ...bursts(200, 270, clocked, { fromUs: 10_000 })]).length).toBeGreaterThan(
      150,
    );
  });

  it('the first packets of a flow give no sample: when its burst began is not known', () => {
    const first = bursts(100, 270, clocked);
    const second = bursts(5, 270, clocked, { fromUs: 30_000, flow: 1 });
    const before = samplesOf(first).length;
    // Four waits follow the five bursts; the first of them began with the flow.
    expect(samplesOf([...first, ...second]).length).toBe(before + 3);
  });
});

describe('what others measure', () => {
  it('requests whose responses move the ACK number are not counted, however they are sent', () => {
    const closedLoop = Array.from({ length: 2000 }, (_, i) => ({ us: 400 * i, ack: 200 * i, payload: 100 }));
    expect(samplesOf(closedLoop)).toEqual([]);
    const batches = closedLoop.flatMap((sent) => [0, 1, 2].map((i) => ({ ...sent, us: sent.us + i })));
    expect(samplesOf(batches)).toEqual([]);
    const pipelined = Array.from({ length: 5000 }, (_, i) => ({ us: 80 * i, ack: 200 * i, payload: 100 }));
    expect(samplesOf(pipelined)).toEqual([]);
  });

  it('acknowledgements and keep-alives between the packets of an upload change nothing', () => {
    const upload = bursts(200, 270, clocked);
    const probes = bursts(200, 270, [150, 200]).map((sent, i) => ({ ...sent, payload: i % 2 }));
    const both = [...upload, ...probes].sort((a, b) => a.us - b.us);
    expect(samplesOf(both)).toEqual(samplesOf(upload));
  });

  it('a response in the middle of an upload costs the batch that it falls in, and no more', () => {
    const upload = bursts(200, 270, clocked);
    const at = 150 * clocked.length;
    const answered = upload.map((sent, i) => ({ ...sent, ack: i > at + 3 ? 500 : 1 }));
    const whole = sizes(samplesOf(upload));
    const samples = samplesOf(answered);
    expect(samples.length).toBe(whole.length - 1);
    expect(spread(samples)[0]).toBeGreaterThan(269.9);
  });
});

describe('UDP', () => {
  const window4 = [0, 5, 10, 15];
  const udp = { proto: 17, payload: 100 };

  it('a window of datagrams shows the round trip', () => {
    const samples = samplesOf(bursts(500, 300, window4, udp));
    expect(samples.length).toBeGreaterThan(400);
    expect(Math.abs(sizes(samples)[0]! - 300)).toBeLessThan(0.1);
  });

  it('gaps after full-size datagrams are within a message', () => {
    // Three datagrams paced 100 us apart make a message; the next follows 300 us after the last.
    const message = (i: number): Sent[] => [
      { us: 500 * i, proto: 17, payload: 1250 },
      { us: 500 * i + 100, proto: 17, payload: 1250 },
      { us: 500 * i + 200, proto: 17, payload: 300 },
      { us: 500 * i + 204, proto: 17, payload: 200 },
    ];
    const sent = Array.from({ length: 600 }, (_, i) => message(i)).flat();
    const samples = samplesOf(sent);
    expect(samples.length).toBeGreaterThan(400);
    expect(spread(samples)[0]).toBeGreaterThan(499.9);
    expect(spread(samples)[1]).toBeLessThan(500.1);
  });

  it('a paced upload of full-size datagrams gives no sample, whatever its bursts', () => {
    expect(samplesOf(bursts(2000, 300, window4, { proto: 17, payload: 1250 }))).toEqual([]);
  });

  it('acknowledgements of QUIC are not packets of a message', () => {
    const message = bursts(500, 500, [0, 4], { proto: 17, payload: 300 });
    const sent = [{ us: -900, proto: 17, payload: 1250 }, ...message];
    const acks = bursts(500, 500, [250], { proto: 17, payload: 32 });
    const both = [...sent, ...acks].sort((a, b) => a.us - b.us);
    expect(samplesOf(both)).toEqual(samplesOf(sent));
    expect(samplesOf(sent).length).toBeGreaterThan(300);
  });

  it('one datagram at a time could be pacing: no sample', () => {
    expect(samplesOf(bursts(2000, 300, [0], udp))).toEqual([]);
  });

  it('think time of any length has no cut', () => {
    let random = 1;
    let us = 0;
    const sent = Array.from({ length: 5000 }, () => {
      random = (random * 48_271) % 2_147_483_647;
      us += 300 - 5000 * Math.log(random / 2_147_483_647);
      return { us, ...udp };
    });
    expect(samplesOf(sent)).toEqual([]);
  });
});

describe('change', () => {
  it('a step of the latency is followed within two epochs, up and back', () => {
    const slow = bursts(300, 2000, clocked, { fromUs: 270 * 300 });
    const back = bursts(300, 270, clocked, { fromUs: 270 * 300 + 2000 * 300 });
    const samples = samplesOf([...bursts(300, 270, clocked), ...slow, ...back]);
    const near = (fromUs: number, toUs: number, us: number) => {
      const some = samples.filter(({ at }) => at >= fromUs && at < toUs);
      expect(some.length).toBeGreaterThan(200);
      for (const sample of some) expect(Math.abs(sample.us - us)).toBeLessThan(0.1);
    };
    // An epoch of 128 gaps lasts 13 bursts; up to three of them bring the new mode to the fore.
    near(20_000, 81_000, 270);
    near(81_000 + 45 * 2000, 681_000, 2000);
    near(681_000 + 45 * 270, 762_000, 270);
  });

  it('an idle gap is no sample, and the next burst is', () => {
    const before = bursts(200, 270, clocked);
    const after = bursts(20, 270, clocked, { fromUs: 54_000 + 1_000_000 });
    const samples = samplesOf([...before, ...after]).filter(({ at }) => at > 54_000);
    expect(samples.length).toBe(19);
    expect(spread(samples)[1]).toBeLessThan(270.1);
  });

  it('a pause after which the clock of 32 bits has turned is no short one', () => {
    const before = bursts(200, 270, clocked);
    const turn = (2 ** 32 * 64) / 1000;
    const after = bursts(3, 270, clocked, { fromUs: 53_730 + turn + 270 });
    const samples = samplesOf([...before, ...after]).filter(({ at }) => at > turn);
    // The pause is none; neither is the wait after a burst whose start is as good as a flow's first packet.
    expect(samples.length).toBe(1);
  });

  it('a clock that steps back gives no sample for it', () => {
    const samples = samplesOf([...bursts(200, 270, clocked), ...bursts(20, 270, clocked, { fromUs: 1000 })]);
    expect(spread(samples)[0]).toBeGreaterThan(269.9);
    expect(spread(samples)[1]).toBeLessThan(270.1);
  });
});

it('backends have cuts of their own', () => {
  const gap = new GapEstimator({ flows: 2, backends: 2 });
  const packet = Object.assign(new Packet(), { proto: 17, payloadLength: 100, ipLength: 128 });
  const latencies: number[][] = [[], []];
  const sent = [300, 5000].flatMap((every, backend) =>
    bursts(1e6 / every, every, [0, 5, 10, 15]).map(({ us }) => ({ us, backend })),
  );
  sent.sort((a, b) => a.us - b.us);
  for (const backend of [0, 1]) gap.open(backend, backend, packet, ns(-1));
  for (const { us, backend } of sent) {
    gap.observe(backend, backend, packet, ns(us * 1000), (_kind, latency) =>
      latencies[backend]!.push(latency),
    );
  }
  for (const [backend, us] of [300, 5000].entries()) {
    expect(latencies[backend]!.length).toBeGreaterThan(100);
    for (const latency of latencies[backend]!) expect(Math.abs(latency - us * 1000)).toBeLessThan(64);
  }
});

it('whatever comes, samples are between 16 us and 2.1 s, and the same each time', () => {
  const disturbance = fc.record({
    at: fc.nat(999),
    flow: fc.nat(3),
    after: fc.constantFrom(0, 1, 270, 4000, -500, 3e6, 80e6),
    flags: fc.constantFrom(tcpAck, tcpSyn, tcpRst),
    ack: fc.nat(3),
    payload: fc.constantFrom(0, 1, 30, 100, 1250, 65_535),
  });
  const arrivals = fc
    .record({
      flow: fc.nat(3),
      payload: fc.constantFrom(100, 1448),
      offsets: fc.array(fc.nat(12), { minLength: 2, maxLength: 8 }),
      everyUs: fc.integer({ min: 120, max: 9000 }),
      disturbances: fc.array(disturbance, { maxLength: 20 }),
    })
    .map(({ flow, payload, offsets, everyUs, disturbances }) => {
      const sent: Sent[] = bursts(
        200,
        everyUs,
        [...offsets].sort((a, b) => a - b),
        { flow, payload },
      );
      for (const { at, after, ...other } of disturbances) {
        const i = at % sent.length;
        sent.splice(i, 0, { ...other, us: sent[i]!.us });
        for (const later of sent.slice(i)) later.us += after;
      }
      // Each flow keeps its protocol.
      return sent.map((one) => ({ ...one, proto: one.flow! < 2 ? 6 : 17 }));
    });
  let count = 0;
  fc.assert(
    fc.property(arrivals, (sent) => {
      const samples = samplesOf(sent);
      for (const { us } of samples) expect(us > 16 && us < 2.15e6).toBe(true);
      expect(samplesOf(sent)).toEqual(samples);
      count += samples.length;
    }),
    { numRuns: 200 },
  );
  expect(count).toBeGreaterThan(1000);
});
