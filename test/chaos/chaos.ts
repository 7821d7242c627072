import { setTimeout as sleep } from 'node:timers/promises';
import type { BackendsAnswer } from '../../src/admin/answers.ts';
import type { Account } from './account.ts';
import { accountOf, brokenLine } from './account.ts';
import type { StartOptions } from './balancer.ts';
import { disturbances } from './disturbances.ts';
import { pick } from './pool.ts';
import { patienceMs, Rig } from './rig.ts';
import { World } from './world.ts';

/** Between two disturbances. */
const pauseMs = { from: 20, to: 400 } as const;
/** Load alone at the beginning and, when all is undone, at the end. */
const calmMs = 500;
const healMs = 30_000;
/** What a client's clock and this process add to its patience. */
const slackMs = 1_000;
/** Short checks, so that many fit into a run; long enough for a machine that is busy. */
const health = { check: 'tcp', interval: '500ms', timeout: '500ms', rise: 2, fall: 3, slow_start: '1s' };

export interface ChaosOptions {
  readonly seed: number;
  /** How long disturbances go on; healing and ending the load come on top. */
  readonly seconds: number;
  readonly say?: (line: string) => void;
  readonly start?: StartOptions;
  /** `xdp` by default. Another one forwards nothing while there is no daemon: `only` must leave that out. */
  readonly datapath?: 'xdp' | 'capture';
  /** Names of disturbances; all by default. */
  readonly only?: readonly string[];
  /** Ends it early, as if the time were over. */
  readonly signal?: AbortSignal;
}

export interface ChaosResult {
  readonly account: Account;
  /** Connections without an excuse, and everything else that was not as it must be. Empty when all is well. */
  readonly failures: readonly string[];
  readonly disturbances: Readonly<Record<string, number>>;
  readonly requestsPerS: number;
}

/** Draws by weight. */
function drawName(world: World, names: readonly string[]): string {
  return pick(
    world.random,
    names.flatMap((name) => Array<string>(disturbances[name]!.weight).fill(name)),
  );
}

async function disturb(world: World, { seconds, signal, only = Object.keys(disturbances) }: ChaosOptions) {
  const counts: Record<string, number> = {};
  const end = performance.now() + seconds * 1_000;
  while (performance.now() < end && !signal?.aborted) {
    const name = drawName(world, only);
    const what = await disturbances[name]!.happen(world).catch((error: Error) => {
      world.fail(`${name}: ${error.message}`);
      return undefined;
    });
    // Nobody would start it again.
    if (!world.rig.balancer.isRunning) break;
    if (what === undefined) continue;
    counts[name] = (counts[name] ?? 0) + 1;
    world.say(what);
    await sleep(world.ms(pauseMs.from, pauseMs.to));
  }
  return counts;
}

/** Undoes everything, and waits until all servers take new flows again. */
async function heal(world: World): Promise<void> {
  await world.settled();
  for (const { name } of world.rig.servers) {
    for (const kind of ['add', 'ready'] as const) {
      const operation = { kind, server: name };
      if (world.pool.allows(operation)) await world.rig.operate(world.pool, operation);
    }
  }
  const giveUp = performance.now() + healMs;
  for (;;) {
    const { backends } = await world.rig.balancer.get<BackendsAnswer>('/backends');
    const ill = backends.filter(({ state, health, slots }) => {
      return state !== 'ready' || health.state !== 'up' || slots === 0;
    });
    if (ill.length === 0 && backends.length === world.rig.servers.length) break;
    if (performance.now() > giveUp) {
      const { backend, state, health, slots, obstacle } = ill[0] ?? backends[0]!;
      const ejected = health.ejected ? `, ejected: ${health.ejected.reason}` : '';
      world.fail(
        `${healMs} ms after all was undone ${backend} is ${state}, ${health.state} (${health.reason})${ejected}, ` +
          `has ${slots} slots, obstacle ${obstacle}; ${backends.length} backends`,
      );
      break;
    }
    await sleep(50);
  }
  world.say('all is undone');
}

/** Resets by servers that nothing was done to: somebody else's packets came to them. */
function strays(world: World, before: Record<string, number>, after: Record<string, number>): string[] {
  // Flows that go on at another server are reset by it.
  if (world.fate === 'resteer') return [];
  return world.rig.servers.flatMap(({ name }) => {
    const resets = after[name]! - before[name]!;
    if (resets === 0 || world.excuses.some(({ server }) => server === name)) return [];
    return [`${name} got ${resets} segments of connections that it did not have`];
  });
}

/**
 * Disturbs a load balancer under load for some seconds, undoes everything, and accounts for every connection.
 * @throws InbandError when the lab or the first daemon do not start
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { seed, seconds, say = () => {}, start = {}, datapath = 'xdp' } = options;
  const rig = await Rig.up();
  try {
    const world = new World(rig, seed, start, say);
    say(`seed ${seed}, ${seconds} s, lost_flows: ${world.fate}`);
    rig.balancer.onLog = (line) => {
      if (String(line.event).startsWith('backend_')) world.say(`  daemon: ${JSON.stringify(line)}`);
    };
    rig.balancer.onDeath = (error) => world.fail(`the daemon ended: ${error.message}`);
    rig.configure(undefined, { datapath, health, pool: { lost_flows: world.fate } });
    await rig.start(start);
    const before = await rig.wire();
    rig.startLoad();
    await sleep(calmMs);
    const counts = await disturb(world, options);
    if (rig.balancer.isRunning) await heal(world);
    else world.fail('the daemon is gone');
    await sleep(calmMs);
    const requestsPerS = rig.during(world.originNs, Number(process.hrtime.bigint())).requestsPerS;
    const account = accountOf(await rig.endLoad(), world.excuses, (patienceMs + slackMs) * 1e6);
    const after = await rig.wire();
    const broken = account.unexcused.map((one) => brokenLine(one, world.originNs));
    const failures = [
      ...world.failures,
      ...broken,
      ...strays(world, { ...before.resets }, { ...after.resets }),
    ];
    return { account, failures, disturbances: counts, requestsPerS };
  } finally {
    await rig.down();
  }
}

/** The account for people. */
export function summaryOf({ account, failures, disturbances, requestsPerS }: ChaosResult): string[] {
  const causes = new Map<string, number>();
  for (const { cause } of account.excused) causes.set(cause!, (causes.get(cause!) ?? 0) + 1);
  const happened = Object.entries(disturbances).map(([name, count]) => `${name} ${count}`);
  return [
    `${happened.join(', ')}; ${Math.round(requestsPerS)} requests/s`,
    `${account.opened} connections: ${account.completed} completed, ${account.kept} whole at the end, ` +
      `${account.excused.length} broken for a cause, ${account.unexcused.length} broken without`,
    `${account.answered} requests answered, ${account.requestsLost} lost`,
    ...[...causes].map(([cause, count]) => `  ${count} as ${cause}`),
    ...(failures.length > 0 ? ['failures:', ...failures.map((failure) => `  ${failure}`)] : []),
  ];
}
