import { concat } from '../../tlog/bytes.ts';
import { Reader } from '../../tlog/cbor.ts';
import { encodeRecord, readRecord } from '../../tlog/export.ts';
import type { ExportRecord } from '../../tlog/export.ts';

type Records = readonly ExportRecord[];
type Kind = ExportRecord['kind'];
type RecordOf<K extends Kind> = Extract<ExportRecord, { readonly kind: K }>;

/** The records of an export, by whomever it was made. */
export function decodeExport(bytes: Uint8Array): ExportRecord[] {
  const reader = new Reader(bytes);
  const records: ExportRecord[] = [];
  while (reader.at < bytes.length) records.push(readRecord(reader));
  return records;
}

export function encodeExport(records: Records): Uint8Array {
  return concat(...records.map(encodeRecord));
}

export function entriesOf(records: Records): RecordOf<'entry'>[] {
  return records.filter((record) => record.kind === 'entry');
}

/** An entry record and what is said of its payload. */
function withPayload(records: Records, index: number): { at: number; pair: ExportRecord[] } {
  const at = records.findIndex((record) => record.kind === 'entry' && record.index === index);
  const next = records[at + 1];
  const isSpokenOf = next?.kind === 'payload' || next?.kind === 'salt' || next?.kind === 'erased';
  return { at, pair: records.slice(at, at + (isSpokenOf ? 2 : 1)) };
}

/** The same bytes with the lowest bit of one changed. */
export function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice();
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

function numbered(record: ExportRecord, index: number): ExportRecord {
  return 'index' in record ? { ...record, index } : record;
}

/** Entries from `from` on get the number that `number` gives them. */
export function renumber(records: Records, from: number, number: (index: number) => number): ExportRecord[] {
  return records.map((record) => ('index' in record && record.index >= from ? numbered(record, number(record.index)) : record));
}

function changeEntries(records: Records, isMeant: (index: number) => boolean): ExportRecord[] {
  return records.map((record) =>
    record.kind === 'entry' && isMeant(record.index)
      ? // The last byte is one of the payload-hash: it stays an entry.
        { ...record, entry: flipped(record.entry, record.entry.length - 1) }
      : record,
  );
}

function changeEntry(records: Records, index: number): ExportRecord[] {
  return changeEntries(records, (one) => one === index);
}

function changeTwo(records: Records, index: number): ExportRecord[] {
  return changeEntries(records, (one) => one === index || one === index + 1);
}

function changeLeaf(records: Records, index: number): ExportRecord[] {
  return records.map((record) =>
    record.kind === 'entry' && record.index === index ? { ...record, leaf: flipped(record.leaf, 0) } : record,
  );
}

function remove(records: Records, index: number): ExportRecord[] {
  const { at, pair } = withPayload(records, index);
  return records.toSpliced(at, pair.length);
}

function removeAndRenumber(records: Records, index: number): ExportRecord[] {
  return renumber(remove(records, index), index, (later) => later - 1);
}

function insertCopy(records: Records, index: number): ExportRecord[] {
  const { at, pair } = withPayload(records, index);
  return records.toSpliced(at, 0, ...pair);
}

function insertAndRenumber(records: Records, index: number): ExportRecord[] {
  const { pair } = withPayload(records, index - 1);
  const shifted = renumber(records, index, (later) => later + 1);
  const { at } = withPayload(shifted, index + 1);
  return shifted.toSpliced(at, 0, ...pair.map((record) => numbered(record, index)));
}

function swap(records: Records, index: number): ExportRecord[] {
  const { at, pair } = withPayload(records, index);
  const other = withPayload(records, index + 1).pair;
  return records.toSpliced(at, pair.length + other.length, ...other, ...pair);
}

function swapAndRenumber(records: Records, index: number): ExportRecord[] {
  const swapped = swap(records, index);
  return swapped.map((record) => {
    if (!('index' in record)) return record;
    if (record.index === index) return numbered(record, index + 1);
    return record.index === index + 1 ? numbered(record, index) : record;
  });
}

