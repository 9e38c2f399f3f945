import { closeSync, constants, fdatasyncSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { EXIT, Failure } from '../program/failure.ts';
import { concat, encodeUtf8, equal, u64be } from '../tlog/bytes.ts';
import { assert } from '../tlog/error.ts';
import type { KeyPair, Suite } from '../tlog/suite.ts';

/** An epoch's private key: it signs one seal and is erased. */
export interface EpochKey extends KeyPair {
  /** The least number that its seal can have: with several seals in a commit it may be a later one. */
  readonly k: number;
  /** 32 bytes. */
  readonly seed: Uint8Array;
}

export function epochKey(suite: Suite, k: number, seed: Uint8Array): EpochKey {
  return { k, seed, ...suite.keyPair(seed) };
}

/** Slots stand in different blocks, so that a torn write of one can't reach the other. */
const BLOCK_BYTES = 4096;
const SLOTS = [0, 1] as const;
const MAGIC = encodeUtf8('tallystick/key/1');
const CHECKED_BYTES = MAGIC.length + 32 + 8 + 32;
const SLOT_BYTES = CHECKED_BYTES + 32;

const CLOSED = -1;

type SlotNumber = (typeof SLOTS)[number];

/**
 * The file of a log's epoch keys: two slots, written in place and synced, never renamed, so that an overwritten key is gone as
 * far as the file system allows. FORMAT.md §4.
 * ```
 * slot = "tallystick/key/1" || log-id (32) || u64be(k) || seed (32) || SHA-256 of all before        at byte 0 and 4096
 * ```
 * A slot of zeros is free; so is one whose checksum fails: a write into it was cut off.
 */
export class KeyFile {
  #fd: number;
  readonly #path: string;
  readonly #suite: Suite;
  readonly #logId: Uint8Array;
  readonly #slots: (EpochKey | undefined)[] = [];

  private constructor(fd: number, path: string, suite: Suite, logId: Uint8Array) {
    this.#fd = fd;
    this.#path = path;
    this.#suite = suite;
    this.#logId = logId;
  }

  /** Makes the file with `seed` as key 0; fails if there is one. Durable once the caller has synced its folder. */
  static create(path: string, suite: Suite, logId: Uint8Array, seed: Uint8Array): KeyFile {
    const fd = openSync(path, constants.O_CREAT | constants.O_EXCL | constants.O_RDWR, 0o600);
    const file = new KeyFile(fd, path, suite, logId);
    const key = epochKey(suite, 0, seed);
    file.#write(1, new Uint8Array(BLOCK_BYTES));
    file.#write(0, file.#encode(key));
    file.#slots[0] = key;
    return file;
  }

  /** Undefined where there is none; errors of the system go through. */
  static open(path: string, suite: Suite, logId: Uint8Array): KeyFile | undefined {
    return KeyFile.#open(path, constants.O_RDWR, suite, logId);
  }

  /** The keys in a file that is not opened to write, none where there is no file. */
  static read(path: string, suite: Suite, logId: Uint8Array): readonly EpochKey[] {
    const file = KeyFile.#open(path, constants.O_RDONLY, suite, logId);
    file?.close();
    return file?.keys ?? [];
  }

  static #open(path: string, flags: number, suite: Suite, logId: Uint8Array): KeyFile | undefined {
    const fd = ifThere(() => openSync(path, flags));
    if (fd === undefined) return undefined;
    const file = new KeyFile(fd, path, suite, logId);
    for (const slot of SLOTS) file.#slots[slot] = file.#read(slot);
    return file;
  }

  /** The keys held, of no particular order. */
  get keys(): readonly EpochKey[] {
    return this.#slots.filter((slot) => slot !== undefined);
  }

  /** Holds exactly these two: `next` overwrites whatever is not `current`, durably. So keys are stored, and so they are erased. */
  keep(current: EpochKey, next: EpochKey): void {
    const slot = this.#slots.indexOf(current) === 0 ? 1 : 0;
    this.#write(slot, this.#encode(next));
    this.#slots[slot] = next;
  }

  /** May be called again: what fails after it closes all that it has, and must say what failed. */
  close(): void {
    if (this.#fd === CLOSED) return;
    closeSync(this.#fd);
    // The number may be another file's soon, and keys are not to be written into that.
    this.#fd = CLOSED;
  }

  #encode(key: EpochKey): Uint8Array {
    const checked = concat(MAGIC, this.#logId, u64be(key.k), key.seed);
    return concat(checked, this.#suite.sha256(checked), new Uint8Array(BLOCK_BYTES - SLOT_BYTES));
  }

  #write(slot: SlotNumber, block: Uint8Array): void {
    this.#named('written', () => {
      const written = writeSync(this.#fd, block, 0, block.length, slot * BLOCK_BYTES);
      assert(written === block.length, 'a block of the key file is written whole');
      fdatasyncSync(this.#fd);
    });
  }

  #read(slot: SlotNumber): EpochKey | undefined {
    const bytes = new Uint8Array(SLOT_BYTES);
    if (fstatSync(this.#fd).size < slot * BLOCK_BYTES + SLOT_BYTES) return undefined;
    this.#named('read', () => readSync(this.#fd, bytes, 0, SLOT_BYTES, slot * BLOCK_BYTES));
    const checked = bytes.subarray(0, CHECKED_BYTES);
    const head = concat(MAGIC, this.#logId);
    if (!equal(bytes.subarray(CHECKED_BYTES), this.#suite.sha256(checked))) return undefined;
    if (!equal(checked.subarray(0, head.length), head)) return undefined;
    const k = Number(new DataView(bytes.buffer).getBigUint64(head.length));
    return epochKey(this.#suite, k, bytes.slice(head.length + 8, CHECKED_BYTES));
  }

  /** What the system says of an open file does not name it. */
  #named<T>(done: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof Error) || !('syscall' in error)) throw error;
      const exit = 'code' in error && error.code === 'ENOSPC' ? EXIT.tryLater : EXIT.error;
      throw new Failure(exit, `${this.#path}: expected a key file that can be ${done}, got ${error.message}`, {
        hint: 'nothing that was acknowledged is lost; see the kernel log, and whether there is room',
        cause: error,
      });
    }
  }
}

/** What a file gives, or undefined where there is none. "May not look" and "can't be read" are no "none": they go through. */
export function ifThere<T>(open: () => T): T | undefined {
  try {
    return open();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
