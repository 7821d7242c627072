import { describe, expect, test } from 'vitest';
import { checkConfigText } from '../../src/config/load.ts';
import { policyNames } from '../../src/control/registry.ts';
import { and, backend, but, lines } from './good.ts';

const endpointHint = 'is not ADDR:PORT/PROTO; for example 10.0.0.1:80/tcp or [2001:db8::1]:443/udp';
const addressHint = 'is not an address; for example 10.0.0.11 or 2001:db8::11';
const durationHint =
  'is not a duration; give a positive number and a unit: 64us, 4.096ms, 300s (ns, us, ms, s, m, h)';
const timeoutsHint =
  'is not 2 to 7 increasing durations; for example 64us,128us,256us,512us,1024us,2048us,4096us';
const onlyIpv4 = 'is not IPv4, which is all that the xdp datapath forwards; take datapath: capture';
const policies = policyNames.join(', ');

describe('each mistake has one message, with its place and what would be right', () => {
  test.each<[string, string, string]>([
    ['no interface', but('interface: eth0\n', ''), '1:1: interface: missing'],
    ['an interface that is a list', but('eth0', '[eth0]'), '1:12: interface: expected a text, found a list'],
    [
      'no name of an interface',
      but('eth0', 'eth0/1'),
      '1:12: interface: not the name of an interface; for example eth0',
    ],
    ['an interface given twice', and('interface: eth1'), '10:1: interface: given twice'],
    ['an empty list of vips', 'interface: eth0\nvips: []', '2:7: vips: empty; give at least one'],
    [
      'a vip without port',
      but('10.0.0.1:80/tcp', '10.0.0.1'),
      `3:14: vips[0].address: '10.0.0.1' ${endpointHint}`,
    ],
    [
      'a vip of no known protocol',
      but('/tcp', '/sctp'),
      `3:14: vips[0].address: '10.0.0.1:80/sctp' ${endpointHint}`,
    ],
    ['a vip at port 0', but(':80/', ':0/'), `3:14: vips[0].address: '10.0.0.1:0/tcp' ${endpointHint}`],
    [
      'a port out of range',
      but(':80/', ':70000/'),
      `3:14: vips[0].address: '10.0.0.1:70000/tcp' ${endpointHint}`,
    ],
    [
      'an octet out of range',
      but('10.0.0.1:', '10.0.0.300:'),
      `3:14: vips[0].address: '10.0.0.300:80/tcp' ${endpointHint}`,
    ],
    [
      'a vip that is a number',
      but('10.0.0.1:80/tcp', '80'),
      '3:14: vips[0].address: expected a text such as 10.0.0.1:80/tcp, found 80',
    ],
    ['a vip without address', but('address: 10.0.0.1:80/tcp\n    ', ''), '3:5: vips[0].address: missing'],
    ['a vip without pool', but('\n    pool: web', ''), '3:5: vips[0].pool: missing'],
    [
      'an IPv6 vip without quotes',
      but('10.0.0.1:80/tcp', '[2001:db8::1]:443/udp'),
      '3:27: not YAML: put a text that begins with [ in quotes, as "[2001:db8::1]:443/udp"',
    ],
    [
      'an IPv6 vip on xdp',
      but('10.0.0.1:80/tcp', '"[2001:db8::1]:443/udp"'),
      `3:14: vips[0].address: [2001:db8::1]:443/udp ${onlyIpv4}`,
    ],
    [
      'a vip for many machines',
      but('10.0.0.1:80', '224.0.0.1:80'),
      '3:14: vips[0].address: 224.0.0.1 is for many machines; give the address of one machine',
    ],
    [
      'a vip given twice',
      but('pools:', '  - address: 10.0.0.1:80/tcp\n    pool: web\npools:'),
      '5:14: vips[1].address: 10.0.0.1:80/tcp is vips[0] already; leave one out',
    ],
    [
      'a misspelt pool',
      but('pool: web', 'pool: wbe'),
      "4:11: vips[0].pool: no pool is named 'wbe'; did you mean web?",
    ],
    [
      'a strange pool',
      but('pool: web', 'pool: databases'),
      "4:11: vips[0].pool: no pool is named 'databases'; there is web",
    ],
    [
      'a pool where there are none',
      'interface: eth0\nvips: [{ address: 10.0.0.1:80/tcp, pool: web }]',
      "2:42: vips[0].pool: no pool is named 'web'; there are none",
    ],
    [
      'a pool named as what every object has',
      but('  web:', '  __proto__:').replace('pool: web', 'pool: __proto__'),
      '6:3: pools.__proto__: this name cannot be a key',
    ],
    [
      'no pool, but what every object has',
      but('pool: web', 'pool: constructor'),
      "4:11: vips[0].pool: no pool is named 'constructor'; there is web",
    ],
    ['a pool that is a number', but('pool: web', 'pool: 7'), '4:11: vips[0].pool: expected a text, found 7'],
    [
      'a pool of its own without backends',
      but('pool: web', 'pool: {}'),
      '4:11: vips[0].pool.backends: missing',
    ],
    [
      'an empty pool',
      but('pool: web', 'pool: { backends: [] }'),
      '4:23: vips[0].pool.backends: empty; give at least one',
    ],
    [
      'a bad name of a pool',
      but('  web:', '  "web servers":').replace('pool: web', 'pool: web servers'),
      '6:3: pools["web servers"]: not a name; give letters, digits, - _ and .',
    ],
    [
      'a backend that is no address',
      but('10.0.0.11', '10.0.11'),
      `8:20: pools.web.backends[0].address: '10.0.11' ${addressHint}`,
    ],
    [
      'a backend with a port',
      but('10.0.0.11', '10.0.0.11:80'),
      `8:20: pools.web.backends[0].address: '10.0.0.11:80' ${addressHint}`,
    ],
    [
      'a backend by name',
      but('10.0.0.11', 'web-1'),
      `8:20: pools.web.backends[0].address: 'web-1' ${addressHint}`,
    ],
    [
      'a backend that is a number',
      but('{ address: 10.0.0.11 }', '11'),
      '8:9: pools.web.backends[0]: expected an address such as 10.0.0.11, found 11',
    ],
    [
      'a backend given twice',
      but('10.0.0.12', '10.0.0.11'),
      '9:20: pools.web.backends[1].address: 10.0.0.11 is pools.web.backends[0].address already; leave one out, or give it more weight',
    ],
    [
      'a backend on this machine',
      but('10.0.0.11', '127.0.0.1'),
      '8:20: pools.web.backends[0].address: 127.0.0.1 is this machine itself; give the address of one machine',
    ],
    [
      'a backend that is none',
      but('10.0.0.11', '0.0.0.0'),
      '8:20: pools.web.backends[0].address: 0.0.0.0 stands for no machine; give the address of one machine',
    ],
    [
      'a backend that is everyone',
      but('10.0.0.11', '255.255.255.255'),
      '8:20: pools.web.backends[0].address: 255.255.255.255 is for all machines of a segment; give the address of one machine',
    ],
    [
      "a vip's address as a backend",
      but('10.0.0.11', '10.0.0.1'),
      "8:20: pools.web.backends[0].address: 10.0.0.1 is the address of vips[0]; give the server's own",
    ],
    [
      'an IPv6 backend on xdp',
      but('10.0.0.11', '2001:db8::11'),
      `8:20: pools.web.backends[0].address: 2001:db8::11 ${onlyIpv4}`,
    ],
    [
      'a weight of nothing',
      backend(', weight: 0'),
      '8:39: pools.web.backends[0].weight: 0 is too small; give more than 0',
    ],
    [
      'a negative weight',
      backend(', weight: -1'),
      '8:39: pools.web.backends[0].weight: -1 is too small; give more than 0',
    ],
    [
      'a weight that is no number',
      backend(', weight: heavy'),
      "8:39: pools.web.backends[0].weight: expected a number, found 'heavy'",
    ],
    [
      'a weight beyond all ratios',
      backend(', weight: 1e7'),
      '8:39: pools.web.backends[0].weight: 10000000 is too big; give at most 1000000',
    ],
    [
      'a misspelt weight',
      backend(', wieght: 2'),
      '8:31: pools.web.backends[0].wieght: unknown key; did you mean weight?',
    ],
    [
      'an unknown encapsulation',
      backend(', encap: gre'),
      "8:38: pools.web.backends[0].encap: 'gre' is not known; there is l2, ipip",
    ],
    [
      'an encapsulation that xdp does not have',
      `${backend(', encap: ipip')}datapath: xdp\n`,
      '8:20: pools.web.backends[0].address: the xdp datapath has no encap: ipip; leave it out, or take datapath: capture',
    ],
    [
      'IPv6 in IPv4',
      `${but('10.0.0.11 }', '"2001:db8::11", encap: ipip }')}datapath: capture\n`,
      '8:20: pools.web.backends[0].address: encap: ipip carries IPv4; 2001:db8::11 is not',
    ],
    [
      'a misspelt policy',
      and('policy: blance'),
      "10:9: policy: 'blance' is not known; did you mean balance?",
    ],
    ['a strange policy', and('policy: random'), `10:9: policy: 'random' is not known; there is ${policies}`],
    [
      'a policy that is a list',
      and('policy: [balance]'),
      `10:9: policy: expected one of ${policies}, found a list`,
    ],
    ['a policy without name', and('policy: { alpha: 0.1 }'), '10:9: policy.name: missing'],
    [
      'a misspelt policy with settings',
      and('policy: { name: l33 }'),
      "10:17: policy.name: 'l33' is not known; did you mean l3?",
    ],
    [
      'a setting out of range',
      and('policy: { name: shift, alpha: 2 }'),
      '10:31: policy.alpha: 2 is too big; give at most 1',
    ],
    [
      'a setting of another policy',
      and('policy: { name: static, alpha: 0.1 }'),
      '10:25: policy.alpha: unknown key; there is name',
    ],
    [
      'a setting without unit',
      and('policy: { name: l3, penalty: 600 }'),
      '10:30: policy.penalty: expected a duration such as 64us, found 600',
    ],
    [
      'a setting out of its time',
      and('policy: { name: l3, penalty: 600h }'),
      "10:30: policy.penalty: '600h' is out of range; give 1ms to 60s",
    ],
    [
      'a setting that is no choice',
      and('policy: { name: l3, ewma: peek }'),
      "10:27: policy.ewma: 'peek' is not known; did you mean peak?",
    ],
    [
      "a misspelt setting of a vip's policy",
      but('pool: web', 'pool: web\n    policy: { name: shift, alhpa: 1 }'),
      '5:28: vips[0].policy.alhpa: unknown key; did you mean alpha?',
    ],
    ['a misspelt datapath', and('datapath: xpd'), "10:11: datapath: 'xpd' is not known; did you mean xdp?"],
    [
      'a quoted truth value',
      and('answer_arp: "yes"'),
      "10:13: answer_arp: expected true or false, found 'yes'",
    ],
    [
      'ARP on xdp',
      and('answer_arp: true\ndatapath: xdp'),
      '10:13: answer_arp: the xdp datapath answers no ARP; leave it out, or take datapath: capture',
    ],
    ['a tick without unit', and('tick: 1'), '10:7: tick: expected a duration such as 64us, found 1'],
    ['a tick that is too short', and('tick: 100us'), "10:7: tick: '100us' is out of range; give 1ms to 1s"],
    ['a tick that is too long', and('tick: 2s'), "10:7: tick: '2s' is out of range; give 1ms to 1s"],
    ['a unit that is none', and('tick: 1 sec'), `10:7: tick: '1 sec' ${durationHint}`],
    [
      'slots that are no prime',
      and('slots: 65536'),
      '10:8: slots: a table cannot have 65536 slots; give a prime of at most 1048583; nearest: 65521 and 65537',
    ],
    [
      'too few slots',
      and('slots: 13'),
      '10:8: slots: 13 slots are too few for 2 backends; give at least 10 slots per backend, better 100: a prime such as 65537',
    ],
    ['too many slots', and('slots: 2000003'), '10:8: slots: 2000003 is too big; give at most 1048583'],
    ['half a slot', and('slots: 1.5'), '10:8: slots: expected a whole number, found 1.5'],
    ['no flows', and('flows: 0'), '10:8: flows: 0 is too small; give at least 1'],
    ['too many flows', and('flows: 1e9'), '10:8: flows: 1000000000 is too big; give at most 16777216'],
    [
      'a misspelt estimator',
      and('estimator: ensembel'),
      "10:12: estimator: 'ensembel' is not known; did you mean ensemble?",
    ],
    [
      'one timeout',
      and('ensemble: { timeouts: [64us] }'),
      `10:23: ensemble.timeouts: '64us' ${timeoutsHint}`,
    ],
    [
      'falling timeouts',
      and('ensemble: { timeouts: [128us, 64us] }'),
      `10:23: ensemble.timeouts: '128us,64us' ${timeoutsHint}`,
    ],
    [
      'a timeout that is none',
      and('ensemble: { timeouts: [64us, x] }'),
      `10:30: ensemble.timeouts[1]: 'x' ${durationHint}`,
    ],
    [
      'timeouts as a text',
      and('ensemble: { timeouts: 64us }'),
      "10:23: ensemble.timeouts: expected a list, found '64us'",
    ],
    ['an epoch of nothing', and('ensemble: { epoch: 0ms }'), `10:20: ensemble.epoch: '0ms' ${durationHint}`],
    [
      'a misspelt cliff',
      and('ensemble: { cliff: smoth }'),
      "10:20: ensemble.cliff: 'smoth' is not known; did you mean smooth?",
    ],
    [
      'an address to serve at without a port',
      and('admin: { http: 127.0.0.1 }'),
      "10:16: admin.http: '127.0.0.1' is not ADDR:PORT; for example 127.0.0.1:9464 or [::1]:9464",
    ],
    [
      'an address that others reach',
      and('admin: { http: "0.0.0.0:9464" }'),
      '10:16: admin.http: 0.0.0.0:9464 can be reached by others; give 127.0.0.1, or add http_public: true',
    ],
    ['an empty socket', and('admin: { socket: "" }'), '10:18: admin.socket: empty'],
    [
      'a socket too long for the kernel',
      and(`admin: { socket: /${'x'.repeat(107)} }`),
      '10:18: admin.socket: has more than 107 letters',
    ],
    [
      'a mapping left out',
      and('admin: /run/inband.sock'),
      "10:8: admin: expected a mapping, found '/run/inband.sock'",
    ],
    [
      'a level of no log',
      and('log: { level: verbose }'),
      "10:15: log.level: 'verbose' is not known; there is trace, debug, info, warn, error, silent",
    ],
    ['a user by number', and('user: 1000'), '10:7: user: expected a text, found 1000'],
    [
      'a key that there is not',
      and('frobnicate: {}'),
      '10:1: frobnicate: unknown key; there is interface, datapath, answer_arp, vips, pools, policy, health, estimator, ensemble, lost_flows, tick, slots, table, flows, pin, detach, state, admin, log, user',
    ],
    ['a tab', and('log:\n\tlevel: info'), '11:1: not YAML: indented by a tab; use spaces'],
  ])('%s', (_what, text, line) => {
    expect(lines(text)).toEqual([`lb.yaml:${line}`]);
  });
});

