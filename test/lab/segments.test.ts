import { expect, test } from 'vitest';
import { segmentsOf } from '../../src/lab/segments.ts';

test("a kernel's segments are read by name, from the lines of TCP", () => {
  const snmp = `Ip: Forwarding InSegs
Ip: 1 5
Tcp: RtoAlgorithm InSegs OutSegs RetransSegs InErrs OutRsts
Tcp: 1 910 900 17 3 4
Udp: InDatagrams
Udp: 8
`;
  expect(segmentsOf(snmp)).toEqual({ received: 910, sent: 900, sentAgain: 17, resetsSent: 4 });
});
