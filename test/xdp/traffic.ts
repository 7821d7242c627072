import type { Address } from '../../src/net/address.ts';
import { buildFrame, type Frame, ip } from '../support/frames.ts';
import { seededRandom, startNs } from './support.ts';

const flag = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 } as const;

/**
 * Traffic of some clients to 10.0.0.1:80/tcp, 10.0.0.1:443/tcp and 10.0.0.2:53/udp, with everything that ends, restarts,
 * damages or delays a flow.
 */
export class Traffic {
  nowNs = startNs;
  readonly #random: () => number;
  readonly #clients: { src: Address; srcPort: number; seq: number }[];

  constructor(seed: number, clients: number) {
    this.#random = seededRandom(seed);
    this.#clients = Array.from({ length: clients }, (_, i) => ({
      src: ip(`192.0.2.${i % 200}`),
      srcPort: 1024 + this.#below(60_000),
      seq: this.#below(2 ** 32),
    }));
  }

  next(): Uint8Array {
    this.nowNs += this.#pause();
    const frame = buildFrame(this.#frame());
    return this.#chance(0.03) ? this.#damaged(frame) : frame;
  }

  /** Nearly always microseconds to milliseconds, at times none, seconds, minutes, or a little backwards. */
  #pause(): number {
    const dice = this.#random();
    if (dice < 0.9) return Math.floor(200 * 10 ** (3 * this.#random()));
    if (dice < 0.94) return 0;
    if (dice < 0.97) return Math.floor(10 ** (6 + 3.5 * this.#random()));
    if (dice < 0.999) return -Math.floor(2_000 * this.#random());
    return this.#chance(0.9) ? 61e9 : 901e9;
  }

  #frame(): Frame {
    const client = this.#clients[this.#below(this.#clients.length)]!;
    const { src, srcPort } = client;
    const vlans = this.#chance(0.1)
      ? Array.from({ length: 1 + this.#below(5) }, () => this.#below(4096))
      : [];
    const base = {
      src,
      vlans,
      payload: new Uint8Array(this.#below(80)),
      ...(this.#chance(0.05) && { ipOptions: new Uint8Array(1 + this.#below(40)) }),
      ...(this.#chance(0.03) && {
        fragment: { offset: this.#chance(0.5) ? 0 : 64, more: this.#chance(0.5) },
      }),
      ...(this.#chance(0.2) && { trailer: new Uint8Array(this.#below(20)) }),
    };
    const dice = this.#random();
    if (dice < 0.02) return { src: ip('2001:db8::1'), dst: ip('2001:db8::2'), tcp: { srcPort, dstPort: 80 } };
    if (dice < 0.04) return { ...base, dst: ip('10.0.0.1') };
    const dst = ip(dice < 0.07 ? '10.0.0.9' : dice < 0.2 ? '10.0.0.2' : '10.0.0.1');
    if (dice < 0.22) return { ...base, dst, udp: { srcPort, dstPort: 53 } };
    const flags = this.#flags();
    if (flags === flag.syn && this.#chance(0.6)) client.seq = this.#below(2 ** 32);
    const dstPort = this.#chance(0.7) ? 80 : 443;
    return { ...base, dst, tcp: { srcPort, dstPort, flags, seq: client.seq } };
  }

  #flags(): number {
    const dice = this.#random();
    if (dice < 0.75) return this.#chance(0.5) ? flag.ack : flag.ack | flag.psh;
    if (dice < 0.87) return flag.syn;
    if (dice < 0.91) return flag.fin | flag.ack;
    if (dice < 0.95) return this.#chance(0.5) ? flag.rst : flag.rst | flag.ack;
    return this.#below(64);
  }

  /** Cut short, or with some header bytes overwritten. The kernel takes no frame without an Ethernet header. */
  #damaged(frame: Uint8Array): Uint8Array {
    if (this.#chance(0.5)) return frame.subarray(0, 14 + this.#below(frame.length - 13));
    for (let i = 0; i < 3; i++) frame[12 + this.#below(Math.min(60, frame.length - 12))] = this.#below(256);
    return frame;
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }
}