describe('what is allowed but hardly meant is a warning', () => {
  test.each<[string, string, string]>([
    [
      'a pool of one',
      but('      - { address: 10.0.0.12 }\n', ''),
      '8:7: pools.web.backends: warning: with one backend there is nothing to balance',
    ],
    [
      'a pool for nobody',
      but('pool: web', 'pool: { backends: [10.0.0.13, 10.0.0.14] }'),
      '6:3: pools.web: warning: no vip uses this pool',
    ],
    [
      'few slots',
      and('slots: 101'),
      '10:8: slots: warning: 101 slots for 2 backends make shares coarse; better 100 for each',
    ],
    [
      'a weight of less than a slot',
      backend(', weight: 1e-6'),
      '8:20: pools.web.backends[0].address: warning: of 65537 slots the weight 0.000001 gives it less than one',
    ],
    [
      'an epoch shorter than a timeout',
      and('ensemble: { epoch: 1ms }'),
      '10:20: ensemble.epoch: warning: an epoch of 1ms is shorter than the largest timeout',
    ],
    [
      'timeouts longer than the epoch',
      and('ensemble: { timeouts: [1ms, 100ms] }'),
      '10:23: ensemble.timeouts: warning: an epoch of 64ms is shorter than the largest timeout',
    ],
    [
      'a relative socket',
      and('admin: { socket: inband.sock }'),
      '10:18: admin.socket: warning: not an absolute path: it depends on where the daemon is started',
    ],
    ['root', and('user: root'), '10:7: user: warning: root keeps every right; name a user who has none'],
  ])('%s', (_what, text, line) => {
    expect(lines(text)).toEqual([`lb.yaml:${line}`]);
    expect(checkConfigText(text, 'lb.yaml').value).toBeDefined();
  });
});

