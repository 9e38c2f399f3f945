/** One generation of this device. */
export interface LogRow {
  /** 0, 1, 2, …: the generations of this device that this store has seen. */
  readonly number: number;
  readonly origin: string;
  readonly vkey: string;
  readonly enrolment: Uint8Array;
  readonly admission: Uint8Array | null;
  /** Why nothing is appended to it any more; null for the log that grows. */
  readonly closed: string | null;
  /** Of a closed log: the first entry that can't be delivered under it, and goes on under the next. */
  readonly undelivered: number | null;
}

export interface EntryRow {
  readonly index: number;
  readonly stem: Uint8Array;
  readonly payload: Uint8Array | null;
  /** Given where the payload is not kept. */
  readonly payloadHash: Uint8Array | null;
  readonly leaf: Uint8Array;
}

/** The entries between two seals, from the first of them on. */
export interface EpochRow {
  readonly k: number;
  /** Index of its first entry. */
  readonly start: number;
  readonly saltKey: Uint8Array | null;
  /** In place of an erased salt-key: 16 bytes for each entry, zeros where the salt is erased too. */
  readonly salts: Uint8Array | null;
}

export interface ReceiptRow {
  readonly size: number;
  /** Seconds since 1970, of the collector's cosignature. */
  readonly time: number;
  readonly note: Uint8Array;
}
