import type { Random } from '../../src/sim/random.ts';

/** What an operator does to a pool. */
export type PoolOperation =
  | { readonly kind: 'drain' | 'maintenance' | 'ready' | 'add' | 'remove'; readonly server: string }
  | { readonly kind: 'weight'; readonly server: string; readonly weight: number | null };

const kinds = ['drain', 'maintenance', 'ready', 'weight', 'add', 'remove'] as const;
/** Servers that always take new flows, so that load can go on. */
const readyMin = 1;
const weights = [1, 2, 3, 5, 10, 50, null] as const;

/** What an operator has told of a server. It is remembered while the server is not configured. */
interface Told {
  configured: boolean;
  state: 'ready' | 'drain' | 'maintenance';
  weight: number | null;
}

/** A pool as its operator sees it, for drawing operations that leave it in service. */
export class PoolModel {
  readonly #servers: Map<string, Told>;

  /** All configured and ready at first. */
  constructor(names: readonly string[]) {
    this.#servers = new Map(names.map((name) => [name, { configured: true, state: 'ready', weight: null }]));
  }

  get configured(): string[] {
    return this.#names(({ configured }) => configured);
  }

  /** Those that take new flows. */
  get ready(): string[] {
    return this.#names(({ configured, state }) => configured && state === 'ready');
  }

  told(server: string): Readonly<Told> {
    return this.#servers.get(server)!;
  }

  #names(wanted: (told: Told) => boolean): string[] {
    return [...this.#servers].filter(([, told]) => wanted(told)).map(([name]) => name);
  }

  /** Whether an operation changes something and leaves servers that take new flows. */
  allows(operation: PoolOperation): boolean {
    const { configured, state, weight } = this.#servers.get(operation.server)!;
    const isLast = this.ready.length <= readyMin && this.ready.includes(operation.server);
    switch (operation.kind) {
      case 'add':
        return !configured;
      case 'remove':
        return configured && !isLast;
      case 'weight':
        return configured && weight !== operation.weight;
      case 'ready':
        return configured && state !== 'ready';
      default:
        return configured && state !== operation.kind && !isLast;
    }
  }

  apply(operation: PoolOperation): void {
    const told = this.#servers.get(operation.server)!;
    if (operation.kind === 'add' || operation.kind === 'remove') told.configured = operation.kind === 'add';
    else if (operation.kind === 'weight') told.weight = operation.weight;
    else told.state = operation.kind;
  }

  /** An operation that is allowed; undefined if there is none on these servers. */
  draw(
    random: Random,
    servers: readonly string[] = [...this.#servers.keys()],
    wanted: readonly PoolOperation['kind'][] = kinds,
  ): PoolOperation | undefined {
    const allowed = wanted
      .map((kind) =>
        servers
          .map((server) => operationOf(kind, server, random))
          .filter((operation) => this.allows(operation)),
      )
      .filter((operations) => operations.length > 0);
    // The kind first, so that all kinds are as frequent as they can be.
    return allowed.length === 0 ? undefined : pick(random, pick(random, allowed));
  }
}

const operationOf = (kind: PoolOperation['kind'], server: string, random: Random): PoolOperation =>
  kind === 'weight' ? { kind, server, weight: pick(random, weights) } : { kind, server };

/** One of them; there must be one. */
export function pick<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random.uniform() * from.length)]!;
}
