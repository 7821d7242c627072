// Generated from native/include/inband.h - do not edit

export const inbandAbi = {
  abi: 3,
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
  tickBits: 6,
  pauseBits: 36,
  fifoDepth: 8,
  distrustBits: 6,
  responseBits: 4,
  phaseBits: 5,
  flightBits: 4,
  trustMax: 63,
  gapBuckets: 35,
  wheelBuckets: 128,
  prefixEntries: 4096,
  probeBytesMax: 1536,
  sweepSetsMax: 4096,
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
  reset: 3,
  probe: 4,
  notVip: 5,
  notIp: 6,
  ipv6: 7,
  notTcpOrUdp: 8,
  fragment: 9,
  truncated: 10,
  malformed: 11,
  count: 12,
} as const;

export const inbandEstimator = {
  ensemble: 0,
  auto: 1,
} as const;

export const inbandKind = {
  handshake: 0,
  request: 1,
  pipelined: 2,
  server: 3,
  gap: 4,
  quic: 5,
  ensemble: 6,
  count: 7,
} as const;

export const inbandTcp = {
  opening: 1,
  synAgain: 2,
  anchored: 4,
  asked: 8,
  tainted: 16,
  unfinished: 32,
  pureAdvance: 64,
  surplus: 128,
  pipelined: 256,
  merged: 512,
  eager: 1024,
  flight: 2048,
  responding: 4096,
  advanced: 8192,
  bounded: 16384,
  heard: 32768,
} as const;

export const inbandTrust = {
  lone: 64,
  stamped: 128,
} as const;

export const inbandGap = {
  moved: 1,
  full: 2,
  opening: 4,
  noCut: 255,
} as const;

export const inbandQuicState = {
  quicSilent: 0,
  quicInitial: 1,
  quicSpinning: 2,
} as const;

export const inbandQuic = {
  ambiguous: 1,
  token: 2,
  valueKnown: 4,
  turnKnown: 8,
  spin: 32,
} as const;

export const inbandState = {
  new: 1,
  established: 2,
  closing: 3,
  auto: 64,
  handshake: 128,
} as const;

export const inbandConfig = {
  name: 'inband_config',
  size: 256,
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
    prefixSeed: { offset: 188, size: 4, count: 1, signed: false, bigEndian: false },
    samplesPerPrefix: { offset: 192, size: 4, count: 1, signed: false, bigEndian: false },
    kindCount: { offset: 196, size: 4, count: 1, signed: false, bigEndian: false },
    kindPlaces: { offset: 200, size: 1, count: 8, signed: false, bigEndian: false },
    cpuCount: { offset: 208, size: 4, count: 1, signed: false, bigEndian: false },
    pad: { offset: 212, size: 1, count: 44, signed: false, bigEndian: false },
  },
} as const;

export const inbandPlace = {
  empty: 0,
  left: 255,
} as const;

export const inbandVipFlag = {
  gone: 1,
} as const;

export const inbandFate = {
  keep: 0,
  resteer: 1,
  reset: 2,
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
    index: { offset: 20, size: 2, count: 1, signed: false, bigEndian: false },
    estimator: { offset: 22, size: 1, count: 1, signed: false, bigEndian: false },
    flags: { offset: 23, size: 1, count: 1, signed: false, bigEndian: false },
    lostFlows: { offset: 24, size: 1, count: 1, signed: false, bigEndian: false },
    pad2: { offset: 25, size: 1, count: 7, signed: false, bigEndian: false },
  },
} as const;

export const inbandHop = {
  interfaceBits: 28,
  resetBit: 30,
  lostBit: 31,
} as const;

export const inbandBackend = {
  name: 'inband_backend',
  size: 16,
  fields: {
    macAddresses: { offset: 0, size: 4, count: 3, signed: false, bigEndian: true },
    hop: { offset: 12, size: 4, count: 1, signed: true, bigEndian: false },
  },
} as const;

export const inbandMemberFlag = {
  used: 1,
  gone: 2,
} as const;

