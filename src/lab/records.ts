import { randomInt } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { InbandError } from '../errors.ts';
import type { LabOptions } from './plan.ts';

/** Every lab has a directory here, named by its identifier: its record, its control files and its logs. */
export const labsDirectory = '/run/inband/lab';

const recordName = 'lab.json';
/** A directory without a record is a lab that is being set up, or one that died right then, after this long. */
const nascentMsMax = 10_000;

/** Who removes a lab: the process that set it up, or `inband lab down` where it was set up to stay. */
export type Owner = { pid: number; startTicks: number } | 'detached';

export interface LabRecord {
  id: string;
  owner: Owner;
  options: LabOptions;
}

export const labDirectory = (id: string): string => join(labsDirectory, id);

/** When a process started, in clock ticks since boot (proc(5), field 22 of stat); undefined when there is none. */
function startTicks(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command's name is in parentheses and may contain anything, parentheses too.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : Number(fields[19]);
  } catch {
    return undefined;
  }
}

/** This process as an owner. */
export const self = (): Owner => ({ pid: process.pid, startTicks: startTicks(process.pid)! });

/** Whether nobody will remove a lab unless asked to. */
export const isAbandoned = ({ owner }: LabRecord): boolean =>
  owner !== 'detached' && startTicks(owner.pid) !== owner.startTicks;

/** Makes a directory for a new lab and returns the lab's identifier: the prefix and six random characters. */
export function makeLabDirectory(prefix: string): string {
  const random = randomInt(36 ** 6)
    .toString(36)
    .padStart(6, '0');
  const id = `${prefix}${random}`;
  mkdirSync(labsDirectory, { recursive: true });
  mkdirSync(labDirectory(id));
  return id;
}

export function writeRecord(record: LabRecord): void {
  writeFileSync(join(labDirectory(record.id), recordName), JSON.stringify(record));
}

function readRecord(id: string): LabRecord | undefined {
  try {
    return JSON.parse(readFileSync(join(labDirectory(id), recordName), 'utf8')) as LabRecord;
  } catch {
    return undefined;
  }
}

function labIds(): string[] {
  try {
    return readdirSync(labsDirectory).sort();
  } catch {
    return [];
  }
}

/** The labs on this machine, by identifier. */
export const listRecords = (): LabRecord[] =>
  labIds().flatMap((id) => {
    const record = readRecord(id);
    return record ? [record] : [];
  });

/** Identifiers of labs whose owner is gone. */
export function abandonedLabs(): string[] {
  return labIds().filter((id) => {
    const record = readRecord(id);
    if (record) return isAbandoned(record);
    const made = statSync(labDirectory(id), { throwIfNoEntry: false });
    return made !== undefined && Date.now() - made.mtimeMs > nascentMsMax;
  });
}

/**
 * The record of a lab; without an identifier, of the only one there is.
 * @throws InbandError `USAGE` when there is no such lab, or several to choose from.
 */
export function findRecord(id: string | undefined): LabRecord {
  const records = listRecords().filter((record) => id === undefined || record.id === id);
  if (records.length === 1) return records[0]!;
  if (records.length > 1) {
    throw new InbandError('USAGE', `there are ${records.length} labs`, {
      hint: `name one with --lab: ${records.map((record) => record.id).join(', ')}`,
    });
  }
  throw new InbandError('USAGE', id === undefined ? 'there is no lab' : `there is no lab '${id}'`, {
    hint: 'inband lab up sets one up, inband lab status lists them',
  });
}
