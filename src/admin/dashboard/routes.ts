import type { Routes } from '../http.ts';
import { dashboardPage } from './page.ts';
import type { DashboardRecorder } from './recorder.ts';

/** The page, and the two sources that it follows. */
export function dashboardRoutes(recorder: DashboardRecorder): Routes {
  const { text, policy } = dashboardPage(recorder.about());
  return {
    '/': { type: 'text/html; charset=utf-8', text: () => text, policy },
    '/recent': { type: 'application/x-ndjson', text: () => recorder.recent() },
    '/events': { type: 'text/event-stream', stream: (write) => recorder.listen(write) },
  };
}