export const inbandMember = {
  name: 'inband_member',
  size: 8,
  fields: {
    addrBe: { offset: 0, size: 4, count: 1, signed: false, bigEndian: true },
    vipPlace: { offset: 4, size: 2, count: 1, signed: false, bigEndian: false },
    flags: { offset: 6, size: 1, count: 1, signed: false, bigEndian: false },
    pad: { offset: 7, size: 1, count: 1, signed: false, bigEndian: false },
  },
} as const;

export const inbandFlow = {
  name: 'inband_flow',
  size: 128,
  fields: {
    key: { offset: 0, size: 8, count: 1, signed: false, bigEndian: false },
    lastNs: { offset: 8, size: 8, count: 1, signed: false, bigEndian: false },
    isn: { offset: 16, size: 4, count: 1, signed: false, bigEndian: false },
    spilled: { offset: 20, size: 4, count: 1, signed: false, bigEndian: false },
    state: { offset: 24, size: 1, count: 1, signed: false, bigEndian: false },
    choice: { offset: 25, size: 1, count: 1, signed: false, bigEndian: false },
    backend: { offset: 26, size: 2, count: 1, signed: false, bigEndian: false },
    batchLow: { offset: 28, size: 4, count: 7, signed: false, bigEndian: false },
    batchHigh: { offset: 56, size: 1, count: 7, signed: false, bigEndian: false },
    pad1: { offset: 63, size: 1, count: 1, signed: false, bigEndian: false },
    sndMax: { offset: 28, size: 4, count: 1, signed: false, bigEndian: false },
    ackMax: { offset: 32, size: 4, count: 1, signed: false, bigEndian: false },
    head: { offset: 36, size: 4, count: 1, signed: false, bigEndian: false },
    handshake: { offset: 40, size: 4, count: 1, signed: true, bigEndian: false },
    late: { offset: 44, size: 4, count: 1, signed: true, bigEndian: false },
    advanceTick: { offset: 48, size: 4, count: 1, signed: false, bigEndian: false },
    flags: { offset: 52, size: 2, count: 1, signed: false, bigEndian: false },
    mss: { offset: 54, size: 2, count: 1, signed: false, bigEndian: false },
    lastBytes: { offset: 56, size: 2, count: 1, signed: false, bigEndian: false },
    flightBytes: { offset: 58, size: 2, count: 1, signed: false, bigEndian: false },
    flightBytesMax: { offset: 60, size: 2, count: 1, signed: false, bigEndian: false },
    count: { offset: 62, size: 1, count: 1, signed: false, bigEndian: false },
    distrust: { offset: 63, size: 1, count: 1, signed: false, bigEndian: false },
    quicTime: { offset: 28, size: 4, count: 1, signed: false, bigEndian: false },
    quicId: { offset: 32, size: 4, count: 1, signed: false, bigEndian: false },
    quicVersion: { offset: 36, size: 4, count: 1, signed: false, bigEndian: false },
    quicHandshake: { offset: 40, size: 4, count: 1, signed: true, bigEndian: false },
    quicMean: { offset: 44, size: 4, count: 1, signed: true, bigEndian: false },
    quicDeviation: { offset: 48, size: 4, count: 1, signed: true, bigEndian: false },
    quicIdLength: { offset: 52, size: 1, count: 1, signed: false, bigEndian: false },
    quicState: { offset: 53, size: 1, count: 1, signed: false, bigEndian: false },
    quicFlags: { offset: 54, size: 1, count: 1, signed: false, bigEndian: false },
    quicPeriods: { offset: 55, size: 1, count: 1, signed: false, bigEndian: false },
    gapSize: { offset: 56, size: 2, count: 1, signed: false, bigEndian: false },
    pad2: { offset: 58, size: 2, count: 3, signed: false, bigEndian: false },
    gapLast: { offset: 64, size: 4, count: 1, signed: false, bigEndian: false },
    gapBatch: { offset: 68, size: 4, count: 1, signed: false, bigEndian: false },
    gapAck: { offset: 72, size: 4, count: 1, signed: false, bigEndian: false },
    anchorTick: { offset: 76, size: 4, count: 1, signed: false, bigEndian: false },
    anchorStamp: { offset: 80, size: 4, count: 1, signed: false, bigEndian: false },
    phaseMin: { offset: 84, size: 4, count: 1, signed: true, bigEndian: false },
    phaseMax: { offset: 88, size: 4, count: 1, signed: true, bigEndian: false },
    ring: { offset: 92, size: 4, count: 7, signed: false, bigEndian: false },
    probeSeq: { offset: 92, size: 4, count: 1, signed: false, bigEndian: false },
    probeBytes: { offset: 96, size: 4, count: 1, signed: false, bigEndian: false },
    probeTick: { offset: 100, size: 4, count: 1, signed: false, bigEndian: false },
    pad3: { offset: 104, size: 4, count: 4, signed: false, bigEndian: false },
    responseBytes: { offset: 120, size: 2, count: 1, signed: false, bigEndian: false },
    responseCount: { offset: 122, size: 1, count: 1, signed: false, bigEndian: false },
    phaseCount: { offset: 123, size: 1, count: 1, signed: false, bigEndian: false },
    flightMax: { offset: 124, size: 1, count: 1, signed: false, bigEndian: false },
    trust: { offset: 125, size: 1, count: 1, signed: false, bigEndian: false },
    gapFlags: { offset: 126, size: 1, count: 1, signed: false, bigEndian: false },
    gapCut: { offset: 127, size: 1, count: 1, signed: false, bigEndian: false },
  },
} as const;

