import { describe, expect, test } from 'vitest';
import { replayText } from '../../src/report/text.ts';
import { aBackend, anEstimator, aPolicy, aResult, backendNames, noSamples, someError } from './results.ts';

const plain = (width: number) => ({ width, color: false });
const lines = (text: string) => text.split('\n');
const widest = (text: string) => Math.max(...lines(text).map((line) => [...line].length));
/** Lines of a chart of shares, which are those with an axis on the left. */
const chartLines = (text: string) => lines(text).filter((line) => line.includes('┤'));

describe('what was read', () => {
  test('packets, flows and the reasons of both are lines with a label', () => {
    const text = lines(replayText(aResult(), plain(100)));
    expect(text.slice(0, 10)).toEqual([
      'web.pcap.gz: 1,234,567 packets, 1.83 MB',
      '',
      'packets read    1,234,567 in 6.02s of capture time',
      'client->server  1,234,000: what the load balancer would have forwarded',
      'server->client  0',
      'skipped         567: not_ip 500, fragment 67',
      'flows           461, assigned to backends by the table',
      'flow table      8 of 65,536 lines in use at the end, 64 B each',
      'flows ended     453: closed 453',
      'vip             10.77.0.100:11211/tcp: 461 flows, 1,234,000 packets',
    ]);
  });

  test('what occurred seldom is shown only when it did', () => {
    const result = aResult({ samples_dropped: { negative: 3 }, truth: { source: 't.csv', records: 1 } });
    result.flows.untracked_packets = 1;
    const text = replayText(result, plain(100));
    expect(text).toContain('samples dropped  3: negative 3');
    expect(text).toContain('untracked        1 packet found the flow table full');
    expect(text).toContain('truth            1 record from t.csv');
    expect(replayText(aResult(), plain(100))).not.toMatch(/dropped|untracked|truth/);
  });

  test('warnings come last, and a problem that is also a warning comes once', () => {
    const result = aResult({
      warnings: ['web.pcap.gz: truncated at byte 12', 'no packet of a vip was found'],
    });
    result.files[0]!.problems.push('web.pcap.gz: truncated at byte 12');
    expect(lines(replayText(result, plain(100))).slice(-2)).toEqual([
      'warning: web.pcap.gz: truncated at byte 12',
      'warning: no packet of a vip was found',
    ]);
    expect(replayText(result, plain(100)).match(/truncated/g)).toHaveLength(1);
  });

  test('names from outside cannot control the terminal', () => {
    const result = aResult({
      backends: [aBackend('b\u001b[31m\n1'), aBackend('b2', [anEstimator('e\u0007')])],
      warnings: ['w\u001b]0;title\u0007'],
      policy: { ...aPolicy(2), backends: ['b\u001b[31m\n1', 'b2'], estimator: '\u009b' },
      vips: [{ vip: '\u001b[2J', flows: 1, packets: 1 }],
    });
    result.files[0]!.name = '\u001b[H.pcap';
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
    expect(replayText(result, plain(80))).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  });
});

describe('tables', () => {
  test('without a truth a table has no columns of error', () => {
    const text = lines(replayText(aResult(), plain(80)));
    const at = text.indexOf('Backend 10.77.0.1  230 flows, 23,190 packets');
    expect(text.slice(at + 1, at + 5)).toEqual([
      'estimator                samples      p50     p90    p99   mean',
      '───────────────────────────────────────────────────────────────',
      'ensemble:smooth:backend   37,002  268.5us  1.02ms  2.4ms  512us',
      '',
    ]);
    expect(text.join('\n')).not.toContain('All backends');
  });

  test('with a truth and room, the errors stand beside the latencies', () => {
    const estimator = anEstimator('ensemble:smooth:backend', { error: someError });
    const result = aResult({
      truth: { source: 't.csv', records: 9 },
      backends: [aBackend('b', [estimator])],
      estimators: [estimator],
    });
    expect(replayText(result, plain(120))).toContain(
      'ensemble:smooth:backend   37,002  268.5us  1.02ms  2.4ms  512us       +3.4%        27%         93%         12%\n',
    );
  });

  test('with a truth and 80 columns, the errors have a table of their own', () => {
    const estimator = anEstimator('ensemble:smooth:backend', { error: someError });
    const result = aResult({
      truth: { source: 't.csv', records: 9 },
      backends: [aBackend('b', [estimator])],
      estimators: [estimator],
    });
    const text = replayText(result, plain(80));
    expect(text).toContain('ensemble:smooth:backend   37,002  268.5us  1.02ms  2.4ms  512us\n');
    expect(text).toContain(
      'estimator                median err  p95 |err|  within 20%  window p90\n' +
        '──────────────────────────────────────────────────────────────────────\n' +
        'ensemble:smooth:backend       +3.4%        27%         93%         12%\n',
    );
    expect(text).toContain('err: (estimate - truth) / truth');
  });

  test('what is unknown is a dash: no samples, nothing to compare with', () => {
    const rows = [anEstimator('handshake', noSamples), anEstimator('fixed:64us')];
    const result = aResult({
      truth: { source: 't.csv', records: 0 },
      backends: [aBackend('b', rows)],
      estimators: rows,
    });
    const text = replayText(result, plain(120)).replace(/ +/g, ' ');
    expect(text).toContain('handshake 0 - - - - - - - -\n');
    expect(text).toContain('fixed:64us 37,002 268.5us 1.02ms 2.4ms 512us - - - -\n');
  });

  test('several backends have a table each and one together', () => {
    const result = aResult({ backends: ['a', 'b'].map((name) => aBackend(name)) });
    const titles = lines(replayText(result, plain(80))).filter((line) => /^(Backend|All)/.test(line));
    expect(titles).toEqual([
      'Backend a  230 flows, 23,190 packets',
      'Backend b  230 flows, 23,190 packets',
      'All backends  2 backends',
    ]);
  });

  test('of very many backends the busiest have a table, and the last table says so', () => {
    const backends = backendNames(1000).map((name, index) => ({ ...aBackend(name), packets: index }));
    const text = replayText(aResult({ backends }), plain(80));
    expect(text.match(/^Backend /gm)).toHaveLength(32);
    expect(text).toContain('Backend 10.77.0.1000  ');
    expect(text).not.toContain('Backend 10.77.0.1  ');
    expect(text).toContain('All backends  1,000 backends, of which the 32 busiest are above');
  });

  test('without any sample there is a sentence in place of empty tables', () => {
    const text = replayText(aResult({ estimators: [anEstimator('handshake', noSamples)] }), plain(80));
    expect(text).toContain('No latency samples: no estimator saw a response in these packets.');
    expect(text).not.toContain('estimator  ');
  });
});