test('all mistakes of a file are told at once, in its order', () => {
  expect(
    lines(`interfaces: eth0
vips:
  - address: 10.0.0.1
    pool: wbe
  - address: 10.0.0.1:80/tcp
    pool: { backends: [10.0.0.1] }
pools:
  web: { backends: [10.0.0.11, { adress: 10.0.0.12 }, 10.0.0.11] }
slots: 8
`),
  ).toEqual([
    'lb.yaml:1:1: interface: missing',
    'lb.yaml:1:1: interfaces: unknown key; did you mean interface?',
    `lb.yaml:3:14: vips[0].address: '10.0.0.1' ${endpointHint}`,
    "lb.yaml:4:11: vips[0].pool: no pool is named 'wbe'; did you mean web?",
    'lb.yaml:6:23: vips[1].pool.backends: warning: with one backend there is nothing to balance',
    "lb.yaml:6:24: vips[1].pool.backends[0]: 10.0.0.1 is the address of vips[1]; give the server's own",
    'lb.yaml:8:32: pools.web.backends[1].address: missing',
    'lb.yaml:8:34: pools.web.backends[1].adress: unknown key; did you mean address?',
    'lb.yaml:8:55: pools.web.backends[2]: 10.0.0.11 is pools.web.backends[0] already; leave one out, or give it more weight',
    'lb.yaml:9:8: slots: 8 is too small; give at least 10',
  ]);
});
