import { z } from 'zod';
import { durationPattern } from './scalars.ts';
import { configSchema } from './schema.ts';

/** What of JSON Schema (draft 7) the schema of the configuration uses; `flag` is the flag of `run` for that key. */
export interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly flag?: string;
  readonly default?: unknown;
  readonly const?: string;
  readonly pattern?: string;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema | false;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly $ref?: string;
  readonly definitions?: Readonly<Record<string, Schema>>;
}

/** The schema of the configuration as JSON; `otherwise`, the default of a key that may be inherited, is a default here. */
export const described = (): Schema =>
  z.toJSONSchema(configSchema, {
    io: 'input',
    target: 'draft-7',
    override: ({ jsonSchema }) => {
      const { otherwise } = jsonSchema;
      if (otherwise === undefined) return;
      delete jsonSchema.otherwise;
      jsonSchema.default = otherwise;
    },
  }) as Schema;

/** The JSON Schema of the configuration file (draft 7), as `config/inband.schema.json` has it. */
export function schemaText(): string {
  const text = JSON.stringify(described(), (key, value) => (key === 'flag' ? undefined : value), 2);
  return `${text.replace('{\n', '{\n  "title": "Configuration of inband",\n')}\n`;
}

/** Every key of the configuration file, as `docs/configuration.md` has it. */
export function referenceText(): string {
  const root = described();
  const { pool, backend, policy } = root.definitions!;
  const { vips, health, ensemble, admin, log } = root.properties!;
  const { http, udp, passive } = health!.properties!;
  return [
    introduction,
    section('Keys', '', keyTable(root)),
    section('`vips[]`', vips!.description!, keyTable(vips!.items!)),
    section('`pools.NAME`', 'A pool, by name or in place at a vip.', keyTable(pool!)),
    section('`backends[]`', 'An address alone, or a mapping:', keyTable(backend!.anyOf![0]!)),
    section('`policy`', policyNote, policyTable(policy!)),
    section('`health`', healthNote, keyTable(health!)),
    section('`health.http`', http!.description!, keyTable(http!)),
    section('`health.udp`', udp!.description!, keyTable(udp!)),
    section('`health.passive`', passive!.description!, keyTable(passive!)),
    section('`ensemble`', ensemble!.description!, keyTable(ensemble!)),
    section('`admin`', admin!.description!, keyTable(admin!)),
    section('`log`', log!.description!, keyTable(log!)),
    checks,
    json,
  ].join('\n');
}

const introduction = `<!-- Generated from src/config by scripts/reference.mjs - do not edit -->

# Configuration

\`inband run --config FILE\` takes a YAML file. Its keys are the flags of \`inband run\` under the same names, and a flag on
the command line overrides the file. Two keys are enough:

\`\`\`yaml
interface: eth0
vips:
  - address: 10.0.0.100:80/tcp
    pool:
      backends: [10.0.0.11, 10.0.0.12]
\`\`\`

[config/example.yaml](../config/example.yaml) has every key. [config/inband.schema.json](../config/inband.schema.json), which
\`inband config-schema\` prints, lets editors complete and check while you type: begin the file with
\`# yaml-language-server: $schema=inband.schema.json\`.

| command | what it does |
|---|---|
| \`inband check FILE [--strict] [--json]\` | every mistake at once, as \`file:line:column: path: message\`; exit code 3 if there is any, 4 for warnings with \`--strict\` (\`inband.check/1\`) |
| \`inband diff FILE [--json]\` | what the file would change in the running daemon, in slots and flows; exit code 0 either way (\`inband.diff/1\`) |
| \`inband diff OLD NEW [--json]\` | the same between two files |
| \`inband run --config FILE\` | runs with it |

Durations have a unit: \`64us\`, \`1.5ms\`, \`300s\`. Texts that begin with \`[\`, as IPv6 vips do, need quotes in YAML.
`;

const policyNote = `A name, or a mapping of \`name\` and settings of that policy. With \`--alpha\` the setting \`alpha\` is given to those
that have it.`;

const healthNote = `How it is found out whether backends live; [health.md](health.md) says what follows. A pool has the same keys but
\`source\`, and what it leaves out is as in the common section.`;

const checks = `## What is checked

Beyond each key on its own: pools that vips name are there; no vip and no backend of a pool is there twice; no backend has
the address of a vip, of this machine or of many machines; slots are a prime and enough for the largest pool; timeouts
increase; the datapath can do what backends ask for. Warnings: a pool that no vip uses, a pool of one backend, fewer than 100
slots per backend, a weight that gives less than one slot, an epoch shorter than a timeout, a socket whose path is not
absolute, \`user: root\`.

| limit | value |
|---|---|
| size of the file | 4 MiB |
| aliases; mappings and lists within each other | 100; 64 |
| vips; backends of a pool; backends of all vips | 4,096; 4,096; 65,535 |
`;

