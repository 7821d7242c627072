import { randomFillSync } from 'node:crypto';
import type { Logger } from 'pino';
import type { Datapath } from '../datapath/datapath.ts';
import { type Address, type Endpoint, formatAddress, formatEndpoint, parseAddress } from '../net/address.ts';
import { Packet } from '../net/packet.ts';
import { formatDuration, type Ns } from '../units.ts';
import { type HealthBackend, type HealthEvent, type HealthVip, WatchedBackend } from './backend.ts';
import type { Check } from './check.ts';
import type { BackendHealth, HealthCounts } from './health.ts';
import { HttpCheck } from './http-check.ts';
import { LineLimiter } from './limiter.ts';
import { WatchedPool } from './pool.ts';
import { CheckPorts, portFirst, portLast } from './ports.ts';
import { sourceOf } from './source.ts';
import { TcpCheck } from './tcp-check.ts';
import { UdpCheck } from './udp-check.ts';

export type { HealthBackend, HealthVip } from './backend.ts';

/** Checks that begin in one poll, so that it takes about a millisecond at most; the others wait for the next. */
export const beginsMax = 64;
/** How often what packets tell is looked at. */
const lookNs = 100e6;
/** How often the addresses of the interface are looked at. */
const sourceLookNs = 5e9;
/** Backends whose addresses are compared with the interface's. */
const lookedAtMax = 16;
/** LINKTYPE_RAW: what comes from the datapath begins with an IP header. */
const linkTypeRaw = 101;

/** What a monitor needs of a datapath. */
export type CheckPath = Pick<Datapath, 'sendProbe' | 'listenProbes' | 'obstacle'>;

export interface MonitorOptions {
  readonly datapath: CheckPath;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  /** Whose address checks come from. */
  readonly interface: string;
  /** That address, if the operator chose it. */
  readonly source?: Address | undefined;
  /** The time, on the clock of `poll`. */
  readonly now: () => Ns;
  /** The interface's address for backends of a family; `sourceOf` unless it says. */
  readonly sourceOf?: typeof sourceOf;
  /** A random u32. */
  readonly random?: () => number;
}

/**
 * Finds out whether the backends of all vips live: by checks that take the way of clients' packets, and by what clients' packets
 * tell. A backend has one check at a time. Costs nothing between two polls but for answers.
 */
export class HealthMonitor {
  /**
   * Called when a backend goes up or down, is ejected or readmitted. `gradual`: it was out, and its share is to grow slowly.
   */
  onChange: (number: number, health: BackendHealth, gradual: boolean) => void = () => {};
  readonly #options: Required<Omit<MonitorOptions, 'source'>> & { source: Address | undefined };
  readonly #ports = new CheckPorts<WatchedBackend>();
  readonly #running = new Set<WatchedBackend>();
  readonly #byNumber = new Map<number, WatchedBackend>();
  readonly #packet = new Packet();
  readonly #lines = new LineLimiter();
  readonly #sources = new Map<4 | 6, Address>();
  /** Families that no check can come from, as was said. */
  readonly #told = new Set<4 | 6>();
  #all: readonly WatchedBackend[] = [];
  /** Per backend, when its next check is due. */
  #due = new Float64Array(0);
  #pools: readonly WatchedPool[] = [];
  /** Whose turn it is to begin: who waited for lack of `beginsMax` comes first. */
  #turn = 0;
  #lookedNs = Number.NEGATIVE_INFINITY;
  #sourceNs = Number.NEGATIVE_INFINITY;

  constructor(options: MonitorOptions) {
    this.#options = { sourceOf, random: randomWords(), source: undefined, ...options };
  }

