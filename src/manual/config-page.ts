import { type Schema, schemaText } from '../config/reference.ts';
import { durationPattern } from '../config/scalars.ts';
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
  subheading,
  tagged,
  title,
} from './roff.ts';

/** A mapping of the file and where it may stand: `vips[]`. */
interface Mapping {
  readonly places: string[];
  readonly schema: Schema;
}

/** The page inband.yaml(5): every key of the configuration file. */
export function configPage(): string {
  const [root, ...nested] = mappings(JSON.parse(schemaText()) as Schema);
  return page(
    title('inband.yaml', 5),
    heading('Name'),
    `inband.yaml \\- ${prose('configuration of the load balancer inband')}`,
    heading('Synopsis'),
    `${bold('inband run --config')} ${italic('inband.yaml')}`,
    heading('Description'),
    prose(description),
    paragraph('Two keys are enough:'),
    literal(minimal),
    paragraph(applying),
    heading('Keys'),
    ...keyParts(root!.schema),
    ...nested.flatMap(({ places, schema }) => [subheading(places.join(', ')), ...keyParts(schema)]),
    seeAlso(['inband-check(1)', 'inband-diff(1)', 'inband-run(1)', 'inband(8)']),
  );
}

const description = `A file in YAML 1.2. Its keys are the flags of \`inband run\` by the same names; a flag on the command line
overrides the file. Durations have a unit: \`64us\`, \`1.5ms\`, \`300s\`. Texts that begin with \`[\`, as IPv6 vips do, need quotes.`;

const applying = `\`inband check\` reports every mistake in a file with line and column, and \`inband diff\` what the file would change in
the running daemon. \`inband config-schema\` prints a JSON Schema, with which editors complete and check while you type.`;

const minimal = `interface: eth0
vips:
  - address: 10.0.0.100:80/tcp
    pool:
      backends: [10.0.0.11, 10.0.0.12]
`;

/** Every mapping, the whole file first; one that may stand in several places is there once. */
function mappings(root: Schema): readonly Mapping[] {
  const found = new Map<Schema, Mapping>();
  const visit = (schema: Schema, place: string): void => {
    const target = schema.$ref ? root.definitions![schema.$ref.split('/').at(-1)!]! : schema;
    const known = found.get(target);
    if (known) {
      if (!known.places.includes(place)) known.places.push(place);
      return;
    }
    const name = target.properties?.name?.const;
    if (target.properties) {
      found.set(target, {
        places: [name === undefined ? place : `${place} (name: ${name})`],
        schema: target,
      });
    }
    for (const [key, below] of Object.entries(target.properties ?? {})) {
      visit(below, place === '' ? key : `${place}.${key}`);
    }
    for (const option of [target.anyOf, target.oneOf, target.allOf].flat()) if (option) visit(option, place);
    if (target.items) visit(target.items, `${place}[]`);
    if (target.additionalProperties) visit(target.additionalProperties, `${place}.NAME`);
  };
  visit(root, '');
  return [...found.values()];
}

function keyParts({ properties, required }: Schema): readonly string[] {
  return Object.entries(properties!)
    .filter(([, key]) => key.const === undefined)
    .map(([name, key]) => {
      const value = allowed(key);
      const text = [
        key.description ?? '',
        required?.includes(name) ? 'Required.' : '',
        key.default === undefined || typeof key.default === 'object'
          ? listDefault(key.default)
          : `Default: \`${key.default}\`.`,
      ];
      return tagged(`${bold(name)}: ${value}`, text.filter(Boolean).join(' '));
    });
}

const listDefault = (value: unknown): string =>
  Array.isArray(value) && value.length > 0 ? `Default: \`[${value.join(', ')}]\`.` : '';

/** Which values a key takes, in roff. */
function allowed(schema: Schema): string {
  const { type, items, minimum, exclusiveMinimum, maximum } = schema;
  if (schema.enum) return schema.enum.map(bold).join(' | ');
  if (type === 'number' || type === 'integer') {
    const from = minimum ?? exclusiveMinimum;
    const range =
      from === undefined || maximum === undefined
        ? ''
        : `, ${exclusiveMinimum === undefined ? `${from} to` : `above ${from}, up to`} ${maximum}`;
    return plain(`${type === 'integer' ? 'whole number' : 'number'}${range}`);
  }
  if (type === 'array') return items?.pattern === durationPattern ? 'list of durations' : 'list';
  if (type === 'boolean') return `${bold('true')} | ${bold('false')}`;
  if (schema.pattern === durationPattern) return 'duration';
  if (type === 'object') return 'mapping';
  return type === 'string' ? 'text' : 'text or mapping';
}
