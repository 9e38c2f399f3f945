import { Packer, type Packed } from '../../agent/segments.ts';
import { openIdentity } from '../../agent/generation.ts';
import type { LogRow } from '../../agent/row.ts';
import type { Rows } from '../../agent/rows.ts';
import { deflate, inflate, native } from '../../program/native.ts';
import { leafHash } from '../../tlog/hash.ts';
import { rootOfLeaves, Tree } from '../../tlog/merkle.ts';
import { parseEnrolment } from '../../tlog/enrolment.ts';
import { parseNote } from '../../tlog/note.ts';
import { logId } from '../../tlog/origin.ts';
import { decodeSegment } from '../../tlog/segment.ts';
import { verifySegment, type HeldLog, type Verified } from '../../tlog/verify.ts';
import { ED25519, parseVkey, type Signer } from '../../tlog/vkey.ts';
import type { Device } from './device.ts';

/** What a collector knows of one log, made with nothing but tlog: it takes segments as FORMAT.md §7 says, and keeps their entries. */
export class Held {
  readonly leaves: Uint8Array[] = [];
  readonly entries: Extract<Verified, { kind: 'extends' }>['entries'][number][] = [];
  readonly #id: Uint8Array;
  readonly #row: LogRow;
  #tree = new Tree(native);
  #head: Uint8Array;
  #seals: HeldLog['seals'];

  constructor(row: LogRow) {
    this.#row = row;
    this.#id = logId(native, parseVkey(native, row.vkey, ED25519));
    this.#head = this.#id;
    const { sealKey } = parseEnrolment(native, parseNote(row.enrolment).text);
    this.#seals = { logId: this.#id, k: 0, size: 0, publicKey: sealKey };
  }

  get size(): number {
    return this.#tree.size;
  }

  /** Throws what `verifySegment` throws. */
  take(bytes: Uint8Array): Verified['kind'] {
    const verified = verifySegment(native, decodeSegment(bytes, inflate), {
      identity: parseVkey(native, this.#row.vkey, ED25519),
      tree: this.#tree,
      head: this.#head,
      seals: this.#seals,
      rootAt: (size) => rootOfLeaves(native, this.leaves.slice(0, size)),
      leafAt: (index) => this.leaves[index] ?? leafHash(native, new Uint8Array()),
    });
    if (verified.kind !== 'extends') return verified.kind;
    this.#tree = verified.tree;
    this.#head = verified.head;
    this.#seals = verified.seals;
    for (const entry of verified.entries) {
      this.entries.push(entry);
      this.leaves.push(entry.leaf);
    }
    return verified.kind;
  }
}

export function identityOf(device: Device, row: LogRow): Signer {
  const identity = openIdentity(native, device.paths, row);
  if (identity === undefined) throw new Error(`expected the identity key of ${row.origin}, got none`);
  return identity;
}

/** Packs a log from `from` to its last seal, as the uplink would. */
export function packAll(device: Device, rows: Rows, row: LogRow, from = 0): Packed[] {
  const packer = new Packer(native, rows, row, identityOf(device, row), deflate);
  const all: Packed[] = [];
  for (let at = from; ;) {
    const packed = packer.pack(at);
    if (packed === undefined || packed.end <= at) return all;
    all.push(packed);
    at = packed.end;
  }
}
