import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { Evidence, type PoolEvidence } from '../../src/health/evidence.ts';
import { healthDefault } from '../../src/health/settings.ts';
import { GivenSignals } from '../control/signals.ts';
import { ms } from './support.ts';

const { passive } = healthDefault;

/** A backend whose signals a test changes, looked at every 100 ms, in a pool of three whose others serve or do not. */
class Scene {
  readonly signals = new GivenSignals();
  readonly evidence: Evidence;
  /** Handshakes and responses of each of the others per look. */
  othersServe = 5;
  /** Whether the others have SYNs sent again, too. */
  othersUnanswered = 0;
  readonly #pool = { life: 0, responses: 0 };
  atMs = 0;

  constructor() {
    this.evidence = new Evidence(this.signals, ms(0));
  }

  get pool(): PoolEvidence {
    return {
      life: this.#pool.life + this.evidence.life,
      responses: this.#pool.responses + this.evidence.responses,
      usable: 3,
      unanswered: this.othersUnanswered + (this.evidence.unanswered > 0 ? 1 : 0),
    };
  }

  /** Goes on for so long; `each` is what happens before each look. */
  run(forMs: number, each: () => void = () => {}, factor = 1): string | undefined {
    for (const endMs = this.atMs + forMs; this.atMs < endMs; ) {
      this.atMs += 100;
      each();
      this.#pool.life += 4 * this.othersServe;
      this.#pool.responses += 2 * this.othersServe;
      this.signals.update(this.atMs * 1e6);
      this.evidence.takeIn(this.pool, passive, ms(this.atMs));
      const found = this.evidence.accuse(this.pool, passive, factor, ms(this.atMs));
      if (found) return found.reason;
    }
    return undefined;
  }

  /** One client is served. */
  serve = (): void => {
    this.signals.flows++;
    this.signals.handshakes++;
    this.signals.segments++;
    this.signals.answer(1);
  };
}

let scene: Scene;
beforeEach(() => {
  scene = new Scene();
});

describe('SYNs that are not answered', () => {
  test('three sent again and no handshake meanwhile accuse', () => {
    scene.run(1_000, scene.serve);
    let syns = 0;
    const reason = scene.run(2_000, () => {
      syns++;
      if (syns % 4 === 0) scene.signals.synRetransmits++;
    });
    expect(reason).toBe('3 SYNs sent again and no handshake for 1.2s');
  });

  test('do so where nobody else has traffic', () => {
    scene.othersServe = 0;
    scene.run(1_000);
    scene.signals.synRetransmits = 3;
    expect(scene.run(100)).toMatch(/^3 SYNs/);
  });

  test('do not while anybody completes a handshake', () => {
    const reason = scene.run(10_000, () => {
      scene.signals.synRetransmits += 100;
      if (scene.atMs % 400 === 0) scene.serve();
    });
    expect(reason).toBeUndefined();
  });

  test('two do not', () => {
    scene.run(1_000);
    scene.signals.synRetransmits = 2;
    expect(scene.run(60_000)).toBeUndefined();
  });

  test('that come one in ten seconds do not', () => {
    let looks = 0;
    expect(
      scene.run(120_000, () => {
        if (looks++ % 110 === 0) scene.signals.synRetransmits++;
      }),
    ).toBeUndefined();
  });

  test('of one client at a backend that nobody else uses do, as it sends three within ten seconds', () => {
    scene.run(1_000);
    const sent = new Set([1_100, 3_100, 7_100]);
    expect(scene.run(9_000, () => (scene.signals.synRetransmits += sent.has(scene.atMs) ? 1 : 0))).toMatch(
      /^3 SYNs/,
    );
  });

  test('do not where all others are in the same case', () => {
    scene.othersUnanswered = 2;
    scene.run(1_000);
    scene.signals.synRetransmits = 50;
    expect(scene.run(5_000)).toBeUndefined();
  });

  test('that were there before are not counted', () => {
    scene.signals.synRetransmits = 3;
    const later = new Evidence(scene.signals, ms(0));
    expect(later.unanswered).toBe(0);
  });

  test('must be more where checks refuted it', () => {
    scene.run(1_000);
    scene.signals.synRetransmits = 5;
    expect(scene.run(100, () => {}, 2)).toBeUndefined();
    scene.signals.synRetransmits = 6;
    expect(scene.run(100, () => {}, 2)).toMatch(/^6 SYNs/);
  });
});