  /** Watches these from now on; what is known of backends that stay (vip, number and name) is kept. */
  configure(vips: readonly HealthVip[]): void {
    const now = this.#options.now();
    const before = new Map(this.#byNumber);
    this.#byNumber.clear();
    this.#pools = vips.map(
      (vip) =>
        new WatchedPool(
          vip.settings,
          vip.backends.map((backend) => this.#watch(vip, backend, before, now)),
        ),
    );
    this.#all = this.#pools.flatMap(({ backends }) => backends);
    this.#due = new Float64Array(this.#all.length);
    for (const [i, backend] of this.#all.entries()) backend.keepDue(this.#due, i);
    for (const gone of before.values()) {
      if (this.#byNumber.get(gone.backend.number) !== gone) this.#abandon(gone);
    }
    this.#lookForSources(now);
    // Signals that are new are taken in until then: what was counted before is no evidence.
    this.#lookedNs = now;
  }

  /** Goes on with what is due. Called about every 10 ms. */
  poll(now: Ns): void {
    for (const backend of this.#running) {
      backend.running?.check.poll(now);
      this.#settle(backend, now);
    }
    if (now - this.#sourceNs >= sourceLookNs) this.#lookForSources(now, true);
    this.#beginDue(now);
    if (now - this.#lookedNs >= lookNs) this.#look(now);
    const held = this.#lines.takeHeld(now);
    if (held > 0) this.#options.log.info({ event: 'health_changes', held });
  }

  /** What is known of a backend, always as it is now; of one that is not watched, that nobody checks it. */
  of(number: number): BackendHealth {
    return this.#byNumber.get(number)?.health ?? unwatched;
  }

  /** Whether new flows may go to a backend, as far as health goes. */
  isUsable(number: number): boolean {
    return this.#byNumber.get(number)?.isUsable ?? true;
  }

  countsOf(number: number): HealthCounts {
    return this.#byNumber.get(number)?.counts ?? noCounts;
  }

  /** Ends all checks. */
  close(): void {
    for (const backend of this.#running) this.#abandon(backend);
    this.#byNumber.clear();
    this.#all = this.#pools = [];
  }

  #watch(
    vip: HealthVip,
    backend: HealthBackend,
    before: ReadonlyMap<number, WatchedBackend>,
    now: Ns,
  ): WatchedBackend {
    const known = before.get(backend.number);
    const isSame =
      known?.name === backend.name && formatEndpoint(known.endpoint) === formatEndpoint(vip.endpoint);
    const watched = isSame ? known : new WatchedBackend(vip, backend, this.#options.random(), now);
    if (isSame) {
      known.reconfigure(vip, backend, now);
      if (!known.isChecked) this.#abandon(known);
    }
    this.#byNumber.set(backend.number, watched);
    return watched;
  }

  #beginDue(now: Ns): void {
    const count = this.#all.length;
    let begun = 0;
    for (let i = 0; i < count; i++) {
      const at = (this.#turn + i) % count;
      if (this.#due[at]! > now) continue;
      const backend = this.#all[at]!;
      if (backend.running) continue;
      if (begun === beginsMax) {
        this.#turn = at;
        return;
      }
      if (this.#begin(backend, now)) begun++;
    }
  }

  #begin(backend: WatchedBackend, now: Ns): boolean {
    const source = this.#sources.get(backend.endpoint.address.family);
    if (!source) {
      backend.nextNs = now + sourceLookNs;
      return false;
    }
    // While the next ports are all taken by others it waits for the next poll.
    const claim = this.#ports.claim(backend.cursor, backend);
    if (!claim) return false;
    backend.cursor = claim.next;
    const check = this.#checkOf(backend, source, claim.port);
    backend.running = { check, port: claim.port, beganNs: now, isJudged: false };
    this.#running.add(backend);
    check.poll(now);
    this.#settle(backend, now);
    return true;
  }

  #checkOf({ backend, kind, settings, endpoint }: WatchedBackend, source: Address, port: number): Check {
    const { datapath, random } = this.#options;
    const path = { source, sourcePort: port, vip: endpoint };
    const send = (packet: Uint8Array) => datapath.sendProbe(backend.number, packet);
    const { timeoutNs, http, udp = { send: '' } } = settings;
    if (kind === 'http') return new HttpCheck(path, http, random(), timeoutNs, send);
    if (kind === 'udp') return new UdpCheck(path, udp, timeoutNs, send);
    return new TcpCheck(path, random(), timeoutNs, send);
  }

  /** A packet from a vip to a port of checks. */
  #take(data: Uint8Array): void {
    const packet = this.#packet;
    if (packet.decode(data, 0, data.length, data.length, linkTypeRaw) !== 0) return;
    const backend = this.#ports.ownerOf(packet.dstPort);
    if (!backend?.running || !isFrom(packet, backend.endpoint)) return;
    const now = this.#options.now();
    backend.running.check.take(packet, data, now);
    this.#settle(backend, now);
  }

  /** Takes a new verdict in, and ends a check that is over. */
  #settle(backend: WatchedBackend, now: Ns): void {
    const { running } = backend;
    // An answer that came while it was sent has settled it.
    if (!running) return;
    const { verdict } = running.check;
    if (verdict && !running.isJudged) {
      running.isJudged = true;
      const obstacle = verdict.passed ? undefined : this.#options.datapath.obstacle(backend.backend.number);
      const reason = obstacle === undefined ? verdict.reason : `${verdict.reason}: ${obstacle}`;
      this.#judge(backend, { passed: verdict.passed, reason }, running.beganNs, now);
    }
    if (!running.check.isOver) return;
    const { nextNs } = backend;
    this.#abandon(backend);
    backend.schedule(running.beganNs, now, this.#options.random() / 2 ** 32);
    // What became due meanwhile was wanted at once.
    if (nextNs > running.beganNs && nextNs <= now) backend.nextNs = now;
  }

  #judge(backend: WatchedBackend, verdict: { passed: boolean; reason: string }, beganNs: Ns, now: Ns): void {
    const { evidence, ejection, kind } = backend;
    const change = backend.judge(verdict, now);
    if (change) this.#tell(backend, change.event, verdict.reason, change.gradual, now);
    if (!verdict.passed || !evidence || !ejection.refute(beganNs, kind !== 'tcp', evidence.life, now)) return;
    backend.counts.refuted++;
    this.#poolOf(backend)?.acquit(backend);
    this.#tell(backend, 'readmitted', `a check passed: ${verdict.reason}`, false, now);
  }

  #look(now: Ns): void {
    this.#lookedNs = now;
    for (const pool of this.#pools) {
      const found = pool.look(
        now,
        ({ backend }) => this.#options.datapath.obstacle(backend.number) === undefined,
      );
      for (const { backend, event, reason } of found) {
        this.#tell(backend, event, reason, event === 'readmitted', now);
      }
    }
  }

  #poolOf(backend: WatchedBackend): WatchedPool | undefined {
    return this.#pools.find(({ backends }) => backends.includes(backend));
  }

  #tell(backend: WatchedBackend, event: HealthEvent, reason: string, gradual: boolean, now: Ns): void {
    const { health, endpoint, name } = backend;
    if (this.#lines.admits(now)) {
      const { log } = this.#options;
      const { ejected } = health;
      const line = {
        event: `backend_${event}`,
        vip: formatEndpoint(endpoint),
        backend: name,
        reason,
        ...(event === 'ejected' &&
          ejected && { for: formatDuration(ejected.untilNs - now), times: ejected.times }),
      };
      if (event === 'down' || event === 'ejected') log.warn(line);
      else log.info(line);
    }
    this.onChange(backend.backend.number, health, gradual && backend.isUsable);
  }

  /** Ends a check without a verdict. */
  #abandon(backend: WatchedBackend): void {
    if (!backend.running) return;
    this.#ports.release(backend.running.port);
    backend.running = undefined;
    this.#running.delete(backend);
  }

