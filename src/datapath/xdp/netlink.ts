import { InbandError } from '../../errors.ts';
import { addon, type NetlinkHandle } from './addon.ts';
import { native } from './native-error.ts';

/** NLM_F_* of linux/netlink.h. */
export const netlinkFlag = {
  request: 1,
  ack: 4,
  dumpInterrupted: 0x10,
  replace: 0x100,
  dump: 0x300,
  create: 0x400,
} as const;
const messageError = 2;
const messageDone = 3;
const headerBytes = 16;

/** The kernel fills at most 32 KiB per datagram of a dump. */
const receiveBytes = 1 << 16;
/** Every datagram is received here and copied out at its own size: a watch is read often and mostly gets nothing. */
const scratch = new Uint8Array(receiveBytes);
const answerMsMax = 1000;
/** A dump is interrupted when what it lists changes meanwhile; a machine where that goes on and on is given up on. */
const dumpAttemptsMax = 5;

/** One netlink message: what follows its 16-byte header is in `body`. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly body: DataView;
}

/** An attribute to send: its type and value. */
export type NetlinkAttribute = readonly [type: number, value: Uint8Array];

const align = (size: number) => (size + 3) & ~3;

/** The messages of a datagram; stops at one whose length makes no sense. */
export function* parseMessages(datagram: Uint8Array): Generator<NetlinkMessage> {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  for (let at = 0; at + headerBytes <= datagram.length; ) {
    const size = view.getUint32(at, true);
    if (size < headerBytes || at + size > datagram.length) return;
    yield {
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      body: new DataView(datagram.buffer, datagram.byteOffset + at + headerBytes, size - headerBytes),
    };
    at += align(size);
  }
}

/** The attributes after the first `from` bytes, by type, without the flags in the type's top two bits. */
export function parseAttributes(body: DataView, from: number): ReadonlyMap<number, DataView> {
  const found = new Map<number, DataView>();
  for (let at = from; at + 4 <= body.byteLength; ) {
    const size = body.getUint16(at, true);
    if (size < 4 || at + size > body.byteLength) break;
    found.set(
      body.getUint16(at + 2, true) & 0x3fff,
      new DataView(body.buffer, body.byteOffset + at + 4, size - 4),
    );
    at += align(size);
  }
  return found;
}

/** A message as bytes; `header` is the fixed part that the type begins with, a multiple of 4 bytes. */
export function encodeMessage(
  type: number,
  flags: number,
  sequence: number,
  header: Uint8Array,
  attributes: readonly NetlinkAttribute[],
): Uint8Array {
  const size = attributes.reduce(
    (sum, [, value]) => sum + 4 + align(value.length),
    headerBytes + header.length,
  );
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, size, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  view.setUint32(8, sequence, true);
  bytes.set(header, headerBytes);
  let at = headerBytes + header.length;
  for (const [attribute, value] of attributes) {
    view.setUint16(at, 4 + value.length, true);
    view.setUint16(at + 2, attribute, true);
    bytes.set(value, at + 4);
    at += 4 + align(value.length);
  }
  return bytes;
}

/** What the kernel answered: `errno` is 0 or a positive error number. */
export interface NetlinkAnswer {
  readonly errno: number;
  readonly messages: readonly NetlinkMessage[];
}

/** A route netlink socket of the network namespace that the process is in. */
export class NetlinkSocket {
  readonly #handle: NetlinkHandle;
  #sequence = 0;

  /** @param groups RTMGRP_* to be told of, 0 for a socket that only asks. */
  constructor(groups = 0) {
    this.#handle = native('netlink', () => addon().netlinkOpen(groups));
  }

  /** Asks once and waits for the whole answer, which takes the kernel microseconds. */
  request(
    type: number,
    flags: number,
    header: Uint8Array,
    attributes: readonly NetlinkAttribute[] = [],
  ): NetlinkAnswer {
    for (let attempt = 0; attempt < dumpAttemptsMax; attempt++) {
      const answer = this.#ask(type, flags, header, attributes);
      if (!answer.messages.some((message) => message.flags & netlinkFlag.dumpInterrupted)) return answer;
    }
    throw new InbandError(
      'ENVIRONMENT',
      `netlink: the list kept changing while it was read, ${dumpAttemptsMax} times`,
    );
  }

  #ask(
    type: number,
    flags: number,
    header: Uint8Array,
    attributes: readonly NetlinkAttribute[],
  ): NetlinkAnswer {
    const sequence = ++this.#sequence;
    const isDump = (flags & netlinkFlag.dump) === netlinkFlag.dump;
    const all = flags | netlinkFlag.request | (isDump ? 0 : netlinkFlag.ack);
    const bytes = encodeMessage(type, all, sequence, header, attributes);
    native('netlink', () => addon().netlinkSend(this.#handle, bytes));
    const messages: NetlinkMessage[] = [];
    for (;;) {
      const datagram = this.receive(answerMsMax);
      if (!datagram) throw new InbandError('ENVIRONMENT', `netlink: no answer in ${answerMsMax} ms`);
      for (const message of parseMessages(datagram)) {
        if (message.sequence !== sequence) continue;
        if (message.type !== messageError && message.type !== messageDone) messages.push(message);
        else return { errno: message.body.byteLength >= 4 ? -message.body.getInt32(0, true) : 0, messages };
      }
    }
  }

  /** The next datagram, waiting for at most that long; undefined when none came. */
  receive(waitMs: number): Uint8Array | undefined {
    const size = native('netlink', () => addon().netlinkReceive(this.#handle, scratch, waitMs));
    return size > 0 ? scratch.slice(0, size) : undefined;
  }

  close(): void {
    addon().close(this.#handle);
  }
}
