import { plural } from '../program/plural.ts';
import { encode, Reader } from '../tlog/cbor.ts';
import { encodeStem, readHeader, type Attribute } from '../tlog/entry.ts';
import { addAttributes } from '../tlog/message.ts';
import type { Reading } from './clock.ts';
import { COMMITMENT } from './continue.ts';
import type { Message } from './log.ts';
import { follow, inOrder, type Recovered } from './prefix.ts';
import type { EntryRow } from './row.ts';
import type { Remains, Salvage } from './salvage.ts';

const MESSAGES_A_COMMIT = 1000;
/** Ranges that are named. */
const MAX_RANGES = 8;
const NO_HASH = new Uint8Array(32);

/**
 * What no collector is known to hold and no recovered log has, as much at a time as is to be recorded at once: bytes that were found,
 * without the chain that would vouch for them.
 */
export function* looseMessages(
  read: () => Reading,
  salvage: Salvage,
  recovered: readonly Recovered[],
): Generator<readonly Message[]> {
  let batch: Message[] = [];
  for (const message of looseEntries(read, salvage, recovered)) {
    batch.push(message);
    if (batch.length < MESSAGES_A_COMMIT) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

function* looseEntries(read: () => Reading, salvage: Salvage, recovered: readonly Recovered[]): Generator<Message> {
  for (const remains of salvage.logs) {
    const log = recovered.find((candidate) => candidate.remains === remains);
    const from = Math.max(log?.size ?? 0, log?.receipted ?? 0);
    for (const [entry] of inOrder(salvage, remains, from)) {
      // From there on they went on under the next log already.
      if (entry === undefined || entry.index >= (log?.row.undelivered ?? Infinity)) break;
      const message = follow(() => looseMessage(entry, log?.row.origin, read()));
      if (message !== undefined) yield message;
    }
  }
}

/** Of a log whose name is lost there is no `$log`. */
function looseMessage({ index, stem, payload, payloadHash }: EntryRow, origin: string | undefined, reading: Reading): Message {
  const header = readHeader(new Reader(stem));
  const own: Attribute[] = [
    ['$index', String(index)],
    ...(origin === undefined ? [] : [['$log', origin] as const]),
    ['$time', String(header.time)],
  ];
  const attributes = addAttributes(header.attributes, payload === null ? [...own, COMMITMENT] : own);
  return {
    stem: encodeStem({ ...header, ...reading, attributes }),
    payload: payload ?? encode([payloadHash ?? NO_HASH, new Uint8Array()]),
  };
}

/** Which entries `[from, end)` of a log are found nowhere, as words of a list; empty where all are. What stood in a damaged page is lost. */
export function describeGaps({ entries }: Remains, from: number, end: number): string[] {
  const ranges: string[] = [];
  let count = 0;
  let next = from;
  const pass = (to: number): void => {
    const range = to === next + 1 ? String(next) : `${next} to ${to - 1}`;
    if (to > next && ranges.length <= MAX_RANGES) ranges.push(ranges.length === MAX_RANGES ? 'and others' : range);
    count += Math.max(0, to - next);
    next = to + 1;
  };
  for (const { number } of entries.from(from)) {
    if (number >= end) break;
    pass(number);
  }
  pass(end);
  return count === 0 ? [] : [`${count} of the others ${plural(count, 'is', 'are')} found nowhere (${ranges.join(', ')})`];
}