  /** Finds the addresses that checks come from, and listens there. */
  #lookForSources(now: Ns, isPolled = false): void {
    this.#sourceNs = now;
    const { datapath, source, interface: link, log } = this.#options;
    for (const family of [4, 6] as const) {
      const checked = this.#all.filter(
        ({ endpoint, isChecked }) => endpoint.address.family === family && isChecked,
      );
      if (checked.length === 0) continue;
      const found =
        source?.family === family ? source : this.#options.sourceOf(link, family, addressesOf(checked));
      const before = this.#sources.get(family);
      if (!found) {
        this.#sources.delete(family);
        const reason = `${link} has no IPv${family} address that checks could come from`;
        const freed = checked.filter((backend) => backend.cannotBeChecked(reason, now));
        // Who configures asks for what is known afterwards.
        if (isPolled) for (const { backend, health } of freed) this.onChange(backend.number, health, false);
        if (!this.#told.has(family)) log.warn({ event: 'checks_impossible', reason });
        this.#told.add(family);
      } else if (!before || before.words.some((word, i) => word !== found.words[i])) {
        this.#sources.set(family, found);
        this.#told.delete(family);
        datapath.listenProbes({ address: found, portFirst, portLast }, (packet) => this.#take(packet));
        log.info({ event: 'checks_from', address: formatAddress(family, ...found.words) });
        for (const backend of checked) backend.hurry(now);
      }
    }
  }
}

const noCounts: HealthCounts = { passed: 0, failed: 0, ejections: 0, refuted: 0 };
const unwatched: BackendHealth = {
  state: 'unchecked',
  sinceNs: 0 as Ns,
  check: 'none',
  reason: 'not watched',
  ejected: null,
};

function isFrom({ src0, src1, src2, src3, srcPort, proto }: Packet, vip: Endpoint): boolean {
  const [w0, w1, w2, w3] = vip.address.words;
  return (
    srcPort === vip.port && proto === vip.proto && src0 === w0 && src1 === w1 && src2 === w2 && src3 === w3
  );
}

/** Of some backends: they show which subnet they are in. */
const addressesOf = (backends: readonly WatchedBackend[]): Address[] =>
  backends.slice(0, lookedAtMax).flatMap(({ name }) => parseAddress(name) ?? []);

/** Random words of the system, fetched by the thousand. */
function randomWords(): () => number {
  const words = new Uint32Array(1_024);
  let next = words.length;
  return () => {
    if (next === words.length) {
      randomFillSync(words);
      next = 0;
    }
    return words[next++]!;
  };
}