describe('shares', () => {
  test('two backends have tall charts with the first and last share and round times below', () => {
    const text = replayText(aResult({ policy: aPolicy(2) }), plain(60));
    expect(text).toContain(
      "Policy 'shift' (alpha 10%), fed by ensemble:smooth:backend,\nwould have changed the shares 46 times.",
    );
    const at = lines(text).findIndex((line) => line.includes('┤'));
    expect(lines(text).slice(at, at + 9)).toEqual([
      '               ┤                                      ├',
      '               ┤▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▃▃▂▁▁             ├',
      '10.77.0.1   50%┤██████████████████████████▇▇▆▆▅▄▄▃▂▂▁▁├ 0.8%',
      '',
      '               ┤                          ▁▁▂▂▃▄▄▅▆▆▇█├',
      '               ┤▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▅▅▆▇▇█████████████├',
      '10.77.0.2   50%┤██████████████████████████████████████├  99%',
      '               └────────────┬────────────┬────────────┘',
      '               0s           2s           4s',
    ]);
  });

  test('of twenty backends those whose share moved most have a row, and the others one together', () => {
    const policy = aPolicy(20);
    const text = replayText(aResult({ policy }), plain(80));
    const rows = chartLines(text);
    expect(rows).toHaveLength(10);
    expect(rows[0]).toMatch(/^10\.77\.0\.1 +5%┤▄+▃?▂?▁* +├ +0%$/);
    expect(rows[9]).toMatch(/^mean of 11 others +5%┤▄+├ 5\.3%$/);
    expect(text).toContain('each backend from 0 to 10%');
  });

  test('a share above zero is never drawn as nothing', () => {
    const policy = {
      ...aPolicy(2),
      time_s: [0, 1],
      share: [
        [0.0001, 0.9999],
        [0, 1],
      ],
    };
    const [, , bottom] = chartLines(replayText(aResult({ policy }), plain(80)));
    expect(bottom).toMatch(/┤▁+ +├/);
  });

  test('without a policy there is a sentence', () => {
    expect(lines(replayText(aResult(), plain(80))).at(-1)).toBe(
      'No policy: there are fewer than two backends to shift flows between.',
    );
  });

  test('a policy that never acted says so', () => {
    const policy = { ...aPolicy(2), changes: 0, time_s: [], share: [] };
    const text = replayText(aResult({ policy }), plain(100));
    expect(text).toContain('would have never changed the shares');
    expect(chartLines(text)).toEqual([]);
  });
});

test.each([40, 60, 80, 120, 200])('no line is wider than a terminal of %i columns', (width) => {
  const huge = anEstimator('ensemble:smooth:backend', {
    samples: 123_456_789_012,
    p50_ns: 0.4,
    p99_ns: 8.64e13,
    max_ns: 1e18,
    error: { ...someError, median_relative_error: 1e12, p95_absolute_relative_error: 1e12 },
  });
  const names = ['a'.repeat(300), ...backendNames(19)];
  const result = aResult({
    truth: { source: 'truth.csv', records: 9 },
    backends: names.map((name) => aBackend(name, [huge])),
    estimators: [huge],
    policy: { ...aPolicy(20), backends: names },
    warnings: ['one '.repeat(100)],
  });
  expect(widest(replayText(result, plain(width)))).toBeLessThanOrEqual(width);
});

test('colors change nothing but the colors', () => {
  const result = aResult({ policy: aPolicy(2), backends: [aBackend('a'), aBackend('b')], warnings: ['w'] });
  const colored = replayText(result, { width: 80, color: true });
  const plainText = replayText(result, plain(80));
  expect(plainText).not.toContain('\u001b');
  expect(colored).toContain('\u001b[33mwarning: w\u001b[39m');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
  expect(colored.replace(/\u001b\[\d+m/g, '')).toBe(plainText);
});
