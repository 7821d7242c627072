import type { Service } from './service.ts';

/** Vips and backends that are gone and still have flows: their names are kept up to this number. */
const goneMax = 65_535;

/** Who is behind the numbers of a datapath: those that are configured, and of others who they were. */
export class Names {
  readonly #services = new Map<number, { readonly service: Service; readonly index: number }>();
  readonly #vips = new Map<number, string>();
  readonly #backends = new Map<number, string>();

  /** Takes in what is served from now on. */
  take(services: readonly Service[]): void {
    this.#services.clear();
    for (const service of services) {
      put(this.#vips, service.place, service.name);
      for (const [index, number] of service.numbers.entries()) {
        this.#services.set(number, { service, index });
        put(this.#backends, number, service.pool.backends[index]!.name);
      }
    }
  }

  /** What serves the backend of a number; undefined if that is not configured. */
  serviceOf(backend: number): { readonly service: Service; readonly index: number } | undefined {
    return this.#services.get(backend);
  }

  hasVip(name: string): boolean {
    for (const known of this.#vips.values()) if (known === name) return true;
    return false;
  }

  vip(place: number): string {
    return this.#vips.get(place) ?? `vip ${place}`;
  }

  backend(number: number): string {
    return this.#backends.get(number) ?? `backend ${number}`;
  }
}

/** The latest are the last; numbers are given out again, so that there are not many more than what is configured. */
function put(names: Map<number, string>, number: number, name: string): void {
  names.delete(number);
  names.set(number, name);
  if (names.size > goneMax) names.delete(names.keys().next().value!);
}
