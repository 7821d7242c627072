import { writeFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { policyNames } from '../control/registry.ts';
import { unwritable } from '../datapath/replay/file-errors.ts';
import { runDemo } from '../demo/demo.ts';
import { type DemoOptions, demoDefaults, scheduleOf } from '../demo/plan.ts';
import type { DemoResult } from '../demo/result.ts';
import { LiveDisplay } from '../report/demo-display.ts';
import { demoHtml } from '../report/demo-html.ts';
import { demoText } from '../report/demo-text.ts';
import { formatDuration, type Ns, parseDuration } from '../units.ts';
import { exitCodeOf, onSignals } from './interruption.ts';

interface Flags {
  duration: Ns;
  delay: Ns;
  policy: string;
  report?: string;
  json?: true;
}

/** `inband demo`: what in-band control is good for, on servers and a load that it sets up itself. */
export function demoCommand(): Command {
  return new Command('demo')
    .description(
      'Slow one of two servers under load, with a static table and with in-band control; needs root',
    )
    .addOption(
      new Option('--duration <DURATION>', 'load of both runs together')
        .argParser((text) => parseDuration(text, '--duration'))
        .default(demoDefaults.durationNs, formatDuration(demoDefaults.durationNs)),
    )
    .addOption(
      new Option('--delay <DURATION>', 'added to the path to one server in the middle third of each run')
        .argParser((text) => parseDuration(text, '--delay'))
        .default(demoDefaults.delayNs, formatDuration(demoDefaults.delayNs)),
    )
    .addOption(
      new Option('--policy <NAME>', 'law that moves slots in the run with in-band control')
        .choices(policyNames)
        .default(demoDefaults.policy),
    )
    .option('--report <FILE>', 'write a self-contained HTML page with both runs over time')
    .option('--json', 'print the result as one JSON object')
    .action(run);
}

async function run({ duration, delay, policy, report, json }: Flags): Promise<void> {
  const interruption = new AbortController();
  const options = { durationNs: duration, delayNs: delay, policy };
  const stopListening = onSignals(['SIGINT', 'SIGTERM'], (signal) => {
    process.exitCode = exitCodeOf(signal);
    interruption.abort();
  });
  try {
    const result = await watched(options, json === true, interruption.signal);
    if (report !== undefined) {
      await writeFile(report, demoHtml(result)).catch((cause) => {
        throw unwritable(report, cause);
      });
    }
    print(result, json === true, report);
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
  } finally {
    stopListening();
  }
}

/** Runs the demo, with what happens shown meanwhile unless the result is for a program. */
async function watched(options: DemoOptions, isQuiet: boolean, signal: AbortSignal): Promise<DemoResult> {
  if (isQuiet) return runDemo(options, {}, signal);
  const display = new LiveDisplay(process.stdout, scheduleOf(options), options.delayNs);
  return runDemo(options, display, signal).finally(() => display.stop());
}

function print(result: DemoResult, json: boolean, report: string | undefined): void {
  const { stdout } = process;
  const options = { width: stdout.columns ?? 100, color: stdout.hasColors?.() ?? false };
  stdout.write(json ? `${JSON.stringify(result)}\n` : `\n${demoText(result, options)}\n`);
  if (!json && report !== undefined) stdout.write(`report: ${report}\n`);
}
