import { describe, expect, it } from 'vitest';
import { DecisionLog, decisionsMax } from '../../src/control/decisions.ts';
import { type Cause, type Reason, reasonText } from '../../src/control/reason.ts';
import { ns } from '../../src/units.ts';

function aReason(backend: number, cause: Cause, shareBefore: number, shareAfter: number): Reason {
  return {
    backend,
    cause,
    kind: 'request',
    latencyNs: 1.31e6,
    poolNs: 290e3,
    spanNs: ns(10e6),
    samples: 412,
    shareBefore,
    shareAfter,
  };
}

describe('a log of decisions', () => {
  it('joins steps for the same cause, from the first share to the last', () => {
    const log = new DecisionLog(2);
    log.add(ns(0), aReason(1, 'slow', 0.5, 0.3));
    log.add(ns(10e6), aReason(1, 'slow', 0.3, 0.15));
    expect(log.of(0)).toEqual([]);
    expect(log.of(1)).toMatchObject([
      { fromNs: 0, untilNs: 10e6, steps: 2, reason: { shareBefore: 0.5, shareAfter: 0.15 } },
    ]);
  });

  it('keeps the figures of the step that moved most', () => {
    const log = new DecisionLog(1);
    log.add(ns(0), { ...aReason(0, 'slow', 0.5, 0.49), latencyNs: 1 });
    log.add(ns(1), { ...aReason(0, 'slow', 0.49, 0.3), latencyNs: 2 });
    log.add(ns(2), { ...aReason(0, 'slow', 0.3, 0.29), latencyNs: 3 });
    expect(log.of(0)[0]!.reason.latencyNs).toBe(2);
  });

  it('begins a new entry for another cause, another kind, and after a second', () => {
    const log = new DecisionLog(1);
    log.add(ns(0), aReason(0, 'slow', 0.5, 0.3));
    log.add(ns(1), aReason(0, 'restore', 0.3, 0.35));
    log.add(ns(2), { ...aReason(0, 'restore', 0.35, 0.4), kind: 'handshake' });
    log.add(ns(1e9 + 3), { ...aReason(0, 'restore', 0.4, 0.45), kind: 'handshake' });
    expect(log.of(0).map(({ steps }) => steps)).toEqual([1, 1, 1, 1]);
  });

  it('forgets the earliest when it is full', () => {
    const log = new DecisionLog(1);
    for (let i = 0; i < decisionsMax + 5; i++) log.add(ns(i * 2e9), aReason(0, 'slow', 0.5, 0.4));
    expect(log.of(0)).toHaveLength(decisionsMax);
    expect(log.of(0)[0]!.fromNs).toBe(5 * 2e9);
  });

  it('has nothing of a backend that there is not', () => {
    expect(new DecisionLog(1).of(7)).toEqual([]);
  });
});

describe('a reason in words', () => {
  it('compares latencies', () => {
    expect(reasonText(aReason(1, 'slow', 0.5, 0.45))).toBe(
      'request p50 1.31ms vs pool 290us over 10ms, 412 samples -> share 0.500 -> 0.450',
    );
  });

  it('says mean where that was compared', () => {
    expect(reasonText({ ...aReason(1, 'slow', 0.5, 0.45), kind: 'server' })).toContain('server mean 1.31ms');
    expect(reasonText({ ...aReason(1, 'slow', 0.5, 0.45), poolNs: -5.8e-11 })).toContain(
      ' vs pool 0ns over ',
    );
  });

  it('says that requests wait, and how many', () => {
    expect(reasonText(aReason(1, 'waiting', 0.5, 0.25))).toBe(
      'requests wait, request unanswered for 1.31ms vs pool 290us, 412 in flight -> share 0.500 -> 0.250',
    );
  });

  it('says that only the latest samples were compared', () => {
    expect(reasonText(aReason(1, 'jump', 0.5, 0.3))).toBe(
      'jumped, request latest 1.31ms vs pool 290us -> share 0.500 -> 0.300',
    );
  });

  it('says when there was nothing to compare', () => {
    expect(reasonText({ ...aReason(1, 'restore', 0.1, 0.2), latencyNs: Number.NaN })).toBe(
      'no fresh latency -> share 0.100 -> 0.200',
    );
  });
});
