import { z } from 'zod';
import { encapsulations } from '../datapath/capture/hops.ts';
import { datapaths } from '../datapath/open.ts';
import { flowsMax } from '../datapath/xdp/setup.ts';
import { inbandLimit } from '../generated/layout.ts';
import { cliffs } from '../latency/ensemble.ts';
import { tableMethods } from '../maglev/builder.ts';
import { backendsMax, slotsMax, slotsPerBackendMin } from '../maglev/size.ts';
import { healthSchema, poolHealthSchema } from './health-schema.ts';
import { policySchema } from './policy-schema.ts';
import { address, duration, endpoint, listen, writeDuration } from './scalars.ts';
import {
  settingsDefault as defaults,
  fates,
  logLevels,
  runEstimators,
  tickNsMax,
  tickNsMin,
  weightMax,
} from './settings.ts';

/** Letters that Linux allows in the name of an interface, 15 at most. */
const interfacePattern = /^[^\s/:]{1,15}$/;
const namePattern = /^[A-Za-z0-9][\w.-]{0,62}$/;
/** Bytes of a Unix socket's path (sun_path without its final zero). */
const socketPathMax = 107;

const backend = z
  .union([
    z.strictObject({
      address: address().meta({
        description: 'Address of the server, IPv4 on the xdp datapath.',
        examples: ['10.0.0.11'],
      }),
      weight: z
        .number()
        .positive()
        .max(weightMax)
        .default(1)
        .meta({ description: "Ratio of the backend's share to that of others of its pool." }),
      encap: z.enum(encapsulations).default('l2').meta({
        description:
          'How packets go there: `l2` within the segment, `ipip` to where a router leads (capture datapath).',
      }),
    }),
    address().meta({ description: 'Address alone: weight 1, `l2`.' }),
  ])
  .transform((value) => {
    if (typeof value === 'string') return { name: value, weight: 1 };
    const { address: name, weight, encap } = value;
    return { name, weight, ...(encap !== 'l2' && { encapsulation: encap }) };
  })
  .meta({ id: 'backend' });

const lostFlowsAbout =
  'What packets of flows meet whose backend was removed, is down or in maintenance: they go on to it (`keep`), begin the flow anew elsewhere (`resteer`), or a TCP one is answered with a reset (`reset`).';

const backends = z.array(backend).min(1).max(backendsMax).meta({ description: 'The servers, each once.' });
const pool = z
  .strictObject({
    backends,
    health: poolHealthSchema
      .optional()
      .meta({ description: 'How it is found out whether they live, key by key instead of the common one.' }),
    lost_flows: z
      .enum(fates)
      .optional()
      .meta({ description: `${lostFlowsAbout} Instead of the common setting.` }),
  })
  .meta({ id: 'pool' });

const vip = z.strictObject({
  address: endpoint().meta({
    description: 'What clients connect to: address, port and `tcp` or `udp`.',
    examples: ['10.0.0.1:80/tcp', '[2001:db8::1]:443/udp'],
  }),
  pool: z
    .union([pool, z.string().meta({ description: 'Name of a pool under `pools`.' })])
    .meta({ description: 'The servers behind it: the name of a pool, or a pool of its own.' }),
  policy: policySchema.optional().meta({ description: 'Policy of this vip, instead of the common one.' }),
});

