// Generated from native/include/inband.h - do not edit

export const inbandAbi = {
  abi: 1,
} as const;

export const inbandLimit = {
  timeoutsMax: 7,
  vlanTagsMax: 4,
  vipProbesMax: 8,
  vipsMax: 4096,
  ways: 8,
  choices: 4,
  secretWords: 6,
  batchTimeBits: 40,
  latencyBits: 39,
} as const;

export const inbandKey = {
  busy: 65535,
} as const;

export const inbandBin = {
  unitBits: 6,
  subBits: 4,
  count: 480,
} as const;

export const inbandReason = {
  tx: 0,
  redirect: 1,
  noBackend: 2,
  notVip: 3,
  notIp: 4,
  ipv6: 5,
  notTcpOrUdp: 6,
  fragment: 7,
  truncated: 8,
  malformed: 9,
  count: 10,
} as const;

export const inbandKind = {
  handshake: 0,
  ensemble: 1,
  count: 2,
} as const;

export const inbandState = {
  new: 1,
  established: 2,
  closing: 3,
  handshake: 128,
} as const;

export const inbandConfig = {
  name: 'inband_config',
  size: 192,
  fields: {
    secret: { offset: 0, size: 8, count: 6, signed: false, bigEndian: false },
    timeoutNs: { offset: 48, size: 8, count: 7, signed: false, bigEndian: false },
    epochNs: { offset: 104, size: 8, count: 1, signed: false, bigEndian: false },
    idleNs: { offset: 112, size: 8, count: 4, signed: false, bigEndian: false },
    evictableNs: { offset: 144, size: 8, count: 1, signed: false, bigEndian: false },
    vipMultiplier: { offset: 152, size: 8, count: 1, signed: false, bigEndian: false },
    vipShift: { offset: 160, size: 4, count: 1, signed: false, bigEndian: false },
    vipMask: { offset: 164, size: 4, count: 1, signed: false, bigEndian: false },
    setCount: { offset: 168, size: 4, count: 1, signed: false, bigEndian: false },
    backendCount: { offset: 172, size: 4, count: 1, signed: false, bigEndian: false },
    timeoutCount: { offset: 176, size: 4, count: 1, signed: false, bigEndian: false },
    cliffMore: { offset: 180, size: 4, count: 1, signed: false, bigEndian: false },
    cliffShift: { offset: 184, size: 4, count: 1, signed: false, bigEndian: false },
    pad: { offset: 188, size: 4, count: 1, signed: false, bigEndian: false },
  },
} as const;

export const inbandVip = {
  name: 'inband_vip',
  size: 32,
  fields: {
    addrBe: { offset: 0, size: 4, count: 1, signed: false, bigEndian: true },
    portBe: { offset: 4, size: 2, count: 1, signed: false, bigEndian: true },
    proto: { offset: 6, size: 1, count: 1, signed: false, bigEndian: false },
    pad1: { offset: 7, size: 1, count: 1, signed: false, bigEndian: false },
    seed: { offset: 8, size: 4, count: 1, signed: false, bigEndian: false },
    slotCount: { offset: 12, size: 4, count: 1, signed: false, bigEndian: false },
    slotFirst: { offset: 16, size: 4, count: 1, signed: false, bigEndian: false },
    backendFirst: { offset: 20, size: 2, count: 1, signed: false, bigEndian: false },
    index: { offset: 22, size: 2, count: 1, signed: false, bigEndian: false },
    pad2: { offset: 24, size: 8, count: 1, signed: false, bigEndian: false },
  },
} as const;

export const inbandBackend = {
  name: 'inband_backend',
  size: 16,
  fields: {
    macAddresses: { offset: 0, size: 4, count: 3, signed: false, bigEndian: true },
    ifindex: { offset: 12, size: 4, count: 1, signed: false, bigEndian: false },
  },
} as const;

