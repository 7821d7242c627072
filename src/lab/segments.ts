/** What a kernel counts of TCP (RFC 4022, section 2). */
export interface Segments {
  readonly received: number;
  /** Without those sent again, with resets. */
  readonly sent: number;
  readonly sentAgain: number;
  readonly resetsSent: number;
}

/** The numbers of proc/net/snmp: a line of names and one of values for each protocol. */
export function segmentsOf(snmp: string): Segments {
  const [names = [], values = []] = snmp
    .split('\n')
    .filter((line) => line.startsWith('Tcp:'))
    .map((line) => line.split(' '));
  const count = (name: string) => Number(values[names.indexOf(name)]);
  return {
    received: count('InSegs'),
    sent: count('OutSegs'),
    sentAgain: count('RetransSegs'),
    resetsSent: count('OutRsts'),
  };
}