/** The configuration file. Docs and JSON Schema are made from this; `flag` names the flag of `run` for that key. */
export const configSchema = z.strictObject({
  interface: z
    .string()
    .regex(interfacePattern, { error: 'not the name of an interface; for example eth0' })
    .meta({
      description: 'Interface that client packets come in by.',
      flag: '--interface',
      examples: ['eth0'],
    }),
  datapath: z.enum(datapaths).default(defaults.datapath).meta({
    description: 'What forwards packets; `auto` is the fastest that this machine allows.',
    flag: '--datapath',
  }),
  answer_arp: z.boolean().default(defaults.answerArp).meta({
    description: 'Whether to answer ARP for the vips (capture datapath).',
    flag: '--answer-arp',
  }),
  vips: z.array(vip).min(1).max(inbandLimit.vipsMax).meta({
    description: 'What clients connect to, each with its servers.',
    flag: '--vip, with --backend for the servers behind all of them',
  }),
  pools: z
    .record(z.string().regex(namePattern, { error: 'not a name; give letters, digits, - _ and .' }), pool)
    .default({})
    .meta({ description: 'Servers under a name, for one or several vips.' }),
  policy: policySchema.prefault(defaults.policy.name).meta({
    description: 'The law that moves slots, for vips that do not say otherwise.',
    flag: '--policy, --alpha',
  }),
  health: healthSchema.optional().meta({
    description: 'How it is found out whether backends live, for pools that do not say otherwise.',
    flag: '--check for the kind of check',
  }),
  estimator: z.enum(runEstimators).optional().meta({
    description:
      'What measures: `auto`, or `ensemble` with handshakes; the best that the datapath has unless it says.',
    flag: '--estimator',
  }),
  ensemble: z
    .strictObject({
      timeouts: z
        .array(duration())
        .prefault(defaults.timeoutsNs.map(writeDuration))
        .meta({
          description: `Timeouts, increasing: 2 to ${inbandLimit.timeoutsMax} of them.`,
          flag: '--timeouts',
        }),
      epoch: duration().prefault(writeDuration(defaults.epochNs)).meta({
        description: 'Time after which the timeout is chosen anew.',
        flag: '--epoch',
      }),
      cliff: z.enum(cliffs).default(defaults.cliff).meta({
        description: 'How small sample counts are compared.',
        flag: '--cliff',
      }),
    })
    .prefault({})
    .meta({ description: 'Settings of the estimator `ensemble`.' }),
  lost_flows: z
    .enum(fates)
    .default(defaults.lostFlows)
    .meta({
      description: `${lostFlowsAbout} For pools that do not say otherwise.`,
      flag: '--lost-flows',
    }),
  tick: duration(tickNsMin, tickNsMax)
    .prefault(writeDuration(defaults.tickNs))
    .meta({
      description: `Period of the control loop, ${writeDuration(tickNsMin)} to ${writeDuration(tickNsMax)}.`,
      flag: '--tick',
    }),
  slots: z.int().min(slotsPerBackendMin).max(slotsMax).default(defaults.slots).meta({
    description: "Slots of each vip's Maglev table: a prime, at least 10 for each backend and better 100.",
    flag: '--slots',
  }),
  table: z.enum(tableMethods).default(defaults.table).meta({
    description:
      'How tables follow shares: `minimal` moves the fewest slots; with `stateless` load balancers that see the same backends and shares hold the same table, as they must behind ECMP.',
    flag: '--table',
  }),
  flows: z.int().min(1).max(flowsMax).default(defaults.flows).meta({
    description: 'Flows held without refusing one.',
    flag: '--flows',
  }),
  pin: z
    .string()
    .startsWith('/', { error: 'not an absolute path; for example /sys/fs/bpf/inband/lb' })
    .optional()
    .meta({
      description:
        'Directory in a BPF file system by which forwarding goes on while the daemon is not there, and the next one takes over (xdp datapath); `/sys/fs/bpf/inband/INTERFACE-NAMESPACE` if left out.',
      flag: '--pin',
      examples: ['/sys/fs/bpf/inband/lb'],
    }),
  detach: z.boolean().default(defaults.detach).meta({
    description: 'Whether forwarding ends with the daemon, and nothing is pinned.',
    flag: '--detach',
  }),
  state: z
    .string()
    .startsWith('/', { error: 'not an absolute path; for example /var/lib/inband' })
    .default(defaults.state)
    .meta({
      description:
        'Directory where it is kept which backends are drained, in maintenance or of another weight.',
      flag: '--state',
    }),
  admin: z
    .strictObject({
      socket: z.string().min(1).max(socketPathMax).default(defaults.socket).meta({
        description: 'Path of the local socket that commands such as `inband status` ask.',
        flag: '--socket',
      }),
      http: listen()
        .optional()
        .meta({
          description: 'Where to serve metrics and the dashboard over TCP, for every user of the machine.',
          flag: '--http',
          examples: ['127.0.0.1:9464'],
        }),
      http_public: z.boolean().default(defaults.httpPublic).meta({
        description: 'Whether `http` may be an address that other machines reach.',
        flag: '--http-public',
      }),
    })
    .prefault({})
    .meta({ description: 'The local interface.' }),
  log: z
    .strictObject({
      level: z.enum(logLevels).default(defaults.logLevel).meta({
        description: 'Least important line that is logged.',
        flag: '--log-level',
      }),
    })
    .prefault({})
    .meta({ description: 'The log on standard error.' }),
  user: z.string().min(1).optional().meta({ description: 'User to become after set-up.', flag: '--user' }),
});

/** A configuration file as it was read, before names in it are resolved. */
export type ConfigFile = z.output<typeof configSchema>;
