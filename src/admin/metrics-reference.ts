import { metrics } from './metrics.ts';
import { bucketBoundsNs } from './metrics-buckets.ts';

/** docs/metrics.md, made from the metrics themselves; `scripts/reference.mjs` writes it. */
export function metricsReference(): string {
  const rows = metrics.map(({ name, type, labels, help }) => {
    const named = labels.length === 0 ? '' : labels.map((label) => `\`${label}\``).join(', ');
    return `| \`${name}\` | ${type} | ${named} | ${help} |`;
  });
  return `${[head, ['| metric | type | labels | meaning |', '|---|---|---|---|', ...rows].join('\n'), tail].join('\n\n')}\n`;
}

const head = `# Metrics

Made from the source by \`node scripts/reference.mjs\`; do not edit.

The daemon serves them in Prometheus' text format: always at \`/metrics\` of its local socket, and with
\`--http 127.0.0.1:9464\` (\`admin.http\` of the configuration) at \`http://127.0.0.1:9464/metrics\`, beside the dashboard
at \`http://127.0.0.1:9464/\`. That port has no password: an address that other machines reach needs \`--http-public\`.

\`\`\`sh
curl --unix-socket /run/inband/inband.sock http://localhost/metrics
\`\`\`

\`config/prometheus\` has a scrape configuration and alert rules, \`config/grafana/inband.json\` a dashboard to import.
Names and labels are stable within a major version. Nothing is counted per packet for them, and a scrape is made in
slices of a tenth of a millisecond between which the control loop runs: values of one scrape may be that far apart.`;

const seconds = (boundNs: number): string => `${boundNs / 1e9}`;

const tail = `## How many series

For each backend of each vip: 13 and, where signals are counted, 9 more, and ${bucketBoundsNs.length + 3} for each kind of samples that was ever
measured there. Nothing else grows with anything: clients, flows and ports are in no label.

## Histograms

Bounds are powers of two in ns from ${seconds(bucketBoundsNs[0]!)} s to ${seconds(bucketBoundsNs.at(-1)!)} s, where bins of the datapath's own, finer histograms begin: each
sample is in the bucket that it belongs to. \`inband status\` and the dashboard have percentiles from the finer ones.
A single sample of the kind \`server\` may be negative: \`_sum\` of that kind may fall, and rates of it mean something over
longer times only.

## Values of labels

- \`reason\` of packets: \`tx\` and \`redirect\` went to a backend by the interface they came from or another; \`ipip\` as well, in an
  IP packet. \`no_backend\`, \`too_big\`, \`send_failed\`, \`shed\` and \`ring_full\` were for a vip and are lost. All others are for no vip, or
  none of TCP and UDP, or damaged; \`arp_answered\` was answered. \`reset\` was answered by a RST, as its flow's backend is lost;
  \`probe\` is an answer to a health check.
- \`event\` of flows: \`created\`; then one of \`closed\` (RST), \`reopened\` (SYN), \`idle\`, \`resteered\` (its backend is lost),
  \`evicted_unestablished\` and \`evicted_idle\` (made room for another). \`refused\`, \`contended\` and \`untracked\` found no place: they go to the backend of their slot, unmeasured.
- \`event\` of samples: \`dropped\` is no latency, or more than a client prefix may add (\`limited\`, a part of it); \`lost\` did not
  reach a listener of \`inband samples\`.
- \`cause\` of decisions: \`slow\` latency above the pool's, \`jump\` far above, \`waiting\` requests that wait, \`restore\` back towards the
  weight, \`start\` after being away, \`panic\` too few healthy ones, \`weight\` a formula.`;
