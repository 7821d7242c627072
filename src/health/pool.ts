import type { Ns } from '../units.ts';
import type { HealthEvent, WatchedBackend } from './backend.ts';
import { mayEject } from './ejection.ts';
import type { PoolEvidence } from './evidence.ts';
import type { HealthSettings } from './settings.ts';

/** What a look at a pool found. */
export interface Found {
  readonly backend: WatchedBackend;
  readonly event: HealthEvent;
  readonly reason: string;
}

/** The backends of one vip, and what their clients' packets tell of them beside each other. */
export class WatchedPool {
  readonly backends: readonly WatchedBackend[];
  readonly #settings: HealthSettings;

  constructor(settings: HealthSettings, backends: readonly WatchedBackend[]) {
    this.#settings = settings;
    this.backends = backends;
  }

  /**
   * Ends ejections whose time is over, takes in what was counted until now, and ejects.
   * @param isReachable whether packets can be sent to a backend
   */
  look(now: Ns, isReachable: (backend: WatchedBackend) => boolean): Found[] {
    const found: Found[] = [];
    for (const backend of this.backends) {
      if (!backend.ejection.endIfOver(now)) continue;
      this.acquit(backend);
      found.push({ backend, event: 'readmitted', reason: 'its time is over' });
    }
    if (!this.#settings.passive.enabled) return found;
    for (const backend of this.backends) backend.watch(now);
    // Most pools of many have no client at a time.
    if (this.backends.every(({ evidence }) => evidence?.isStill !== false)) return found;
    const pool = this.#evidence();
    for (const backend of this.backends) {
      backend.evidence?.takeIn(pool, this.#settings.passive, now);
      if (backend.evidence?.isSuspicious(this.#settings.passive, now)) backend.suspect(now);
    }
    this.#accuse(now, isReachable, found);
    return found;
  }

  /** Forgets what there is against a backend. */
  acquit({ evidence }: WatchedBackend): void {
    evidence?.acquit(this.#evidence());
  }

  #accuse(now: Ns, isReachable: (backend: WatchedBackend) => boolean, found: Found[]): void {
    const { passive } = this.#settings;
    const pool = this.#evidence();
    for (const backend of this.backends) {
      const { evidence, ejection } = backend;
      if (!evidence || !backend.takesFlows) continue;
      const accusation = evidence.accuse(pool, passive, ejection.factor(now), now);
      if (!accusation || !this.#mayEject(isReachable)) continue;
      ejection.begin(accusation, passive, now);
      backend.counts.ejections++;
      backend.hurry(now);
      found.push({ backend, event: 'ejected', reason: accusation.reason });
    }
  }

  #mayEject(isReachable: (backend: WatchedBackend) => boolean): boolean {
    const { backends } = this;
    return mayEject(this.#settings.passive, {
      backends: backends.length,
      ejected: backends.filter(({ ejection }) => ejection.ejected).length,
      usable: backends.filter((backend) => backend.takesFlows && isReachable(backend)).length,
    });
  }

  #evidence(): PoolEvidence {
    let [life, responses, usable, unanswered] = [0, 0, 0, 0];
    for (const backend of this.backends) {
      const { evidence, takesFlows } = backend;
      life += evidence?.life ?? 0;
      responses += evidence?.responses ?? 0;
      if (takesFlows) usable++;
      if (takesFlows && evidence && evidence.unanswered > 0) unanswered++;
    }
    return { life, responses, usable, unanswered };
  }
}
