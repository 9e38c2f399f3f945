import Database from 'better-sqlite3';
import { expect } from 'vitest';
import { LOG_STRIDE } from '../../agent/schema.ts';
import { native } from '../../program/native.ts';
import { concat, u64be } from '../../tlog/bytes.ts';
import { verifyEnrolment } from '../../tlog/enrolment.ts';
import { decodeEntry, joinEntry } from '../../tlog/entry.ts';
import { rootOfLeaves } from '../../tlog/merkle.ts';
import { logId } from '../../tlog/origin.ts';
import { continueSeals, type SealState } from '../../tlog/seal.ts';
import { ED25519, parseVkey } from '../../tlog/vkey.ts';

interface Entry {
  id: number;
  stem: Uint8Array;
  payload: Uint8Array | null;
  payload_hash: Uint8Array | null;
  leaf: Uint8Array;
}

/** What {@link checkLog} found. */
export interface Checked {
  readonly size: number;
  /** Sizes of the seals. */
  readonly seals: readonly number[];
  readonly payloads: readonly (Uint8Array | null)[];
}

/**
 * FORMAT.md §3 and §4 once more, straight from the table rows and with as little of the agent's code as can be: every payload hash
 * with its salt, every leaf hash, the chain, the tree at each seal, each seal, the epochs between them, every stored subtree hash.
 * Fails the test where something does not fit.
 */
export function checkLog(path: string, log: number): Checked {
  const db = new Database(path, { readonly: true });
  const all = (sql: string, ...values: number[]): Record<string, unknown>[] =>
    db.prepare(sql).all(...values) as Record<string, unknown>[];
  const range = [log * LOG_STRIDE, (log + 1) * LOG_STRIDE - 1];
  try {
    const [row] = all('SELECT vkey, enrolment FROM log WHERE number = ?', log) as { vkey: string; enrolment: Uint8Array }[];
    if (row === undefined) throw new Error(`expected log ${log}, got none`);
    const entries = all('SELECT * FROM entry WHERE id BETWEEN ? AND ? ORDER BY id', ...range) as unknown as Entry[];
    const epochs = all('SELECT * FROM epoch WHERE id BETWEEN ? AND ? ORDER BY id', ...range);
    const seals = all('SELECT * FROM seal WHERE id BETWEEN ? AND ? ORDER BY id', ...range);
    const id = logId(native, parseVkey(native, row.vkey, ED25519));
    expect(entries.map((entry) => entry.id - log * LOG_STRIDE)).toEqual(entries.map((_, i) => i));
    expect(epochs.map((epoch) => epoch['start'])).toEqual([0, ...seals.map((seal) => seal['size'])]);
    const leaves: Uint8Array[] = [];
    let prev = id;
    for (const [i, entry] of entries.entries()) {
      const epoch = epochs.findLast((candidate) => (candidate['start'] as number) <= i) ?? {};
      const salt = saltAt(epoch['salt_key'] as Uint8Array, i - (epoch['start'] as number));
      const hash = entry.payload === null ? entry.payload_hash : native.sha256(concat(Uint8Array.of(2), entry.payload, salt));
      const bytes = joinEntry(entry.stem, hash ?? new Uint8Array());
      decodeEntry(bytes);
      prev = native.sha256(concat(Uint8Array.of(0), prev, bytes));
      expect(Buffer.compare(entry.leaf, prev), `the leaf hash of entry ${i}`).toBe(0);
      leaves.push(prev);
    }
    let state: SealState = { logId: id, k: 0, size: 0, publicKey: verifyEnrolment(native, row.enrolment).sealKey };
    for (const seal of seals) {
      const parts = {
        logId: id,
        k: (seal['id'] as number) - log * LOG_STRIDE,
        size: seal['size'] as number,
        root: seal['root'] as Uint8Array,
        publicKey: seal['public_key'] as Uint8Array,
        nextPublicKey: seal['next_public_key'] as Uint8Array,
        signature: seal['signature'] as Uint8Array,
      };
      expect(parts.size).toBeLessThanOrEqual(leaves.length);
      state = continueSeals(native, state, parts, rootOfLeaves(native, leaves.slice(0, parts.size)));
    }
    const subtrees = all('SELECT level, position, hash FROM subtree WHERE log = ? ORDER BY position', log);
    expect(subtrees).toHaveLength(Math.floor(leaves.length / 256));
    for (const { level, position, hash } of subtrees as { level: number; position: number; hash: Uint8Array }[]) {
      expect(level).toBe(8);
      const under = leaves.slice(position * 256, (position + 1) * 256);
      expect(Buffer.compare(hash, rootOfLeaves(native, under)), `subtree ${position}`).toBe(0);
    }
    return {
      size: leaves.length,
      seals: seals.map((seal) => seal['size'] as number),
      payloads: entries.map(({ payload }) => payload),
    };
  } finally {
    db.close();
  }
}

/** FORMAT.md §3.1, one salt at a time. */
function saltAt(saltKey: Uint8Array, place: number): Uint8Array {
  const block = native.shake256(concat(Uint8Array.of(3), saltKey, u64be(Math.floor(place / 64))), 1024);
  return block.subarray((place % 64) * 16, (place % 64) * 16 + 16);
}