export const inbandFlowSet = {
  name: 'inband_flow_set',
  size: 1024,
  fields: {
    lines: { offset: 0, size: 128, count: 8, struct: 'inbandFlow' },
  },
} as const;

export const inbandCounters = {
  name: 'inband_counters',
  size: 256,
  fields: {
    packets: { offset: 0, size: 8, count: 12, signed: false, bigEndian: false },
    created: { offset: 96, size: 8, count: 1, signed: false, bigEndian: false },
    closed: { offset: 104, size: 8, count: 1, signed: false, bigEndian: false },
    reopened: { offset: 112, size: 8, count: 1, signed: false, bigEndian: false },
    idle: { offset: 120, size: 8, count: 1, signed: false, bigEndian: false },
    resteered: { offset: 128, size: 8, count: 1, signed: false, bigEndian: false },
    evictedUnestablished: { offset: 136, size: 8, count: 1, signed: false, bigEndian: false },
    evictedIdle: { offset: 144, size: 8, count: 1, signed: false, bigEndian: false },
    refused: { offset: 152, size: 8, count: 1, signed: false, bigEndian: false },
    contended: { offset: 160, size: 8, count: 1, signed: false, bigEndian: false },
    untracked: { offset: 168, size: 8, count: 1, signed: false, bigEndian: false },
    samplesDropped: { offset: 176, size: 8, count: 1, signed: false, bigEndian: false },
    samplesLost: { offset: 184, size: 8, count: 1, signed: false, bigEndian: false },
    samplesLimited: { offset: 192, size: 8, count: 1, signed: false, bigEndian: false },
    probesLost: { offset: 200, size: 8, count: 1, signed: false, bigEndian: false },
    pad: { offset: 208, size: 8, count: 6, signed: false, bigEndian: false },
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

export const inbandClock = {
  name: 'inband_clock',
  size: 24,
  fields: {
    tick: { offset: 0, size: 4, count: 1, signed: false, bigEndian: false },
    votes: { offset: 4, size: 4, count: 1, signed: false, bigEndian: false },
    checked: { offset: 8, size: 4, count: 1, signed: false, bigEndian: false },
    mean: { offset: 12, size: 4, count: 1, signed: true, bigEndian: false },
    elsewhere: { offset: 16, size: 4, count: 1, signed: true, bigEndian: false },
    pad: { offset: 20, size: 4, count: 1, signed: false, bigEndian: false },
  },
} as const;

export const inbandGaps = {
  name: 'inband_gaps',
  size: 192,
  fields: {
    gaps: { offset: 0, size: 4, count: 1, signed: false, bigEndian: false },
    since: { offset: 4, size: 4, count: 1, signed: false, bigEndian: false },
    handshake: { offset: 8, size: 4, count: 1, signed: true, bigEndian: false },
    cut: { offset: 12, size: 1, count: 1, signed: false, bigEndian: false },
    streak: { offset: 13, size: 1, count: 1, signed: false, bigEndian: false },
    pad1: { offset: 14, size: 2, count: 1, signed: false, bigEndian: false },
    histogram: { offset: 16, size: 4, count: 35, signed: false, bigEndian: false },
    pad2: { offset: 156, size: 4, count: 3, signed: false, bigEndian: false },
    clock: { offset: 168, size: 24, count: 1, struct: 'inbandClock' },
  },
} as const;

export const inbandSignals = {
  name: 'inband_signals',
  size: 576,
  fields: {
    flows: { offset: 0, size: 4, count: 1, signed: false, bigEndian: false },
    synRetransmits: { offset: 4, size: 4, count: 1, signed: false, bigEndian: false },
    handshakes: { offset: 8, size: 4, count: 1, signed: false, bigEndian: false },
    requests: { offset: 12, size: 4, count: 1, signed: false, bigEndian: false },
    responses: { offset: 16, size: 4, count: 1, signed: false, bigEndian: false },
    segments: { offset: 20, size: 4, count: 1, signed: false, bigEndian: false },
    retransmits: { offset: 24, size: 4, count: 1, signed: false, bigEndian: false },
    resets: { offset: 28, size: 4, count: 1, signed: false, bigEndian: false },
    inFlight: { offset: 32, size: 4, count: 1, signed: false, bigEndian: false },
    pad: { offset: 36, size: 4, count: 7, signed: false, bigEndian: false },
    wheel: { offset: 64, size: 4, count: 128, signed: false, bigEndian: false },
  },
} as const;

export const inbandPrefixes = {
  name: 'inband_prefixes',
  size: 16384,
  fields: {
    entries: { offset: 0, size: 4, count: 4096, signed: false, bigEndian: false },
  },
} as const;

export const inbandHistogram = {
  name: 'inband_histogram',
  size: 1984,
  fields: {
    count: { offset: 0, size: 8, count: 1, signed: false, bigEndian: false },
    sumNs: { offset: 8, size: 8, count: 1, signed: true, bigEndian: false },
    lastNs: { offset: 16, size: 8, count: 1, signed: true, bigEndian: false },
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
    latencyNs: { offset: 8, size: 8, count: 1, signed: true, bigEndian: false },
    clientAddrBe: { offset: 16, size: 4, count: 1, signed: false, bigEndian: true },
    clientPortBe: { offset: 20, size: 2, count: 1, signed: false, bigEndian: true },
    vip: { offset: 22, size: 2, count: 1, signed: false, bigEndian: false },
    backend: { offset: 24, size: 2, count: 1, signed: false, bigEndian: false },
    kind: { offset: 26, size: 1, count: 1, signed: false, bigEndian: false },
    pad: { offset: 27, size: 1, count: 5, signed: false, bigEndian: false },
  },
} as const;

export const inbandProbeSource = {
  name: 'inband_probe_source',
  size: 8,
  fields: {
    addrBe: { offset: 0, size: 4, count: 1, signed: false, bigEndian: true },
    portFirst: { offset: 4, size: 2, count: 1, signed: false, bigEndian: false },
    portLast: { offset: 6, size: 2, count: 1, signed: false, bigEndian: false },
  },
} as const;

export const inbandProbe = {
  name: 'inband_probe',
  size: 1544,
  fields: {
    bytes: { offset: 0, size: 4, count: 1, signed: false, bigEndian: false },
    pad: { offset: 4, size: 4, count: 1, signed: false, bigEndian: false },
    packet: { offset: 8, size: 1, count: 1536, signed: false, bigEndian: false },
  },
} as const;

export const inbandSweep = {
  name: 'inband_sweep',
  size: 8,
  fields: {
    setFirst: { offset: 0, size: 4, count: 1, signed: false, bigEndian: false },
    setCount: { offset: 4, size: 4, count: 1, signed: false, bigEndian: false },
  },
} as const;
