import type { Logger } from 'pino';
import type { Datapath } from '../datapath/datapath.ts';
import { LineLimiter } from '../health/limiter.ts';
import type { Ns } from '../units.ts';
import type { Service } from './service.ts';

/** A next hop that was never known is looked for this long before it is worth a line of the log. */
const patienceNs = 3e9;

/** Finds out to which backends packets can be sent, and says what changes: not more than some lines a second. */
export class Obstacles {
  readonly #datapath: Datapath;
  readonly #log: Logger;
  readonly #lines = new LineLimiter();

  constructor(datapath: Datapath, log: Logger) {
    this.#datapath = datapath;
    this.#log = log;
  }

  /** True if packets of a service can be sent to others than before. */
  look(service: Service, now: Ns): boolean {
    let isNews = false;
    for (const [b, number] of service.numbers.entries()) {
      const obstacle = this.#datapath.obstacle(number);
      if (obstacle !== service.obstacles[b]) {
        isNews = true;
        service.obstacles[b] = obstacle;
        // The first next hop is no return, unless others have shared the flows until then.
        service.pool.setUsable(b, obstacle === undefined, service.wasReachable[b]! || service.joins[b]!);
        if (obstacle === undefined) service.wasReachable[b] = true;
      }
      const isKnown = service.wasReachable[b]! || now - service.bornNs >= patienceNs;
      if (isKnown && (obstacle !== undefined) !== service.isToldUnusable[b]) this.#tell(service, b, now);
    }
    return isNews;
  }

  /** Says how many lines were held back. */
  finish(now: Ns): void {
    const held = this.#lines.takeHeld(now);
    if (held > 0) this.#log.warn({ event: 'backends_changed', held });
  }

  #tell(service: Service, b: number, now: Ns): void {
    const obstacle = service.obstacles[b];
    service.isToldUnusable[b] = obstacle !== undefined;
    if (!this.#lines.admits(now)) return;
    const about = { vip: service.name, backend: service.pool.backends[b]!.name };
    if (obstacle === undefined) this.#log.info({ event: 'backend_usable', ...about });
    else this.#log.warn({ event: 'backend_unusable', ...about, obstacle });
  }
}
