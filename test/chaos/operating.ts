import type { ChangeAnswer, ReloadAnswer } from '../../src/admin/answers.ts';
import { monotonicNs } from './balancer.ts';
import type { PoolOperation } from './pool.ts';
import type { World } from './world.ts';

/** Operations after which flows of a server are cut off, unless they are kept. */
const cutting: readonly PoolOperation['kind'][] = ['maintenance', 'remove'];
const secondPort = 11_299;
/** A SYN that was on its way is there by then, also if it had to be sent again. */
const settledNs = 1.5e9;

/** Draws an operation that leaves a server that serves, and accounts for what it cuts off. */
function draw(world: World, kinds?: readonly PoolOperation['kind'][]): PoolOperation | undefined {
  const servers = world.calm.map(({ name }) => name);
  const operation = world.pool.draw(world.random, servers, kinds);
  if (!operation) return undefined;
  const takesAway = operation.kind === 'drain' || cutting.includes(operation.kind);
  if (takesAway && !world.serving.some(({ name }) => name !== operation.server)) return undefined;
  if (world.fate !== 'keep' && cutting.includes(operation.kind)) {
    world.excuse(world.rig.lab.host(operation.server), `${operation.kind} of its server, ${world.fate}`);
  }
  return operation;
}

/** An operation is done: no new flows come to a server that was taken away, and what cut off its flows is over when it is back. */
function done(world: World, { kind, server }: PoolOperation): void {
  const own = world.excuses.filter(
    (excuse) => excuse.server === server && excuse.cause.includes(' of its server'),
  );
  const nowNs = monotonicNs();
  if (cutting.includes(kind)) for (const excuse of own) excuse.begunByNs ??= nowNs + settledNs;
  if (kind === 'ready' || kind === 'add')
    for (const excuse of own) excuse.toNs = Math.min(excuse.toNs, nowNs);
}

const said = (operation: PoolOperation): string =>
  operation.kind === 'weight'
    ? `weight ${operation.server} ${operation.weight ?? 'as configured'}`
    : `${operation.kind} ${operation.server}`;

export async function operate(world: World): Promise<string | undefined> {
  const operation = draw(world);
  if (!operation) return undefined;
  await world.rig.operate(world.pool, operation);
  done(world, operation);
  return said(operation);
}

/** Another configuration, while there is no daemon that could read it. */
export async function configureUnseen(world: World): Promise<string | undefined> {
  const operation = draw(world, ['add', 'remove']);
  if (!operation) return undefined;
  const { rig, pool } = world;
  await rig.balancer.end('SIGKILL');
  pool.apply(operation);
  rig.configure(pool.configured);
  await rig.balancer.start(world.startOptions);
  done(world, operation);
  return `${said(operation)} while there is no daemon`;
}

/** Another vip before the same servers comes and goes. */
export async function secondVip(world: World): Promise<string> {
  const { rig, pool } = world;
  const { balancer, lab } = rig;
  const backends = pool.configured.map((name) => lab.host(name).address);
  // Nobody listens there: a check would be answered by a reset, which is what is counted of stray segments.
  const second = { address: `${lab.vip}:${secondPort}/tcp`, pool: { backends, health: { check: 'none' } } };
  const vips = [{ address: balancer.vip, pool: 'servers' }, second];
  const usual = rig.rest;
  rig.configure(pool.configured, { ...usual, vips });
  const added = await balancer.post<ReloadAnswer>('/reload', {});
  rig.configure(pool.configured, usual);
  const removed = await balancer.post<ReloadAnswer>('/reload', {});
  if (added.vips.added !== 1 || removed.vips.removed !== 1) {
    world.fail(`a vip that comes and goes: ${JSON.stringify([added.vips, removed.vips])}`);
  }
  return 'another vip comes and goes';
}

/** A reload by signal, of the same configuration. */
export async function hangUp(world: World): Promise<string> {
  const count = world.ms(1, 5);
  for (let i = 0; i < count; i++) world.rig.balancer.signal('SIGHUP');
  return `SIGHUP ${count} times`;
}

/** Several operators at once, who do not know of each other. */
export async function operateAtOnce(world: World): Promise<string> {
  const { balancer, lab } = world.rig;
  const changes = world.pool.configured.map((name) => {
    const weight = world.ms(1, 9);
    world.pool.apply({ kind: 'weight', server: name, weight });
    return balancer.post<ChangeAnswer>('/backend', { backend: lab.host(name).address, weight });
  });
  const reloads = [1, 2].map(() => balancer.post<ReloadAnswer>('/reload', {}));
  balancer.signal('SIGHUP');
  const answers = await Promise.all([...changes, ...reloads]);
  return `${answers.length} changes and reloads at once`;
}
