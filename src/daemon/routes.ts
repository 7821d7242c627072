import type { Logger } from 'pino';
import { z } from 'zod';
import type { DashboardRecorder } from '../admin/dashboard/recorder.ts';
import type { Routes } from '../admin/http.ts';
import type { Metrics } from '../admin/metrics.ts';
import { metricsType } from '../admin/metrics-text.ts';
import { checked } from '../admin/refusal.ts';
import { toDocument } from '../config/write.ts';
import type { SampleRecord } from '../datapath/datapath.ts';
import { change } from './change.ts';
import type { Control } from './control.ts';
import { flowsOf } from './flows.ts';
import { backendsOf, type ProcessFacts, statusOf, whyOf } from './status.ts';
import { traceOf } from './trace.ts';

/** Whose answers the local socket gives. */
export interface Answering {
  readonly control: Control;
  readonly facts: ProcessFacts;
  readonly metrics: Metrics;
  readonly recorder: DashboardRecorder;
  readonly log: Logger;
  reload(): Promise<unknown>;
}

const nothing = z.strictObject({});

/** What the local socket answers. */
export function localRoutes({ control, facts, metrics, recorder, log, reload }: Answering): Routes {
  return {
    '/status': { json: () => statusOf(control, facts) },
    '/config': { json: () => ({ schema: 'inband.config/1', config: toDocument(control.settings) }) },
    '/history': { json: () => control.history },
    '/why': { json: () => whyOf(control) },
    '/backends': { json: () => backendsOf(control) },
    '/flows': { json: (asker) => flowsOf(control, asker) },
    '/trace': { json: (asker) => traceOf(control, asker) },
    '/metrics': { type: metricsType, text: () => metrics.scrape() },
    '/samples': { stream: (write) => samples(control, write) },
    '/recent': { type: 'application/x-ndjson', text: () => recorder.recent() },
    '/frames': { stream: (write) => recorder.follow(write) },
    '/backend': { post: (body) => change(control, body, log) },
    '/reload': {
      post: async (body) => {
        checked(nothing, body, 'the body');
        return reload();
      },
    },
  };
}

function samples({ datapath, names }: Control, write: (line: string) => void): () => void {
  return datapath.listen((records: readonly SampleRecord[]) => {
    for (const sample of records) {
      write(
        `${JSON.stringify({
          time_ns: sample.timeNs,
          kind: sample.kind,
          latency_ns: sample.latencyNs,
          client_addr: sample.clientAddress,
          client_port: sample.clientPort,
          vip: names.vip(sample.vip),
          backend: names.backend(sample.backend),
        })}\n`,
      );
    }
  });
}
