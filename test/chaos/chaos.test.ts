import { expect, test } from 'vitest';
import { daemonUnavailable, skipAll } from '../lab/require.ts';
import { runChaos, summaryOf } from './chaos.ts';

skipAll(daemonUnavailable());

const seconds = 15;

test('whatever happens to the load balancer, no connection breaks but those of servers that were taken away', async () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  const timeline: string[] = [];
  const result = await runChaos({
    seed,
    seconds,
    start: { prefix: ['nice', '-n', '-15'] },
    say: (line) => timeline.push(line),
  });
  const told = [...timeline, ...summaryOf(result)].join('\n');
  expect(result.failures, `npm run test:chaos -- --seed ${seed} --minutes ${seconds / 60}\n${told}`).toEqual(
    [],
  );
  expect(result.account.opened).toBeGreaterThan(64);
  expect(result.account.answered).toBeGreaterThan(1_000);
});