function swapEntriesAlone(records: Records, index: number): ExportRecord[] {
  const [one, other] = entriesOf(records).filter((record) => record.index === index || record.index === index + 1);
  return records.map((record) => {
    if (record.kind !== 'entry' || one === undefined || other === undefined) return record;
    if (record.index === index) return { ...record, entry: other.entry };
    return record.index === index + 1 ? { ...record, entry: one.entry } : record;
  });
}

function replacePayload(records: Records, index: number): ExportRecord[] {
  return records.map((record) =>
    record.kind === 'payload' && record.index === index ? { ...record, payload: Uint8Array.of(1, 2, 3) } : record,
  );
}

function leaveOutPayload(records: Records, index: number): ExportRecord[] {
  return records.filter((record) => !(record.kind === 'payload' && record.index === index));
}

function movePayload(records: Records, index: number): ExportRecord[] {
  const payload = records.find((record) => record.kind === 'payload' && record.index === index);
  const { at } = withPayload(records, index + 1);
  return records.flatMap((record, i) => (record === payload ? [] : i === at && payload ? [record, payload] : [record]));
}

function skipSeal(records: Records): ExportRecord[] {
  const first = records.find((record) => record.kind === 'seal');
  return records.filter((record) => record !== first);
}

function leaveOutSeals(records: Records): ExportRecord[] {
  return records.filter((record) => record.kind !== 'seal');
}

function leaveOutAdmission(records: Records): ExportRecord[] {
  return records.slice(1);
}

function repeat(records: Records): ExportRecord[] {
  return [...records, ...records];
}

/** Something that is done to the records of one log, needs no key, and must be found out. */
export interface Tampering {
  readonly name: string;
  /** At an entry that has others before and after it under the same seal. */
  readonly tamper: (records: Records, index: number) => ExportRecord[];
  readonly verdict: 'tampered' | 'incomplete';
  /** What the report must say of it. */
  readonly says: (index: number) => string;
}

export const TAMPERINGS: readonly Tampering[] = (
  [
    ['an entry changed', changeEntry, 'tampered', 'entry {0} was changed: it is not the one that was sealed'],
    ['two entries changed', changeTwo, 'tampered', 'entry {1} was changed: it is not the one that was sealed'],
    ['only the leaf hash of an entry changed', changeLeaf, 'tampered', 'entry {0}: expected the leaf hash that was sealed'],
    ['an entry removed', remove, 'incomplete', 'entry {0} is missing, which seal'],
    ['an entry removed, later ones renumbered', removeAndRenumber, 'tampered', 'entry {0} does not follow from the entry before'],
    ['an entry inserted twice', insertCopy, 'tampered', 'a record was inserted as entry {0}'],
    ['a copy inserted, later ones renumbered', insertAndRenumber, 'tampered', 'a record was inserted as entry {0}'],
    ['an entry swapped with its neighbour', swap, 'tampered', 'entries {0} and {1} were swapped'],
    ['an entry swapped with its neighbour, numbers too', swapAndRenumber, 'tampered', 'entries {0} and {1} were swapped'],
    ['entries swapped, and not their leaf hashes', swapEntriesAlone, 'tampered', 'entries {0} and {1} were swapped'],
    ['a payload replaced', replacePayload, 'tampered', 'entry {0}: expected the payload with the hash in it, got another'],
    ['a payload left out', leaveOutPayload, 'incomplete', '1 not here, and the export does not say why, of entry {0}'],
    ['a payload moved', movePayload, 'tampered', 'expected one right after its entry, got one of entry {0}'],
    ['a seal left out', skipSeal, 'tampered', 'seal 1: expected seal 0 next, got seal 1'],
    ['every seal left out', leaveOutSeals, 'incomplete', 'are under no seal'],
    ['the admission left out', leaveOutAdmission, 'tampered', 'belong to no log: expected an admission'],
    ['the log given twice', repeat, 'tampered', 'expected each log once'],
  ] as const
).map(([name, tamper, verdict, says]) => ({
  name,
  tamper,
  verdict,
  says: (index: number): string => says.replace('{0}', String(index)).replace('{1}', String(index + 1)),
}));
