/** Where an admitted log stands. */
export interface LogState {
  /** Entries held, all of them sealed. */
  readonly size: number;
  /** Of the tree of these entries, one after the other. */
  readonly peaks: Uint8Array;
  /** The leaf hash of the last entry, for none the log-id. */
  readonly head: Uint8Array;
  /** Number of the seal that must come next … */
  readonly k: number;
  /** … and the key that must sign it. */
  readonly sealKey: Uint8Array;
  /** Of the last entry, in microseconds since 1970; 0 for none. */
  readonly mergedTime: number;
  /** Of the newest receipt or state note, in seconds since 1970: no earlier time is signed again. 0: none was. */
  readonly time: number;
  /** The newest receipt; null while no entry is held. */
  readonly receipt: Uint8Array | null;
}

export interface LogRow extends LogState {
  /** 0, 1, 2, …: in the order in which they were admitted. */
  readonly number: number;
  readonly origin: string;
  readonly device: string;
  readonly vkey: string;
  readonly admission: Uint8Array;
  readonly standing: 'admitted' | 'retired';
  /** Why it was retired. */
  readonly reason: string | null;
}

export interface EntryRow {
  readonly index: number;
  /** Its place in the fleet's order, in microseconds since 1970 (tlog/merged-time.ts). */
  readonly mergedTime: number;
  readonly stem: Uint8Array;
  readonly payloadHash: Uint8Array;
  readonly leaf: Uint8Array;
  /** Null where the device did not send it. */
  readonly payload: Uint8Array | null;
}

export interface SealRow {
  readonly k: number;
  readonly size: number;
  readonly root: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly nextPublicKey: Uint8Array;
  readonly signature: Uint8Array;
  /** Of the entries it covers, if no salt is withheld. */
  readonly saltKey: Uint8Array | null;
  /** Else 16 bytes for each of them, zeros where the salt is withheld. */
  readonly salts: Uint8Array | null;
}

/** A leaf of the fleet log: an admission, or a receipt that was the first to cover some entries. */
export interface LeafRow {
  readonly position: number;
  /** The number of the log it is of. */
  readonly log: number;
  /** What the receipt covers; 0 for the admission. */
  readonly size: number;
  /** Of the receipt, in seconds since 1970; of an admission when it was given. */
  readonly time: number;
  readonly note: Uint8Array;
  readonly hash: Uint8Array;
}

/** Where the fleet log stands. */
export interface FleetRow {
  readonly fleetVkey: string;
  readonly collectorVkey: string;
  readonly logVkey: string;
  /** Leaves that are in the tree; there may be newer ones. */
  readonly size: number;
  readonly peaks: Uint8Array;
  /** Size of the newest checkpoint. */
  readonly signed: number;
  readonly checkpoint: Uint8Array | null;
  /** A checkpoint by this key that was seen elsewhere and that this store does not account for. */
  readonly published: Uint8Array | null;
  /** When this key took over, in seconds since 1970; 0 for the first. */
  readonly since: number;
  /** When a receipt of ours, given since then, was first seen that is no leaf here, in seconds since 1970. */
  readonly lost: number | null;
}

/** A key that the fleet log had, and what it signed last. */
export interface FormerLogRow extends Pick<FleetRow, 'signed' | 'checkpoint' | 'published'> {
  readonly vkey: string;
  /** Seconds since 1970. */
  readonly until: number;
}

/** An enrolment that nobody has admitted yet. */
export interface WaitingRow {
  readonly origin: string;
  readonly device: string;
  readonly note: Uint8Array;
  /** Seconds since 1970. */
  readonly since: number;
  /** Of the newest state note. */
  readonly time: number;
  /** Why an operator refused it; null while it waits. */
  readonly refused: string | null;
}

export interface TokenRow {
  readonly number: number;
  /** The join key, the public half of what the token makes. */
  readonly key: Uint8Array;
  /** The only device it admits; null for any. */
  readonly device: string | null;
  readonly count: number;
  readonly used: number;
  /** Seconds since 1970. */
  readonly created: number;
  readonly revoked: number | null;
}

/** A checkpoint that is validly signed and lies beyond what is held. */
export interface ClaimRow {
  readonly log: number;
  readonly size: number;
  readonly root: Uint8Array;
  readonly note: Uint8Array;
  /** 1: as a receipt of ours, so that we once held these entries. */
  readonly cosigned: 0 | 1;
}

/** Two validly signed roots for one size. */
export interface ForkRow {
  readonly log: number;
  readonly size: number;
  /** The root that is not held, and the note that signs it. */
  readonly root: Uint8Array;
  readonly note: Uint8Array;
  /** The first receipt that covers the size on the branch that is held; before there is one, the other note. */
  readonly heldNote: Uint8Array;
  /** When it was found, seconds since 1970. */
  readonly time: number;
}

/** How often messages of a kind were refused for a reason. */
export interface RefusalRow {
  /** "" for devices that were never admitted. */
  readonly device: string;
  readonly kind: string;
  readonly code: string;
  readonly count: number;
  readonly firstTime: number;
  readonly lastTime: number;
}

/** A message that was refused. */
export interface SampleRow {
  readonly device: string;
  readonly kind: string;
  readonly code: string;
  readonly time: number;
  readonly reason: string;
  readonly bytes: Uint8Array;
}
