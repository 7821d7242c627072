import { abuse, badReload, fillDisk, look } from './admin.ts';
import { bounce, changeMac, crash, silence, slow, unplug } from './network.ts';
import { configureUnseen, hangUp, operate, operateAtOnce, secondVip } from './operating.ts';
import { freeze, interruptedStarts, restart, secondDaemon } from './process.ts';
import type { Disturbance } from './world.ts';

/** Every disturbance by name, and how often it happens beside the others. */
export const disturbances: Readonly<
  Record<string, { readonly weight: number; readonly happen: Disturbance }>
> = {
  operation: { weight: 12, happen: operate },
  unseen: { weight: 1, happen: configureUnseen },
  second_vip: { weight: 1, happen: secondVip },
  hang_up: { weight: 1, happen: hangUp },
  at_once: { weight: 1, happen: operateAtOnce },
  kill: { weight: 3, happen: (world) => restart(world, 'SIGKILL', 0) },
  interrupted_start: { weight: 2, happen: interruptedStarts },
  absence: { weight: 1, happen: (world) => restart(world, 'SIGKILL', world.ms(500, 2_000)) },
  upgrade: { weight: 2, happen: (world) => restart(world, 'SIGTERM', 0) },
  freeze: { weight: 1, happen: freeze },
  crash: { weight: 3, happen: crash },
  silence: { weight: 2, happen: silence },
  unplug: { weight: 1, happen: unplug },
  bounce: { weight: 1, happen: bounce },
  mac: { weight: 1, happen: changeMac },
  slow: { weight: 2, happen: slow },
  bad_reload: { weight: 2, happen: badReload },
  abuse: { weight: 3, happen: abuse },
  look: { weight: 2, happen: look },
  second_daemon: { weight: 1, happen: secondDaemon },
  full_disk: { weight: 1, happen: fillDisk },
};