export const inbandFlow = {
  name: 'inband_flow',
  size: 64,
  fields: {
    key: { offset: 0, size: 8, count: 1, signed: false, bigEndian: false },
    lastNs: { offset: 8, size: 8, count: 1, signed: false, bigEndian: false },
    batchLow: { offset: 16, size: 4, count: 7, signed: false, bigEndian: false },
    isn: { offset: 44, size: 4, count: 1, signed: false, bigEndian: false },
    spilled: { offset: 48, size: 4, count: 1, signed: false, bigEndian: false },
    batchHigh: { offset: 52, size: 1, count: 7, signed: false, bigEndian: false },
    state: { offset: 59, size: 1, count: 1, signed: false, bigEndian: false },
    backend: { offset: 60, size: 2, count: 1, signed: false, bigEndian: false },
    choice: { offset: 62, size: 1, count: 1, signed: false, bigEndian: false },
    pad: { offset: 63, size: 1, count: 1, signed: false, bigEndian: false },
  },
} as const;

export const inbandFlowSet = {
  name: 'inband_flow_set',
  size: 512,
  fields: {
    lines: { offset: 0, size: 64, count: 8, struct: 'inbandFlow' },
  },
} as const;

export const inbandCounters = {
  name: 'inband_counters',
  size: 192,
  fields: {
    packets: { offset: 0, size: 8, count: 10, signed: false, bigEndian: false },
    created: { offset: 80, size: 8, count: 1, signed: false, bigEndian: false },
    closed: { offset: 88, size: 8, count: 1, signed: false, bigEndian: false },
    reopened: { offset: 96, size: 8, count: 1, signed: false, bigEndian: false },
    idle: { offset: 104, size: 8, count: 1, signed: false, bigEndian: false },
    evictedUnestablished: { offset: 112, size: 8, count: 1, signed: false, bigEndian: false },
    evictedIdle: { offset: 120, size: 8, count: 1, signed: false, bigEndian: false },
    refused: { offset: 128, size: 8, count: 1, signed: false, bigEndian: false },
    contended: { offset: 136, size: 8, count: 1, signed: false, bigEndian: false },
    untracked: { offset: 144, size: 8, count: 1, signed: false, bigEndian: false },
    samplesDropped: { offset: 152, size: 8, count: 1, signed: false, bigEndian: false },
    samplesLost: { offset: 160, size: 8, count: 1, signed: false, bigEndian: false },
    pad: { offset: 168, size: 8, count: 3, signed: false, bigEndian: false },
  },
} as const;

export const inbandTraffic = {
  name: 'inband_traffic',
  size: 64,
  fields: {
    packets: { offset: 0, size: 8, count: 1, signed: false, bigEndian: false },
    bytes: { offset: 8, size: 8, count: 1, signed: false, bigEndian: false },
    flows: { offset: 16, size: 8, count: 1, signed: false, bigEndian: false },
    epochStartNs: { offset: 24, size: 8, count: 1, signed: false, bigEndian: false },
    gaps: { offset: 32, size: 4, count: 7, signed: false, bigEndian: false },
    chosen: { offset: 60, size: 4, count: 1, signed: false, bigEndian: false },
  },
} as const;

export const inbandHistogram = {
  name: 'inband_histogram',
  size: 1984,
  fields: {
    count: { offset: 0, size: 8, count: 1, signed: false, bigEndian: false },
    sumNs: { offset: 8, size: 8, count: 1, signed: false, bigEndian: false },
    lastNs: { offset: 16, size: 8, count: 1, signed: false, bigEndian: false },
    lastTimeNs: { offset: 24, size: 8, count: 1, signed: false, bigEndian: false },
    pad: { offset: 32, size: 8, count: 4, signed: false, bigEndian: false },
    bins: { offset: 64, size: 4, count: 480, signed: false, bigEndian: false },
  },
} as const;

export const inbandSample = {
  name: 'inband_sample',
  size: 32,
  fields: {
    timeNs: { offset: 0, size: 8, count: 1, signed: false, bigEndian: false },
    latencyNs: { offset: 8, size: 8, count: 1, signed: false, bigEndian: false },
    clientAddrBe: { offset: 16, size: 4, count: 1, signed: false, bigEndian: true },
    clientPortBe: { offset: 20, size: 2, count: 1, signed: false, bigEndian: true },
    vip: { offset: 22, size: 2, count: 1, signed: false, bigEndian: false },
    backend: { offset: 24, size: 2, count: 1, signed: false, bigEndian: false },
    kind: { offset: 26, size: 1, count: 1, signed: false, bigEndian: false },
    pad: { offset: 27, size: 1, count: 5, signed: false, bigEndian: false },
  },
} as const;
