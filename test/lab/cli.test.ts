import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { labCommand } from '../../src/cli/lab.ts';
import { Lab } from '../../src/lab/lab.ts';
import { remainsOf } from './remains.ts';
import { labUnavailable } from './require.ts';

const unavailable = labUnavailable();

/** What a command printed. */
async function inbandLab(...argv: string[]): Promise<string> {
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  await labCommand().parseAsync(argv, { from: 'user' });
  const text = log.mock.calls.map((call) => call.join(' ')).join('\n');
  log.mockRestore();
  return text;
}

afterEach(() => {
  process.exitCode = undefined;
});

describe('inband lab', () => {
  test.each([
    [['up', '--servers', 'two'], /'two' is not a count/],
    [['up', '--servers', '0'], /number of servers is 0/],
    [['up', '--delay', '1'], /'1' is not a duration/],
    [['up', '--delay', '100ns'], /finer than 1us/],
    [['up', '--delay', '2s'], /delay in us is 2000000/],
    [['up', '--application', 'nginx'], /no application 'nginx'/],
  ])('refuses %j with a usage error', async (argv, message) => {
    await expect(inbandLab(...argv)).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(message),
    });
  });

  test('sets up, shows, uses and removes a lab', async (context) => {
    if (unavailable) context.skip(unavailable);
    const up = JSON.parse(await inbandLab('up', '--servers', '1', '--delay', '250us', '--json'));
    onTestFinished(async () => {
      if (remainsOf(up.id).length > 0) await Lab.open(up.id).down();
    });
    expect(up.hosts.map((host: { name: string }) => host.name)).toEqual(['lb', 'c1', 's1']);
    expect(up.hosts[2]).toMatchObject({ address: '10.77.0.11', netns: `${up.id}-s1`, delay_us: 250 });

    await inbandLab('delay', '--lab', up.id, 's1', '2ms');
    const { labs } = JSON.parse(await inbandLab('status', '--json'));
    const shown = labs.find((lab: { id: string }) => lab.id === up.id);
    expect(shown).toMatchObject({ owner: null, abandoned: false });
    expect(shown.hosts[2].delay_us).toBe(2000);
    expect(await inbandLab('status')).toContain('delay 2ms');

    await inbandLab('exec', '--lab', up.id, 'c1', '--', 'true');
    expect(process.exitCode).toBe(0);
    await inbandLab('exec', '--lab', up.id, 's1', 'sh', '-c', 'exit 7');
    expect(process.exitCode).toBe(7);
    await expect(inbandLab('exec', '--lab', up.id, 's9', 'true')).rejects.toMatchObject({ code: 'USAGE' });

    expect(JSON.parse(await inbandLab('down', '--lab', up.id, '--json'))).toEqual({ removed: [up.id] });
    expect(remainsOf(up.id)).toEqual([]);
    await expect(inbandLab('down', '--lab', up.id)).rejects.toMatchObject({ code: 'USAGE' });
  });
});
