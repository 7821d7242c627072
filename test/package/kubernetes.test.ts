import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { program } from '../../src/cli/program.ts';
import { checkConfig } from '../../src/config/load.ts';
import { settingsDefault } from '../../src/config/settings.ts';
import { pinRoot } from '../../src/datapath/xdp/pins.ts';
import { allCommands, syntaxOf } from '../../src/manual/syntax.ts';
import { configMapSchema, daemonSetSchema, namespaceSchema } from './manifest-schema.ts';

const root = new URL('../../', import.meta.url);
const text = readFileSync(new URL('config/kubernetes/daemonset.yaml', root), 'utf8');
const [namespaceFound, configMapFound, daemonSetFound, ...more] = parseAllDocuments(text).map((document) => {
  if (document.errors.length > 0) throw document.errors[0];
  return document.toJS();
});
const namespace = namespaceSchema.parse(namespaceFound);
const configMap = configMapSchema.parse(configMapFound);
const daemonSet = daemonSetSchema.parse(daemonSetFound);
const pod = daemonSet.spec.template.spec;
const container = pod.containers[0]!;
const { version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as { version: string };

test('a misspelt key would be found', () => {
  expect(more).toEqual([]);
  const wrong = structuredClone(daemonSetFound);
  wrong.spec.template.spec.hostNetwrk = true;
  expect(daemonSetSchema.safeParse(wrong).success).toBe(false);
});

test('the DaemonSet finds its pods, its namespace, its ConfigMap and its volumes', () => {
  expect(daemonSet.spec.template.metadata.labels).toMatchObject(daemonSet.spec.selector.matchLabels);
  for (const { metadata } of [configMap, daemonSet]) expect(metadata.namespace).toBe(namespace.metadata.name);
  const config = pod.volumes.find((volume) => 'configMap' in volume)!;
  expect(config).toMatchObject({ configMap: { name: configMap.metadata.name } });
  const mounted = container.volumeMounts.map(({ name }) => name).sort();
  expect(mounted).toEqual(pod.volumes.map(({ name }) => name).sort());
});

test('its configuration is valid and lies where run is told', () => {
  const folder = mkdtempSync(join(tmpdir(), 'inband-manifest-'));
  const [name, content] = Object.entries(configMap.data)[0]!;
  writeFileSync(join(folder, name), content);
  const { value, problems } = checkConfig(join(folder, name));
  rmSync(folder, { recursive: true });
  expect(problems).toEqual([]);
  expect(value).toBeDefined();
  const mount = container.volumeMounts.find((one) => one.name === 'config')!;
  expect(container.args).toEqual(['run', '--config', `${mount.mountPath}/${name}`]);
});

test('the daemon keeps its socket, state and pins in volumes, as the rest of the file system is not written to', () => {
  expect(container.securityContext.readOnlyRootFilesystem).toBe(true);
  const paths = container.volumeMounts
    .filter(({ readOnly }) => readOnly !== true)
    .map(({ mountPath }) => mountPath);
  for (const needed of [settingsDefault.socket, settingsDefault.state, pinRoot]) {
    expect(
      paths.some((path) => `${needed}/`.startsWith(`${path}/`) || needed.startsWith(`${path}/`)),
      needed,
    ).toBe(true);
  }
  const bpffs = pod.volumes.find(({ name }) => name === 'bpffs');
  expect(bpffs).toMatchObject({ hostPath: { path: '/sys/fs/bpf', type: 'Directory' } });
});

test('it has the network of the node and the capabilities of the unit for systemd', () => {
  expect(pod).toMatchObject({ hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' });
  const unit = readFileSync(new URL('config/systemd/inband.service', root), 'utf8');
  const [, listed] = /^CapabilityBoundingSet=(.*)$/m.exec(unit)!;
  expect(container.securityContext.capabilities.add.map((name) => `CAP_${name}`)).toEqual(listed!.split(' '));
  expect(container.securityContext.capabilities.drop).toEqual(['ALL']);
  expect(container.securityContext.privileged).toBe(false);
});

test('probes and comments name commands that there are', async () => {
  const commands = allCommands(syntaxOf(await program()));
  const probes = [container.startupProbe, container.readinessProbe, container.livenessProbe];
  const lines = [
    ...probes.map(({ exec }) => exec.command.join(' ')),
    ...[...text.matchAll(/(?:`|-- )(inband [a-z][^`\n]*)/g)].map(([, line]) => line!),
  ];
  expect(lines.length).toBeGreaterThanOrEqual(7);
  for (const line of lines) {
    const words = line.split(' ');
    const command = commands.find(({ path }) => path.join(' ') === words.slice(0, 2).join(' '));
    expect(command, line).toBeDefined();
    const known = command!.options.map(({ long }) => long);
    for (const word of words.filter((one) => one.startsWith('--'))) expect(known, line).toContain(word);
  }
});

test('the image has the version of the package', () => {
  expect(container.image).toBe(`inband:${version}`);
  expect(readFileSync(new URL('Dockerfile', root), 'utf8')).toContain(`docker build -t inband:${version} .`);
});