const json = `## JSON

Within a version of \`schema\` keys are added, never renamed.

| \`inband.check/1\` | content |
|---|---|
| \`file\`, \`valid\` | its path; whether \`run\` would take it |
| \`vips\`, \`backends\` | how many there are, a backend of several pools counted once; null if it is not valid |
| \`problems[]\` | \`severity\` (\`error\`, \`warning\`), \`line\`, \`column\` from 1, \`path\`, \`message\` |

| \`inband.diff/1\` | content |
|---|---|
| \`vips[]\` | vips that change: \`vip\`, \`change\` (\`added\`, \`removed\`, \`changed\`), \`policy_before\`, \`policy_after\`, \`settings\` of its pool that change |
| \`vips[].slots_before\`, \`slots_after\` | size of the table; null where there is none |
| \`vips[].slots_moved\`, \`slots_moved_min\` | slots of tables by weight that go to another backend, and the fewest that could; null for tables of two sizes |
| \`vips[].backends[]\` | backends that are not as before: \`backend\`, \`change\` (\`kept\`: only its slots change), \`weight_\`, \`encap_\`, \`slots_before\` and \`_after\`; \`flows_held\` by it now and \`flows_begun\` there so far, null between files |
| \`vips_unchanged\` | how many do not change |
| \`settings[]\` | everything else that changes: \`key\`, \`before\`, \`after\`; null where it is not there |

The daemon serves what it runs with at \`/config\` of its socket (\`inband.config/1\`): \`config\` is a configuration file as JSON.
`;

const section = (title: string, note: string, body: string): string =>
  [`## ${title}`, ...(note === '' ? [] : [note]), body, ''].join('\n\n').replace(/\n+$/, '\n');

function keyTable(schema: Schema): string {
  const rows = Object.entries(schema.properties!).map(([name, key]) => {
    const isRequired = schema.required?.includes(name) ?? false;
    return [
      `\`${name}\``,
      key.description!,
      allowed(key),
      isRequired ? 'required' : defaultOf(key),
      flagOf(key),
    ];
  });
  const hasFlags = rows.some((row) => row[4] !== '');
  const head = ['key', 'meaning', 'allowed', 'default', 'flag of `run`'];
  return table(hasFlags ? [head, ...rows] : [head, ...rows].map((row) => row.slice(0, 4)));
}

const flagOf = ({ flag }: Schema): string => flag?.replaceAll(/--[\w-]+/g, '`$&`') ?? '';

/** One row for each setting of each policy. */
function policyTable({ anyOf }: Schema): string {
  const policies = anyOf!.find(({ oneOf }) => oneOf)!.oneOf!;
  const rows = policies.flatMap(({ properties }) => {
    const { name, ...settings } = properties!;
    const entries = Object.entries(settings);
    if (entries.length === 0) return [[`\`${name!.const}\``, '', 'It has none.', '']];
    return entries.map(([setting, key], i) => [
      i === 0 ? `\`${name!.const}\`` : '',
      `\`${setting}\``,
      key.description!,
      allowed(key),
    ]);
  });
  return table([['policy', 'setting', 'meaning', 'allowed'], ...rows]);
}

/** Which values a key takes. */
function allowed(schema: Schema): string {
  const { type, items, minimum, exclusiveMinimum, maximum } = schema;
  const choices = schema.enum?.map((choice) => `\`${choice}\``).join(', ');
  if (choices !== undefined) return choices;
  if (type === 'number' || type === 'integer') {
    const range = minimum === undefined ? `above ${exclusiveMinimum}, up to` : `${minimum} to`;
    return `${type === 'integer' ? 'whole number, ' : ''}${range} ${maximum}`;
  }
  if (type === 'array') return items && isDuration(items) ? 'list of durations' : 'list';
  if (type === 'boolean') return '`true`, `false`';
  if (isDuration(schema)) return 'duration';
  if (type !== undefined) return type === 'string' ? 'text' : 'mapping';
  return 'text or mapping';
}

const isDuration = ({ pattern }: Schema): boolean => pattern === durationPattern;

function defaultOf(schema: Schema): string {
  const value = schema.default;
  if (value === undefined || (typeof value === 'object' && Object.keys(value!).length === 0)) return '';
  return `\`${Array.isArray(value) ? `[${value.join(', ')}]` : String(value)}\``;
}

function table(rows: readonly (readonly string[])[]): string {
  const [head, ...body] = rows.map(
    (row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`,
  );
  return [head, `|${'---|'.repeat(rows[0]!.length)}`, ...body].join('\n');
}
