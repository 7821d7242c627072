import { environmentPart, exitStatusPart, filesPart } from './parts.ts';
import {
  bold,
  heading,
  italic,
  literal,
  page,
  paragraph,
  plain,
  prose,
  seeAlso,
  tagged,
  title,
} from './roff.ts';
import type { CommandSyntax } from './syntax.ts';

/** The page inband(8): the daemon, for those who keep it running. */
export function daemonPage(root: CommandSyntax): string {
  const operating = root.commands.filter(({ options }) => options.some(({ long }) => long === '--socket'));
  return page(
    title('inband', 8),
    heading('Name'),
    `inband \\- ${prose('the load balancer as a service')}`,
    heading('Synopsis'),
    `${bold('inband run --config')} ${italic('/etc/inband/inband.yaml')} [${italic('option')}]...`,
    '.br',
    bold('systemctl enable --now inband'),
    heading('Description'),
    prose(description),
    paragraph(permissions),
    heading('Signals'),
    ...signals.map(([name, text]) => tagged(bold(name), text)),
    heading('Operating'),
    prose('These ask the daemon, over its local socket:'),
    ...operating.map(({ path, description: text }) => tagged(`\\fB${plain(path.join('-'))}\\fR(1)`, text)),
    heading('Service'),
    prose(service),
    literal(install),
    heading('Upgrade and downgrade'),
    prose(upgrade),
    exitStatusPart(),
    filesPart(),
    environmentPart(),
    seeAlso(['inband(1)', 'inband.yaml(5)', 'systemd.service(5)']),
  );
}

const description = `\`inband run\` attaches a program to the hook XDP of an interface, or captures packets where the kernel does not
allow that, and runs in the foreground. It forwards packets for the configured vips, moves slots of their tables as latencies
tell, and answers on a local socket.`;

const permissions = `It needs root, or CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON and CAP_NET_RAW, and Linux 5.18 with BTF. \`inband doctor\`
tells what a machine lacks. With \`--user\` it becomes another user after set-up.`;

const signals: readonly (readonly [name: string, text: string])[] = [
  [
    'SIGHUP',
    'Reads the file given with `--config` again: all of it takes effect or, on any mistake, nothing. As `inband reload`, which also says what changed.',
  ],
  [
    'SIGTERM, SIGINT',
    'End the daemon. A datapath that is pinned goes on to forward by its last table; with `--detach` forwarding ends, too.',
  ],
  [
    'SIGKILL',
    'The same without a word: a pinned datapath goes on, and the next `inband run` takes it over with all its flows.',
  ],
];

const service = `The package has a unit for systemd 253 and later in \`config/systemd\`. The service runs as a user of its own with
these four capabilities; systemd is told when it is ready and when a reload is over, and has it started again when its control
loop stands still. Forwarding goes on meanwhile.`;

const install = `cd "$(npm root -g)/inband/config/systemd"
install -D -m 644 inband.service /etc/systemd/system/inband.service
install -D -m 644 sysusers.conf /etc/sysusers.d/inband.conf
install -D -m 644 tmpfiles.conf /etc/tmpfiles.d/inband.conf
systemd-sysusers && systemd-tmpfiles --create
systemctl daemon-reload
systemctl enable --now inband`;

const upgrade = `The next \`inband run\` takes over what is pinned, with all flows, and changes over to its own program from one packet to
the next, be it newer or older. When that is not possible it exits with 8 and touches nothing; \`inband detach\` ends
forwarding then, and flows with it.`;
