const queues =
  'Laws that go by requests in flight send each new flow to the shorter queue, which beats an even split even between equal servers. Ours keeps within 2 % of the configured shares, as asked, and so does without.';
const tails =
  'The servers differ by their p99 more than by their median. Ours compares medians and leaves alone what differs by less than its hysteresis; laws that follow single samples or percentiles of the tail follow these servers, at the price of swinging where servers are equal.';
const noise = 'Within what another seed changes.';

/** Why another law has a lower p99 in a scenario. */
export const notes: Readonly<Record<string, string>> = {
  'equal-50': queues,
  'equal-70': queues,
  'equal-90': queues,
  'half-speed': queues,
  'noisy-neighbour': queues,
  'flash-crowd': queues,
  'balancers-16': queues,
  'balancers-64':
    'Each load balancer has some 47 responses a second of each server: until it is sure that one is slow, the queue of that one has grown. Laws that go by requests in flight need no samples for that.',
  'figure-3':
    'Ours leaves the slow server 2 % of the flows to see it recover, and these are the p99. shift leaves it none, and never comes back.',
  'load-dependent':
    'shift goes from rail to rail with every sample; with 32 connections that live for 50 requests this levels the two queues.',
  'l3-scenario-1': tails,
  'l3-scenario-2': tails,
  'l3-scenario-3': tails,
  'l3-scenario-4': tails,
  'l3-scenario-5': tails,
  'l3-failure-1': tails,
  'l3-failure-2': tails,
  'far-clients': noise,
  'slow-dependency': noise,
  'gc-pauses': noise,
  'backend-added': queues,
  'backend-crashed': noise,
  'backend-drained': noise,
  'backend-restarted': noise,
};
