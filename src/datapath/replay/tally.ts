import { verdicts } from '../../net/packet.ts';

/** What a replay counts, apart from samples. */
export class Tally {
  client = 0;
  server = 0;
  /** Packets that were not decoded, by index into `verdicts`. */
  readonly verdicts = new Float64Array(verdicts.length);
  notVip = 0;
  vipLimit = 0;
  readonly vipPackets: number[] = [];
  readonly vipFlows: number[] = [];
  readonly backendPackets: number[] = [];
  readonly backendFlows: number[] = [];
  firstNs = Number.NaN;
  lastNs = Number.NaN;

  /** A packet went from a client by way of `vip` to `backend`, as a flow's first or a later one. */
  forwarded(vip: number, backend: number, isFirst: boolean): void {
    this.client++;
    add(this.vipPackets, vip, 1);
    add(this.vipFlows, vip, isFirst ? 1 : 0);
    add(this.backendPackets, backend, 1);
    add(this.backendFlows, backend, isFirst ? 1 : 0);
  }

  seen(nowNs: number): void {
    if (Number.isNaN(this.firstNs)) this.firstNs = this.lastNs = nowNs;
    if (nowNs > this.lastNs) this.lastNs = nowNs;
  }

  /** Packets that are no vip's, by named reason; only reasons that occurred. */
  get skipped(): Record<string, number> {
    const all = [
      ...verdicts.map((name, i) => [name, this.verdicts[i]!] as const).slice(1),
      ['not_vip', this.notVip] as const,
      ['vip_limit', this.vipLimit] as const,
    ];
    return Object.fromEntries(all.filter(([, count]) => count > 0));
  }
}

/** Adds to an element of a list that grows as its numbers appear. */
function add(list: number[], at: number, count: number): void {
  while (list.length <= at) list.push(0);
  list[at]! += count;
}
