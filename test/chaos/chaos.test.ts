import { expect, test } from 'vitest';
import { daemonUnavailable, skipAll } from '../lab/require.ts';
import { asService } from './balancer.ts';
import { runChaos, summaryOf } from './chaos.ts';

skipAll(daemonUnavailable());

const seconds = 15;
/** The same each time, so that a change that breaks this is told from chance; `npm run test:chaos` draws others. */
const seed = 1;
const timeoutMs = 180_000;

test('whatever happens to the load balancer, no connection breaks but those of servers that were taken away', {
  timeout: timeoutMs,
}, async () => {
  const timeline: string[] = [];
  const result = await runChaos({
    seed,
    seconds,
    start: { prefix: asService },
    say: (line) => timeline.push(line),
  });
  const told = [...timeline, ...summaryOf(result)].join('\n');
  expect(result.failures, `npm run test:chaos -- --seed ${seed} --minutes ${seconds / 60}\n${told}`).toEqual(
    [],
  );
  expect(result.account.opened).toBeGreaterThan(64);
  expect(result.account.answered).toBeGreaterThan(1_000);
});
