import { decodeUtf8 } from '../tlog/bytes.ts';
import { Reader } from '../tlog/cbor.ts';
import { AGENT_SOURCE, readHeader } from '../tlog/entry.ts';
import { TlogError } from '../tlog/error.ts';
import type { EntryRow } from './row.ts';

/**
 * Whether an entry is the agent's own and says that the payload of entry `index` of the log `origin` was shed:
 *
 *     {"origin":"acme.example/pump-7/…","first":0,"end":1024,"reason":"quota"}
 */
export function tellsOfShed({ stem, payload }: EntryRow, origin: string, index: number): boolean {
  try {
    const { source, topic } = readHeader(new Reader(stem));
    if (source !== AGENT_SOURCE || topic !== 'shed' || payload === null) return false;
    const told: unknown = JSON.parse(decodeUtf8(payload));
    if (typeof told !== 'object' || told === null || !('origin' in told && 'first' in told && 'end' in told)) return false;
    const { first, end } = told;
    return told.origin === origin && typeof first === 'number' && typeof end === 'number' && first <= index && index < end;
  } catch (error) {
    if (error instanceof TlogError || error instanceof SyntaxError) return false;
    throw error;
  }
}
