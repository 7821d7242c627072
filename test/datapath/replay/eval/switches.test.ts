import { expect, test } from 'vitest';
import { readSwitches } from '../../../../src/datapath/replay/eval/switches.ts';
import { temporaryFile } from '../support.ts';

test('switches are read to the nanosecond, counted from the given second', async () => {
  const path = temporaryFile('switch.txt', 's1 1795222338011020675 1000000\n\ns2 1795222338016055099 0\n');
  expect(await readSwitches(path, 1795222330)).toEqual([
    { server: 's1', timeNs: 8_011_020_675 },
    { server: 's2', timeNs: 8_016_055_099 },
  ]);
});

test('what is no switch is an error with its line', async () => {
  const path = temporaryFile('switch.txt', 's1 1795222338011020675 1000000\ns2 soon 5\n');
  await expect(readSwitches(path, 0)).rejects.toMatchObject({
    code: 'TRUTH_INVALID',
    message: `${path}:2: not a switch: 's2 soon 5'`,
  });
});
