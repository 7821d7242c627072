import { Command, Option } from 'commander';
import { diagnoseCapture, gatherCapture } from '../doctor/capture.ts';
import { gatherFacts } from '../doctor/gather.ts';
import { diagnosisText } from '../doctor/text.ts';
import { type Diagnosis, diagnose } from '../doctor/verdict.ts';
import { exitCode } from '../errors.ts';
import { type Endpoint, formatEndpoint, parseAddress, parseEndpoint } from '../net/address.ts';
import { colorPaint, plainPaint } from '../report/terminal.ts';
import { collect, parseBackend } from './flags.ts';

interface Flags {
  interface?: string;
  vip: Endpoint[];
  backend: string[];
  probe: boolean;
  datapath: 'xdp' | 'capture';
  json?: true;
}

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('Check what this machine lacks to run inband, and name the command that helps')
    .option('--interface <NAME>', 'look at this interface, too')
    .addOption(
      new Option('--vip <ADDR:PORT/PROTO>', 'whether clients find this vip here; repeatable')
        .argParser(collect((text) => parseEndpoint(text, '--vip')))
        .default([], 'none'),
    )
    .addOption(
      new Option('--backend <ADDR>', 'whether this backend can be reached; repeatable')
        .argParser(collect((text) => parseBackend(text).name))
        .default([], 'none'),
    )
    .addOption(
      new Option('--datapath <NAME>', 'what is to forward packets')
        .choices(['xdp', 'capture'])
        .default('xdp'),
    )
    .option(
      '--no-probe',
      'attach nothing to the interface; else a program that passes everything is there for a moment, for which some drivers restart',
    )
    .option('--json', 'print the result as one JSON object')
    .addHelpText(
      'after',
      `\nExit code: ${exitCode.ok} ready, ${exitCode.environment} something is missing, ${exitCode.permission} only permission is.`,
    )
    .action(run);
}

async function run(flags: Flags): Promise<void> {
  const vips = new Map(flags.vip.map((vip) => [formatEndpoint(vip), vip]));
  const facts = await gatherFacts({
    interface: flags.interface,
    vips: [...vips.values()],
    backends: [...new Set(flags.backend)].map((name) => parseAddress(name)!),
    probe: flags.probe && flags.datapath === 'xdp',
  });
  const diagnosis = flags.datapath === 'xdp' ? diagnose(facts) : diagnoseCapture(facts, gatherCapture(facts));
  const { stdout } = process;
  const paint = stdout.hasColors?.() ? colorPaint : plainPaint;
  stdout.write(
    flags.json
      ? `${JSON.stringify(toJson(diagnosis))}\n`
      : `${diagnosisText(diagnosis, stdout.columns ?? 80, paint)}\n`,
  );
  process.exitCode = diagnosis.verdict.exitCode;
}

const toJson = ({ sections, verdict }: Diagnosis) => ({
  schema: 'inband.doctor/1',
  checks: sections.flatMap(({ subject, checks }) =>
    checks.map(({ name, state, found, why, fix }) => ({
      subject,
      name,
      state,
      found,
      why,
      fix: fix ?? null,
    })),
  ),
  verdict: { state: verdict.state, text: verdict.text, exit_code: verdict.exitCode },
});
