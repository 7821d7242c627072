import type { Routes } from '../http.ts';
import { dashboardPage } from './page.ts';
import type { DashboardRecorder } from './recorder.ts';

/** The page, and the two sources that it follows. */
export function dashboardRoutes(recorder: DashboardRecorder): Routes {
  // What the page may load depends on its scripts alone, which are the same whatever it is about.
  const { policy } = dashboardPage(recorder.about());
  return {
    '/': { type: 'text/html; charset=utf-8', text: () => dashboardPage(recorder.about()).text, policy },
    '/recent': { type: 'application/x-ndjson', text: () => recorder.recent() },
    '/events': { type: 'text/event-stream', stream: (write) => recorder.listen(write) },
  };
}
