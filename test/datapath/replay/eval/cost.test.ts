import { expect, test } from 'vitest';
import { costOf } from '../../../../src/datapath/replay/eval/cost.ts';
import { PacketLog } from '../../../../src/datapath/replay/eval/packet-log.ts';
import { epochDefault, timeoutsDefault } from '../../../../src/latency/ensemble.ts';
import { frameOf } from '../support.ts';

const settings = { timeoutsNs: timeoutsDefault, epochNs: epochDefault };

test('a log keeps packets until it is full, and of long ones the beginning', () => {
  const log = new PacketLog(2);
  const frame = frameOf({ from: '10.0.0.9:4000', to: '10.0.0.1:80', payloadBytes: 1000 });
  for (let i = 0; i < 3; i++) log.add(frame, frame.length, 1, i * 1000, 0);
  expect(log.count).toBe(2);
  expect([...log.timeNs]).toEqual([0, 1000]);
  expect(log.capturedLength[1]).toBeLessThan(frame.length);
  expect(log.wireLength[1]).toBe(frame.length);
  const kept = log.frames.subarray(log.at[1], log.at[1]! + log.capturedLength[1]!);
  expect(Buffer.from(kept)).toEqual(Buffer.from(frame.subarray(0, kept.length)));
});

test('the cost is a number where there are packets, and none where there are not', () => {
  const log = new PacketLog(500);
  const frame = frameOf({ from: '10.0.0.9:4000', to: '10.0.0.1:80', payloadBytes: 100 });
  for (let i = 0; i < 500; i++) log.add(frame, frame.length, 1, i * 1e6, 0);
  expect(Number.isFinite(costOf({ estimator: 'ensemble', settings, captures: [log] }))).toBe(true);
  expect(costOf({ estimator: 'ensemble', settings, captures: [] })).toBeNaN();
});
