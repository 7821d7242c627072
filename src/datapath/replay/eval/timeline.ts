import type { Evaluation } from './evaluation.ts';
import type { EvalBackendTimeline, EvalLine, EvalTimeline } from './result.ts';
import { type Latencies, type Typical, windowLines } from './samples.ts';
import type { Candidate } from './scores.ts';
import type { Step } from './steps.ts';

/** Points per line of a picture: in longer captures windows are put together. */
const pointsMax = 300;
/** Backends of a capture that are drawn, the busiest first. */
export const drawnBackendsMax = 4;

/** The order that people look for names in: s2 before s10. */
const inOrder = new Intl.Collator('en', { numeric: true });

/** What a picture of one capture needs. */
export function timelineOf(
  run: Evaluation,
  candidates: readonly Candidate[],
  steps: readonly Step[],
  windowNs: number,
): EvalTimeline {
  const { firstNs, lastNs, backendPackets } = run.tally;
  const spanNs = Math.max(lastNs - firstNs, 1);
  const partNs = Math.max(windowNs, Math.ceil(spanNs / pointsMax));
  const line = (latencies: Latencies, typical: Typical, backend: number): EvalLine =>
    toLine(windowLines(latencies, partNs, typical).get(backend) ?? new Map(), partNs, firstNs, lastNs);
  const busiest = run.backends.names
    .map((_, backend) => backend)
    .sort((a, b) => backendPackets[b]! - backendPackets[a]!)
    .slice(0, drawnBackendsMax)
    .sort((a, b) => inOrder.compare(run.backends.names[a]!, run.backends.names[b]!));
  const backends = busiest.map((backend): EvalBackendTimeline => {
    const step = steps.find((one) => one.backend === backend);
    return {
      backend: run.backends.names[backend]!,
      truth: line(run.truth.response, 'median', backend),
      estimates: candidates.map(({ estimator, kind, parts }) => ({
        estimator,
        kind,
        line: together(parts.map((part) => line(part, part.typical, backend))),
      })),
      ...(step && { stepS: (step.fromNs - firstNs) / 1e9 }),
    };
  });
  return { capture: run.files.name, spanS: spanNs / 1e9, backends };
}

function toLine(
  windows: ReadonlyMap<number, number>,
  partNs: number,
  firstNs: number,
  lastNs: number,
): EvalLine {
  const points = [...windows]
    .map(([at, latency]) => ({ time: (at + 0.5) * partNs, latency }))
    .filter(({ time }) => time >= firstNs - partNs && time <= lastNs + partNs)
    .sort((a, b) => a.time - b.time);
  return {
    timeS: points.map(({ time }) => (Math.min(Math.max(time, firstNs), lastNs) - firstNs) / 1e9),
    latencyNs: points.map(({ latency }) => latency),
  };
}

/** Lines that take turns as one. */
function together(lines: readonly EvalLine[]): EvalLine {
  if (lines.length === 1) return lines[0]!;
  const points = lines
    .flatMap(({ timeS, latencyNs }) => timeS.map((time, i) => ({ time, latency: latencyNs[i]! })))
    .sort((a, b) => a.time - b.time);
  return { timeS: points.map(({ time }) => time), latencyNs: points.map(({ latency }) => latency) };
}
