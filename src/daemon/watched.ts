import type { HealthVip } from '../health/monitor.ts';
import type { Service } from './service.ts';

/** What a monitor is to check: every backend that is not in maintenance. */
export function watchedVips(services: readonly Service[]): HealthVip[] {
  return services.map((service) => {
    const { vip: endpoint, settings, numbers, pool, states, muted, signals } = service;
    return {
      endpoint,
      settings: settings.health,
      backends: numbers.map((number, b) => ({
        number,
        name: pool.backends[b]!.name,
        checked: states[b] !== 'maintenance',
        ready: states[b] === 'ready' && muted[b] === 0,
        startsUp: service.isAdopted[b]!,
        ...(signals[b] && { signals: signals[b] }),
      })),
    };
  });
}
