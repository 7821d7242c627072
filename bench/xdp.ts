import type { XdpProgram } from '../src/datapath/xdp/program.ts';
import { type Ns, ns } from '../src/units.ts';
import { linkBuilt } from './built.ts';
import { type BenchResult, median, type Row, rounded, type Target } from './result.ts';
import { flowsMost, frames, loadProgram, openFlows, packetsPerRun, samplesOf, Wrapper } from './wrapper.ts';

export const name = 'xdp';

const sizes = [1 << 10, 1 << 14, 1 << 17, flowsMost];
/** Where parts are measured: all memory is in the caches. */
const fewFlows = sizes[0]!;
const rounds = 5;

/** Katran on the same harness, on another machine: gross ns by number of flows, where the floor was 8 ns. */
const katran = { floorNs: 8, known: [63, 84, 140, 280], syn: [163, 190, 322, 429] } as const;

/** What is measured in each round, next to a run of the floor. */
interface Case {
  readonly what: string;
  readonly flows: number;
  readonly katranNs?: number;
  /** What the packets go through; the floor, unless told. */
  readonly program?: XdpProgram;
  /** Times per packet of many chunks of packets, in ns. */
  readonly run: () => number[];
}

interface Measured {
  readonly what: string;
  readonly row: Row & { readonly ns_p50: number };
  /** The larger of the two ratios to the floor. */
  readonly toFloor: number;
}

/** Packets of established flows, in a table that holds no others. */
function knownCase(wrapper: Wrapper, what: string, flows: number, program: XdpProgram): Case {
  openFlows(wrapper, program, flows);
  return {
    what,
    flows,
    program,
    run: () => {
      wrapper.measure(program);
      wrapper.setFlows(flows);
      return wrapper.times(frames.data);
    },
  };
}

/** SYNs of flows that are not in the table; a RST of each takes it out again, which is not measured. */
function synCase(wrapper: Wrapper, flows: number, program: XdpProgram): Case {
  const turns = { frame: frames.rst, packets: flows };
  return {
    what: 'SYN with insert',
    flows,
    program,
    run: () => {
      wrapper.measure(program);
      wrapper.setFlows(flows);
      return wrapper.times(frames.syn, turns);
    },
  };
}

/** Packets of one kind, whether the table holds their flows or not. */
function frameCase(wrapper: Wrapper, what: string, frame: Uint8Array, program: XdpProgram | string): Case {
  return {
    what,
    flows: fewFlows,
    ...(typeof program === 'string' ? {} : { program }),
    run: () => {
      wrapper.measure(program);
      wrapper.setFlows(fewFlows);
      return wrapper.times(frame);
    },
  };
}

/** What a packet takes while others leave the machine alone. */
const low = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 20)]!;

/** Runs all cases in turn, round by round, so that what else the machine does falls on all of them. */
function measureAll(wrapper: Wrapper, cases: readonly Case[]): Measured[] {
  const times = cases.map((): number[] => []);
  const ratios = cases.map((): number[] => []);
  const floorTimes: number[] = [];
  const samples = cases.map(() => 0);
  const floor = frameCase(wrapper, '', frames.data, 'floor_swap');
  for (let round = 0; round < rounds; round++) {
    for (const [i, { run, program }] of cases.entries()) {
      const floorNs = floor.run();
      const before = program ? samplesOf(program) : 0;
      const caseNs = run();
      samples[i]! += program ? samplesOf(program) - before : 0;
      floorTimes.push(...floorNs);
      times[i]!.push(...caseNs);
      ratios[i]!.push(median(caseNs) / median(floorNs));
    }
  }
  return cases.map((one, i) =>
    summary(one, times[i]!, ratios[i]!, low(floorTimes), samples[i]! / (rounds * packetsPerRun)),
  );
}

function summary(
  { what, flows, katranNs }: Case,
  times: readonly number[],
  ratios: readonly number[],
  floorNs: number,
  samplesPerPacket: number,
): Measured {
  const lowNs = low(times);
  const row = {
    program: what,
    flows,
    samples_per_packet: rounded(samplesPerPacket, 2),
    ns_p5: rounded(lowNs),
    ns_p50: rounded(median(times)),
    above_floor_ns: rounded(lowNs - floorNs),
    to_floor_p5: rounded(lowNs / floorNs),
    to_floor_p50: rounded(median(ratios)),
    katran_above_ns: katranNs ? katranNs - katran.floorNs : '',
    katran_to_floor: katranNs ? rounded(katranNs / katran.floorNs) : '',
  };
  return { what: `${what}, ${flows} flows`, row, toFloor: Math.max(row.to_floor_p5, row.to_floor_p50) };
}

/** The part that is forwarding a packet of a known flow, without measuring. */
const forwarding = '+ clock';
/** What `auto` may take on top of forwarding when all is in the caches. */
const autoNsMax = 40;

