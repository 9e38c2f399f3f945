import { concat } from '../../tlog/bytes.ts';
import { Reader } from '../../tlog/cbor.ts';
import { encodeRecord, readRecord } from '../../tlog/export.ts';
import type { ExportRecord } from '../../tlog/export.ts';

type Kind = ExportRecord['kind'];
type RecordOf<K extends Kind> = Extract<ExportRecord, { readonly kind: K }>;

/** The records of an export, by whomever it was made. */
export function decodeExport(bytes: Uint8Array): ExportRecord[] {
  const reader = new Reader(bytes);
  const records: ExportRecord[] = [];
  while (reader.at < bytes.length) records.push(readRecord(reader));
  return records;
}

export function encodeExport(records: readonly ExportRecord[]): Uint8Array {
  return concat(...records.map(encodeRecord));
}

export function entriesOf(records: readonly ExportRecord[]): RecordOf<'entry'>[] {
  return records.filter((record) => record.kind === 'entry');
}

/** An entry record and what is said of its payload. */
function withPayload(records: readonly ExportRecord[], index: number): { at: number; pair: ExportRecord[] } {
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
export function renumber(records: readonly ExportRecord[], from: number, number: (index: number) => number): ExportRecord[] {
  return records.map((record) => ('index' in record && record.index >= from ? numbered(record, number(record.index)) : record));
}

/** What is done to the records of one log, needs no key, and must be found out. */
export interface Tampering {
  readonly name: string;
  /** `index` has entries before and after it under the same seal. */
  readonly tamper: (records: readonly ExportRecord[], index: number) => ExportRecord[];
  readonly verdict: 'tampered' | 'incomplete';
  /** What the report must say of it. */
  readonly says: (index: number) => RegExp;
}

const TABLE: readonly Tampering[] = [
  {
    name: 'an entry changed',
    tamper: (records, index) =>
      records.map((record) =>
        record.kind === 'entry' && record.index === index
          ? // The last byte is one of the payload-hash: it stays an entry.
            { ...record, entry: flipped(record.entry, record.entry.length - 1) }
          : record,
      ),
    verdict: 'tampered',
    says: (index) => new RegExp(`entry ${index} was changed: it is not the one that was sealed`),
  },
  {
    name: 'two entries changed',
    tamper: (records, index) =>
      records.map((record) =>
        record.kind === 'entry' && (record.index === index || record.index === index + 1)
          ? { ...record, entry: flipped(record.entry, record.entry.length - 2) }
          : record,
      ),
    verdict: 'tampered',
    says: (index) => new RegExp(`entry ${index} was changed[^]*entry ${index + 1} was changed`),
  },
  {
    name: 'only the leaf hash stated for an entry changed',
    tamper: (records, index) =>
      records.map((record) =>
        record.kind === 'entry' && record.index === index ? { ...record, leaf: flipped(record.leaf, 0) } : record,
      ),
    verdict: 'tampered',
    says: (index) => new RegExp(`entry ${index}: expected the leaf hash that was sealed`),
  },
  {
    name: 'an entry removed',
    tamper: (records, index) => {
      const { at, pair } = withPayload(records, index);
      return records.toSpliced(at, pair.length);
    },
    verdict: 'incomplete',
    says: (index) => new RegExp(`entries ${index} are missing, which seal \\d+ covers`),
  },
  {
    name: 'an entry removed and the later ones renumbered',
    tamper: (records, index) => {
      const { at, pair } = withPayload(records, index);
      return renumber(records.toSpliced(at, pair.length), index, (later) => later - 1);
    },
    verdict: 'tampered',
    says: (index) => new RegExp(`entries ${index} do not follow from the entry before`),
  },
  {
    name: 'an entry inserted twice under one number',
    tamper: (records, index) => {
      const { at, pair } = withPayload(records, index);
      return records.toSpliced(at, 0, ...pair);
    },
    verdict: 'tampered',
    says: (index) => new RegExp(`a record was inserted as entry ${index}`),
  },
  {
    name: 'a copy of an earlier entry inserted and the later ones renumbered',
    tamper: (records, index) => {
      const { pair } = withPayload(records, index - 1);
      const shifted = renumber(records, index, (later) => later + 1);
      const { at } = withPayload(shifted, index + 1);
      return shifted.toSpliced(at, 0, ...pair.map((record) => numbered(record, index)));
    },
    verdict: 'tampered',
    says: (index) => new RegExp(`a record was inserted as entry ${index}`),
  },
  {
    name: 'an entry swapped with its neighbour',
    tamper: (records, index) => {
      const { at, pair } = withPayload(records, index);
      const other = withPayload(records, index + 1).pair;
      return records.toSpliced(at, pair.length + other.length, ...other, ...pair);
    },
    verdict: 'tampered',
    says: (index) => new RegExp(`entries ${index} and ${index + 1} were swapped`),
  },
  {
    name: 'an entry swapped with its neighbour, and their numbers too',
    tamper: (records, index) => {
      const { at, pair } = withPayload(records, index);
      const other = withPayload(records, index + 1).pair.map((record) => numbered(record, index));
      const later = pair.map((record) => numbered(record, index + 1));
      return records.toSpliced(at, pair.length + other.length, ...other, ...later);
    },
    verdict: 'tampered',
    says: (index) => new RegExp(`entries ${index} and ${index + 1} were swapped`),
  },
  {
    name: "only the neighbours' entries swapped, not their leaf hashes",
    tamper: (records, index) => {
      const [one, other] = entriesOf(records).filter((record) => record.index === index || record.index === index + 1);
      return records.map((record) => {
        if (record.kind !== 'entry' || one === undefined || other === undefined) return record;
        if (record.index === index) return { ...record, entry: other.entry };
        return record.index === index + 1 ? { ...record, entry: one.entry } : record;
      });
    },
    verdict: 'tampered',
    says: (index) => new RegExp(`entries ${index} and ${index + 1} were swapped: each stands in the other's place`),
  },
  {
    name: 'a payload replaced',
    tamper: (records, index) =>
      records.map((record) =>
        record.kind === 'payload' && record.index === index ? { ...record, payload: Uint8Array.of(1, 2, 3) } : record,
      ),
    verdict: 'tampered',
    says: (index) => new RegExp(`entry ${index}: expected the payload with the hash in it, got another`),
  },
  {
    name: 'a payload left out',
    tamper: (records, index) => records.filter((record) => !(record.kind === 'payload' && record.index === index)),
    verdict: 'incomplete',
    says: (index) => new RegExp(`1 not here, and the export does not say why, of entries: ${index}`),
  },
  {
    name: 'a payload moved to the entry after',
    tamper: (records, index) => {
      const payload = records.find((record) => record.kind === 'payload' && record.index === index);
      const { at } = withPayload(records, index + 1);
      return records.flatMap((record, i) => (record === payload ? [] : i === at && payload ? [record, payload] : [record]));
    },
    verdict: 'tampered',
    says: (index) => new RegExp(`expected one right after its entry, got one of entry ${index}`),
  },
  {
    name: 'a seal left out',
    tamper: (records) => {
      const first = records.find((record) => record.kind === 'seal');
      return records.filter((record) => record !== first);
    },
    verdict: 'tampered',
    says: () => /seal 1: expected seal 0 next, got seal 1/,
  },
  {
    name: 'every seal left out',
    tamper: (records) => records.filter((record) => record.kind !== 'seal'),
    verdict: 'incomplete',
    says: () => /are under no seal: .* could have written them/,
  },
  {
    name: 'the admission left out',
    tamper: (records) => records.slice(1),
    verdict: 'tampered',
    says: () => /belong to no log: expected an admission/,
  },
  {
    name: 'the log given twice',
    tamper: (records) => [...records, ...records],
    verdict: 'tampered',
    says: () => /expected each log once/,
  },
];

export const TAMPERINGS: readonly Tampering[] = TABLE;
