import { installCommand, packageProblems } from '../datapath/capture/packages.ts';
import { type CaptureFinding, captureFacts, captureFindings } from '../datapath/capture/preflight.ts';
import { exitCode } from '../errors.ts';
import { formatAddress, formatEndpoint } from '../net/address.ts';
import { backendChecks } from './addresses.ts';
import type { Check, Section } from './check.ts';
import type { Facts, MachineFacts, VipFacts } from './facts.ts';
import { isVeth, link, vethChecksums } from './interface.ts';
import { native, node } from './machine.ts';
import type { Diagnosis, Verdict } from './verdict.ts';

/** What decides whether the capture datapath runs, beyond what is asked about. */
export interface CaptureMachine {
  /** Why each package cannot be used, by its name; those that can are not there. */
  readonly packages: ReadonlyMap<string, string>;
  /** What is wrong with the interface for the vips; empty without an interface. */
  readonly findings: readonly CaptureFinding[];
}

/** Reads what there is to know; changes nothing. */
export function gatherCapture(facts: Facts): CaptureMachine {
  const { interface: found, vips } = facts;
  const endpoints = vips.map(({ vip }) => vip);
  return {
    packages: packageProblems(),
    findings: found?.link ? captureFindings(captureFacts(found.name, endpoints)) : [],
  };
}

function packages({ packages: problems }: CaptureMachine): Check[] {
  const purposes = [
    ['cap', 'failed', 'it captures frames and sends them on'],
    ['raw-socket', 'warning', 'it sends IP-in-IP; everything else works without'],
  ] as const;
  return purposes.map(([name, state, why]) => {
    const problem = problems.get(name);
    if (problem === undefined) return { name, state: 'ok', found: 'installed', why };
    return { name, state, found: problem, why, fix: installCommand };
  });
}

function privileges({ capabilities }: MachineFacts): Check {
  const name = 'privileges';
  const why = 'frames are captured and sent with CAP_NET_RAW';
  if (capabilities.has('CAP_NET_RAW')) return { name, state: 'ok', found: 'CAP_NET_RAW', why };
  const fix = 'sudo inband doctor --datapath capture';
  return { name, state: 'failed', privilege: true, found: 'without CAP_NET_RAW', why, fix };
}

const findingCheck = ({ name, refused, found, why, fix }: CaptureFinding): Check => ({
  name,
  state: refused ? 'failed' : 'warning',
  found,
  why,
  fix,
});

function arp({ heldBy, answeredBy }: VipFacts): Check {
  const name = 'arp';
  const why = 'clients and routers have to find the vip at the load balancer';
  const advice = {
    why: `${why}; run answers with --answer-arp, unless a route or a static entry leads there`,
  };
  // What it means that this machine has the address is said of the interface.
  if (heldBy.length > 0) return { name, state: 'unknown', found: `it is on ${heldBy.join(', ')}`, why };
  if (answeredBy === undefined) return { name, state: 'ok', found: 'nobody else answers', why };
  return { name, state: 'warning', found: `answered by another machine, ${answeredBy}`, ...advice };
}

/** All checks of what was asked about for the capture datapath, and what follows from them. */
export function diagnoseCapture(facts: Facts, capture: CaptureMachine): Diagnosis {
  const { machine, interface: found, vips, backends } = facts;
  const sections: Section[] = [
    {
      subject: 'machine',
      checks: [node(machine), native(machine), ...packages(capture), privileges(machine)],
    },
    ...(found
      ? [
          {
            subject: `interface ${found.name}`,
            checks: [
              link(found),
              ...(found.link && isVeth(found) ? [vethChecksums(found)] : []),
              ...capture.findings.map(findingCheck),
            ],
          },
        ]
      : []),
    ...vips.map((vip) => ({ subject: `vip ${formatEndpoint(vip.vip)}`, checks: [arp(vip)] })),
    ...backends.map((backend) => ({
      subject: `backend ${formatAddress(backend.address.family, ...backend.address.words)}`,
      checks: backendChecks(backend, found?.name),
    })),
  ];
  return { sections, verdict: judge(sections, found?.name) };
}

function judge(sections: readonly Section[], interfaceName: string | undefined): Verdict {
  const failed = sections.flatMap(({ subject, checks }) =>
    checks.filter(({ state }) => state === 'failed').map((check) => ({ subject, ...check })),
  );
  const wrong = failed.find(({ privilege }) => !privilege);
  if (wrong) {
    const text = `not ready: ${wrong.subject}: ${wrong.name}: ${wrong.found}`;
    return { state: 'not-ready', text, exitCode: exitCode.environment };
  }
  if (failed.length > 0) {
    return { state: 'permission', text: 'not permitted: run it as root', exitCode: exitCode.permission };
  }
  const where = interfaceName === undefined ? 'this machine can capture' : `capture on ${interfaceName}`;
  return { state: 'ready', text: `ready: ${where}`, exitCode: exitCode.ok };
}