/** Timeouts that no gap between packets of this bench is longer than, and such that every gap is longer than all. */
const timeoutsNever = [60e9, 61e9].map(ns);
const timeoutsAlways = [10, 20, 30, 40, 50, 60, 70].map(ns);

/** The program in parts: most do what the one above does and something more. */
function partCases(wrapper: Wrapper, load: typeof loadProgram): Case[] {
  const program = load();
  const ensemble = (timeoutsNs: readonly Ns[], build?: 'inband_test') =>
    load({ timeoutsNs }, build, undefined, 'ensemble');
  return [
    frameCase(wrapper, 'wrapper, TX', frames.data, 'floor_tx'),
    frameCase(wrapper, 'floor: wrapper, MACs, TX', frames.data, 'floor_swap'),
    frameCase(wrapper, 'floor and one clock read', frames.data, 'floor_clock'),
    frameCase(wrapper, 'not IP: begin, count, pass', frames.notIp, program),
    frameCase(wrapper, '+ parse, vip: none', frames.toNoVip, program),
    frameCase(wrapper, '+ clock, flow: none, slot, MACs, TX', frames.rst, program),
    knownCase(
      wrapper,
      'known flow, no gap, clock stands still',
      fewFlows,
      ensemble(timeoutsNever, 'inband_test'),
    ),
    knownCase(wrapper, forwarding, fewFlows, ensemble(timeoutsNever)),
    knownCase(wrapper, '+ every gap crosses all 7 timeouts: a sample', fewFlows, ensemble(timeoutsAlways)),
    frameCase(wrapper, 'SYN of a known flow, which begins anew', frames.syn, program),
  ];
}

function targetOf({ what, toFloor }: Measured, most: number, aim: number): Target {
  return {
    what: `${what}: to the floor`,
    asked: `< ${most} (aim ${aim})`,
    measured: `${toFloor}`,
    met: toFloor < most,
  };
}

/** Measures the XDP program by bpf_prog_test_run. Takes about a minute and 2 GiB; needs the rights to load it. */
export function run(): BenchResult {
  linkBuilt();
  const wrapper = new Wrapper();
  const loaded: XdpProgram[] = [];
  const load: typeof loadProgram = (...args) => {
    const program = loadProgram(...args);
    loaded.push(program);
    return program;
  };
  const closeAll = () => {
    for (const program of loaded.splice(0)) program.close();
  };
  const measure = (cases: readonly Case[]) => {
    const measured = measureAll(wrapper, cases);
    closeAll();
    return measured;
  };
  try {
    const known = measure(
      sizes.map((flows, i) => ({
        ...knownCase(wrapper, 'known flow, auto', flows, load()),
        katranNs: katran.known[i]!,
      })),
    );
    const ensemble = measure(
      sizes.map((flows, i) => ({
        ...knownCase(wrapper, 'known flow, ensemble', flows, load({}, undefined, undefined, 'ensemble')),
        katranNs: katran.known[i]!,
      })),
    );
    const syn = measure(
      sizes.map((flows, i) => ({ ...synCase(wrapper, flows, load()), katranNs: katran.syn[i]! })),
    );
    const parts = measure(partCases(wrapper, load));
    const rows = [...parts, ...known, ...ensemble, ...syn].map(({ row }) => row);
    const bare = parts.find(({ row }) => row.program === forwarding)!;
    const autoNs = rounded(known[0]!.row.ns_p50 - bare.row.ns_p50);
    return {
      name,
      rows,
      targets: [
        targetOf(known[0]!, 7.9, 6),
        targetOf(known.at(-1)!, 35, 25),
        targetOf(syn[0]!, 20, 12),
        {
          what: `auto on top of forwarding, ${fewFlows} flows`,
          asked: `<= ${autoNsMax} ns`,
          measured: `${autoNs} ns`,
          met: autoNs <= autoNsMax,
        },
      ],
      notes: [
        `bpf_prog_test_run through a wrapper that restores the frame and picks the next flow, included in all figures; quantiles over chunks of 1,024 packets, ${rounds} rounds of all cases in turn with ${packetsPerRun} packets each.`,
        'The floor is the wrapper, both MACs written and TX. p5: quantiles of all chunks; to_floor_p50: ratio of medians to a run of the floor just before, median over rounds. Targets take the larger ratio.',
        'Packets are a closed loop: each is a request, and acknowledges the response to the one before, with timestamps.',
        `The table holds ${flowsMost} flows. For ensemble, a packet crosses the timeouts that the time since its flow's last one is longer than: one or two with 1,024 flows, all 7 with 131,072 and more.`,
        'Katran, which does not measure latency, ran on the same harness on a machine where the floor took 8 ns: where it takes longer, ratios flatter, and only what is above the floor compares.',
      ],
    };
  } finally {
    closeAll();
    wrapper.close();
  }
}