describe('segments sent again', () => {
  const storm = () => {
    scene.signals.segments += 3;
    scene.signals.retransmits += 3;
  };

  test('accuse when nothing is answered while the others are alive', () => {
    scene.run(1_000, scene.serve);
    expect(scene.run(3_000, storm)).toBe('21 segments sent again and no answer for 700ms');
  });

  test('do not where the others are silent as well', () => {
    scene.othersServe = 0;
    scene.run(1_000, scene.serve);
    expect(scene.run(9_000, storm)).toBeUndefined();
  });

  test('do not while one client is served: the path of the others may be bad', () => {
    expect(
      scene.run(9_000, () => {
        storm();
        if (scene.atMs % 300 === 0) scene.serve();
      }),
    ).toBeUndefined();
  });
});

describe('connections that clients reset', () => {
  test('accuse when no response came meanwhile, though handshakes do', () => {
    scene.run(1_000, scene.serve);
    const reason = scene.run(5_000, () => {
      scene.signals.flows++;
      scene.signals.handshakes++;
      scene.signals.resets++;
    });
    expect(reason).toBe('10 connections reset and no response for 1s');
  });

  test('do not of clients that end every connection so', () => {
    expect(
      scene.run(9_000, () => {
        scene.serve();
        scene.signals.resets++;
      }),
    ).toBeUndefined();
  });
});

describe('requests that wait', () => {
  const ask = () => {
    scene.signals.requests++;
    scene.signals.segments++;
    scene.signals.sentNs.push(scene.atMs * 1e6);
  };

  test('accuse when the oldest is old, none is answered, and clients go on to ask', () => {
    scene.run(1_000, scene.serve);
    const reason = scene.run(9_000, () => {
      if (scene.atMs % 500 === 0) ask();
    });
    expect(reason).toBe('11 requests and no response, the oldest waits for 5s');
  });

  test('of a client that went away do not', () => {
    scene.run(1_000, scene.serve);
    scene.signals.requests++;
    scene.signals.sentNs.push(scene.atMs * 1e6);
    expect(scene.run(60_000)).toBeUndefined();
  });

  test('of a whole network that went away do not', () => {
    scene.run(1_000, scene.serve);
    for (let i = 0; i < 100; i++) ask();
    expect(scene.run(60_000)).toBeUndefined();
  });

  test('do not of a backend that answers others', () => {
    scene.run(1_000, ask);
    expect(scene.run(20_000, scene.serve)).toBeUndefined();
  });

  test('do not where nobody answers', () => {
    scene.othersServe = 0;
    scene.run(1_000, scene.serve);
    expect(scene.run(30_000, ask)).toBeUndefined();
  });
});

describe('suspicion', () => {
  test('is raised once by flows that come to no handshake, and by no others', () => {
    scene.run(1_000, scene.serve);
    expect(scene.evidence.isSuspicious(passive, ms(scene.atMs))).toBe(false);
    scene.signals.flows += 3;
    scene.run(500);
    expect(scene.evidence.isSuspicious(passive, ms(scene.atMs))).toBe(true);
    expect(scene.evidence.isSuspicious(passive, ms(scene.atMs))).toBe(false);
    scene.run(5_000, scene.serve);
    expect(scene.evidence.isSuspicious(passive, ms(scene.atMs))).toBe(false);
  });
});

test('a backend that serves anybody twice a second is never accused, whatever else is counted', () => {
  const step = fc.record({
    synRetransmits: fc.nat(50),
    retransmits: fc.nat(50),
    resets: fc.nat(50),
    flows: fc.nat(50),
    requests: fc.nat(50),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const one = new Scene();
      let look = 0;
      const reason = one.run(100 * steps.length, () => {
        const { signals } = one;
        for (const [name, count] of Object.entries(steps[look]!))
          signals[name as keyof (typeof steps)[0]] += count;
        if (look++ % 4 === 0) one.serve();
      });
      expect(reason).toBeUndefined();
    }),
  );
});
