import { adminStates, healthStates } from './answers.ts';
import { type Metric, perBackend, perBackendOf, perSignals } from './metric.ts';

export const ofBackends: readonly Metric[] = [
  perBackend('inband_backend_up', 'gauge', '1 if the backend can be sent packets.', ({ obstacles }, index) =>
    obstacles[index] === undefined ? 1 : 0,
  ),
  perBackendOf(
    'inband_backend_state',
    'gauge',
    'What an operator wants of the backend; 1 for the state that it is in.',
    'state',
    adminStates,
    ({ states }, index, state) => (states[index] === state ? 1 : 0),
  ),
  perBackendOf(
    'inband_backend_health',
    'gauge',
    'What checks say of the backend; 1 for the state that it is in.',
    'state',
    healthStates,
    ({ health }, index, state) => (health[index]!.state === state ? 1 : 0),
  ),
  perBackend(
    'inband_backend_ejected',
    'gauge',
    "1 while the backend is left out for what its clients' packets tell.",
    ({ health }, index) => (health[index]!.ejected ? 1 : 0),
  ),
  perBackendOf(
    'inband_backend_checks_total',
    'counter',
    'Checks of the backend by result.',
    'result',
    ['passed', 'failed'],
    ({ numbers }, index, result, { balancer }) => balancer.healthCounts(numbers[index]!)[result],
  ),
  perBackend(
    'inband_backend_ejections_total',
    'counter',
    "Times that the backend was left out for what its clients' packets told.",
    ({ numbers }, index, { balancer }) => balancer.healthCounts(numbers[index]!).ejections,
  ),
  perBackend(
    'inband_backend_weight',
    'gauge',
    'Weight as a ratio to those of the others, as configured or as an operator changed it; 0 for no new flows.',
    (service, index) => service.weightOf(index),
  ),
  perBackend(
    'inband_backend_share_ratio',
    'gauge',
    "Fraction of the vip's slots that the backend holds, and so of its new flows.",
    ({ pool }, index) => pool.held[index]!,
  ),
  perBackend(
    'inband_backend_packets_total',
    'counter',
    'Packets sent to the backend.',
    (service, index, { traffic }) => traffic(service, index).packets,
  ),
  perBackend(
    'inband_backend_bytes_total',
    'counter',
    'Bytes sent to the backend.',
    (service, index, { traffic }) => traffic(service, index).bytes,
  ),
  perBackend(
    'inband_backend_flows_total',
    'counter',
    'Flows that began at the backend.',
    (service, index, { traffic }) => traffic(service, index).flows,
  ),
  perBackend(
    'inband_backend_flows',
    'gauge',
    'Flows that the backend holds.',
    (service, index, { traffic }) => traffic(service, index).held,
  ),
];

export const ofSignals: readonly Metric[] = [
  perSignals('inband_backend_requests_total', 'counter', 'Requests sent.', ({ requests }) => requests),
  perSignals(
    'inband_backend_responses_total',
    'counter',
    'Requests whose response the client acknowledged.',
    ({ responses }) => responses,
  ),
  perSignals(
    'inband_backend_handshakes_total',
    'counter',
    'Handshakes that clients completed.',
    ({ handshakes }) => handshakes,
  ),
  perSignals(
    'inband_backend_syn_retransmits_total',
    'counter',
    'SYNs sent again: no answer came in time.',
    ({ synRetransmits }) => synRetransmits,
  ),
  perSignals(
    'inband_backend_segments_total',
    'counter',
    'Segments with data from clients.',
    ({ segments }) => segments,
  ),
  perSignals(
    'inband_backend_retransmits_total',
    'counter',
    'Segments with data that clients sent again.',
    ({ retransmits }) => retransmits,
  ),
  perSignals(
    'inband_backend_resets_total',
    'counter',
    'Connections that clients reset.',
    ({ resets }) => resets,
  ),
  perSignals(
    'inband_backend_requests_in_flight',
    'gauge',
    'Requests without evidence of a response now; an upper bound.',
    ({ inFlight }) => inFlight,
  ),
  perSignals(
    'inband_backend_oldest_request_seconds',
    'gauge',
    'Age of the oldest request in flight; 0 without one.',
    ({ oldestNs }) => oldestNs / 1e9,
  ),
];
