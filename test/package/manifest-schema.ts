import { z } from 'zod';

/** What of the API of Kubernetes the manifest uses, strictly: a key that is misspelt or in the wrong place is refused. */

const name = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
const labels = z.record(
  z.string().regex(/^([a-z0-9.-]+\/)?[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?$/),
  z.string().max(63),
);
const quantity = z.string().regex(/^\d+(\.\d+)?(m|Ki|Mi|Gi)?$/);
const resources = z.strictObject({ cpu: quantity.optional(), memory: quantity.optional() });
const seconds = z.int().min(1);

const probe = z.strictObject({
  exec: z.strictObject({ command: z.array(z.string()).min(1) }),
  periodSeconds: seconds.optional(),
  timeoutSeconds: seconds.optional(),
  failureThreshold: seconds.optional(),
});

const container = z.strictObject({
  name,
  image: z.string().regex(/^[a-z0-9./-]+:[\w.-]+$/),
  args: z.array(z.string()),
  securityContext: z.strictObject({
    runAsUser: z.int(),
    runAsGroup: z.int(),
    privileged: z.boolean(),
    allowPrivilegeEscalation: z.boolean(),
    readOnlyRootFilesystem: z.boolean(),
    // Without the CAP_ that the kernel's names begin with.
    capabilities: z.strictObject({
      drop: z.array(z.literal('ALL')),
      add: z.array(z.string().regex(/^(?!CAP_)[A-Z_]+$/)),
    }),
    seccompProfile: z.strictObject({ type: z.enum(['RuntimeDefault', 'Unconfined', 'Localhost']) }),
  }),
  resources: z.strictObject({ requests: resources, limits: resources }),
  startupProbe: probe,
  readinessProbe: probe,
  livenessProbe: probe,
  volumeMounts: z.array(
    z.strictObject({ name, mountPath: z.string().startsWith('/'), readOnly: z.boolean().optional() }),
  ),
});

const volume = z.union([
  z.strictObject({ name, configMap: z.strictObject({ name }) }),
  z.strictObject({
    name,
    hostPath: z.strictObject({
      path: z.string().startsWith('/'),
      type: z.enum(['Directory', 'DirectoryOrCreate', 'File', 'FileOrCreate', 'Socket']),
    }),
  }),
  z.strictObject({ name, emptyDir: z.strictObject({ medium: z.literal('Memory'), sizeLimit: quantity }) }),
]);

const metadata = z.strictObject({ name, namespace: name.optional(), labels: labels.optional() });

export const namespaceSchema = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Namespace'),
  metadata,
});

export const configMapSchema = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('ConfigMap'),
  metadata,
  data: z.record(z.string().regex(/^[\w.-]+$/), z.string()),
});

export const daemonSetSchema = z.strictObject({
  apiVersion: z.literal('apps/v1'),
  kind: z.literal('DaemonSet'),
  metadata,
  spec: z.strictObject({
    selector: z.strictObject({ matchLabels: labels }),
    updateStrategy: z.strictObject({
      type: z.literal('RollingUpdate'),
      rollingUpdate: z.strictObject({ maxUnavailable: z.int().min(1) }),
    }),
    template: z.strictObject({
      metadata: z.strictObject({ labels }),
      spec: z.strictObject({
        nodeSelector: labels,
        tolerations: z.array(z.strictObject({ operator: z.enum(['Exists', 'Equal']) })),
        hostNetwork: z.boolean(),
        dnsPolicy: z.enum(['ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None']),
        priorityClassName: z.enum(['system-node-critical', 'system-cluster-critical']),
        automountServiceAccountToken: z.boolean(),
        terminationGracePeriodSeconds: z.int().min(0),
        containers: z.array(container).length(1),
        volumes: z.array(volume),
      }),
    }),
  }),
});
