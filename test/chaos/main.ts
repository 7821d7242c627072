import { parseArgs } from 'node:util';
import { linkBuilt } from '../../bench/built.ts';
import { asService } from './balancer.ts';
import { runChaos, summaryOf } from './chaos.ts';
import { disturbances } from './disturbances.ts';

const usage = `npm run test:chaos -- [--seed N] [--minutes X] [--only NAME,...]
                    [--datapath xdp|capture] [--quiet]

Disturbs a load balancer in a lab at random for X minutes (2) under load, and accounts for every connection. Exits with
1 if one broke without a cause. NAME: ${Object.keys(disturbances).join(', ')}.`;

const minutesMax = 120;
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 32)) },
    minutes: { type: 'string', default: '2' },
    only: { type: 'string' },
    datapath: { type: 'string', default: 'xdp' },
    quiet: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const [seed, minutes] = [Number(values.seed), Number(values.minutes)];
const only = values.only?.split(',');
const datapath = values.datapath === 'capture' ? 'capture' : 'xdp';
const isUsable =
  Number.isInteger(seed) &&
  seed >= 0 &&
  seed < 2 ** 32 &&
  minutes > 0 &&
  minutes <= minutesMax &&
  datapath === values.datapath &&
  (only ?? []).every((name) => name in disturbances);
if (values.help || !isUsable) {
  console.log(usage);
  process.exit(values.help ? 0 : 2);
}

linkBuilt();
const aborted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => aborted.abort());
const result = await runChaos({
  seed,
  seconds: minutes * 60,
  datapath,
  start: { prefix: asService },
  signal: aborted.signal,
  ...(values.quiet ? {} : { say: (line: string) => console.log(line) }),
  ...(only && { only }),
});
for (const line of summaryOf(result)) console.log(line);
if (result.failures.length > 0) {
  console.log(`\nagain with: npm run test:chaos -- --seed ${seed} --minutes ${minutes}`);
  process.exitCode = 1;
}
