import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Reader } from '../tlog/cbor.ts';
import { decodeEntry } from '../tlog/entry.ts';
import { readRecord } from '../tlog/export.ts';

/** Messages by what they are, each with how many there are of it. */
export class Ledger {
  readonly #counts = new Map<string, number>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(topic: string, payload: Uint8Array): void {
    const key = createHash('sha256').update(`${topic}\0`).update(payload).digest('base64');
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    this.#size += 1;
  }

  /** How many of these the other does not have. */
  lackingIn(other: Ledger): number {
    return [...this.#counts].reduce((sum, [key, count]) => sum + Math.max(0, count - (other.#counts.get(key) ?? 0)), 0);
  }
}

/** An entry of an export whose payload is there. */
export interface ExportedMessage {
  readonly origin: string;
  readonly index: number;
  readonly topic: string;
  readonly payload: Uint8Array;
  /** Where the payload begins in the file. */
  readonly at: number;
}

/** The messages of an export but for the agent's own. What the file says is not verified here; the auditor does that. */
export function readMessages(path: string): ExportedMessage[] {
  const reader = new Reader(readFileSync(path));
  const messages: ExportedMessage[] = [];
  let origin = '';
  let last = { index: -1, topic: '', isOwn: true };
  while (reader.at < reader.bytes.length) {
    const record = readRecord(reader);
    if (record.kind === 'admission') origin = originOf(record.note);
    if (record.kind === 'entry') {
      const { source, topic } = decodeEntry(record.entry);
      last = { index: record.index, topic, isOwn: source === '$agent' };
    }
    if (record.kind !== 'payload' || last.isOwn || record.index !== last.index) continue;
    // It is the last item of its record.
    messages.push({
      origin,
      index: last.index,
      topic: last.topic,
      payload: record.payload,
      at: reader.at - record.payload.length,
    });
  }
  return messages;
}

/** The second line of an enrolment names the log. */
function originOf(note: Uint8Array): string {
  return Buffer.from(note).toString('utf8').split('\n')[1] ?? '';
}
